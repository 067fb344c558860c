# `cmake --install`: headers, both libraries, weft.pc and the CMake package. Everything is found
# relative to where it lies, so that an installed tree may be moved or staged with DESTDIR.

include(CMakePackageConfigHelpers)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# One export file per library: a program that uses one needs nothing of what the other links.
set(weft_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
foreach(kind shared static)
  set_target_properties(weft_${kind} PROPERTIES EXPORT_NAME ${kind})
  install(TARGETS weft_${kind} EXPORT weft-${kind}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT weft-${kind} NAMESPACE weft:: FILE weft-${kind}.cmake
    DESTINATION ${weft_package_dir})
endforeach()

# Linked by name or preloaded; no package of its own.
if(TARGET weft_debug)
  install(TARGETS weft_debug LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# What the static library leaves for the program to link. jemalloc is the shared library there too.
set(WEFT_PC_REQUIRES_PRIVATE "libuv")
if(WEFT_JEMALLOC)
  string(APPEND WEFT_PC_REQUIRES_PRIVATE " jemalloc")
endif()
set(WEFT_PC_STACK_FLAG "-fstack-clash-protection")

# pkg-config knows its own file's folder; the prefix is so many levels above it.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE WEFT_PC_UP)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_LIBDIR
  BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE WEFT_PC_LIBDIR)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR
  BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE WEFT_PC_INCLUDEDIR)
configure_file(cmake/weft.pc.in ${PROJECT_BINARY_DIR}/weft.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/weft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

configure_package_config_file(cmake/weftConfig.cmake.in ${PROJECT_BINARY_DIR}/weftConfig.cmake
  INSTALL_DESTINATION ${weft_package_dir})
# Before 1.0 every minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weftConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weftConfig.cmake ${PROJECT_BINARY_DIR}/weftConfigVersion.cmake
  DESTINATION ${weft_package_dir})
