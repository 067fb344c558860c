# Toolchain: compiles for 64-bit ARM with the distribution's cross compiler and runs what is built in
# qemu's user mode. The libraries for the target are those of scripts/deps aarch64.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(weft_aarch64_libraries ${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-libraries)
cmake_path(NORMAL_PATH weft_aarch64_libraries)
set(weft_aarch64_libc /usr/aarch64-linux-gnu)

# Debian 13 has the emulator under the name without "static", which it is all the same.
find_program(WEFT_QEMU_AARCH64 NAMES qemu-aarch64-static qemu-aarch64)
find_program(WEFT_GCC_AARCH64 NAMES ${CMAKE_C_COMPILER})
mark_as_advanced(WEFT_QEMU_AARCH64 WEFT_GCC_AARCH64)
if(NOT WEFT_QEMU_AARCH64 OR NOT WEFT_GCC_AARCH64)
  message(FATAL_ERROR "The cross compiler or the emulator is not installed. Run scripts/deps aarch64")
endif()
set(CMAKE_CROSSCOMPILING_EMULATOR ${WEFT_QEMU_AARCH64} -L ${weft_aarch64_libc})

set(CMAKE_FIND_ROOT_PATH ${weft_aarch64_libc} ${weft_aarch64_libraries})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${weft_aarch64_libraries}/lib/pkgconfig)
