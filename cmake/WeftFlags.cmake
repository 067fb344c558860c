# How the project's own code is compiled. Nothing here reaches a program that uses weft.

# Optimised in RelWithDebInfo; the sanitizer builds are Debug with enough optimisation to run the
# whole suite in minutes and little enough that a report names the right line.
if(PROJECT_IS_TOP_LEVEL AND WEFT_SANITIZE AND CMAKE_C_FLAGS_DEBUG STREQUAL "-g")
  set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
endif()

if(WEFT_SANITIZE STREQUAL "address")
  set(WEFT_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(WEFT_SANITIZE STREQUAL "thread")
  set(WEFT_SANITIZE_FLAGS -fsanitize=thread)
endif()

# Warnings and code generation for everything in this repository.
add_library(weft_strict INTERFACE)
target_compile_features(weft_strict INTERFACE c_std_11)
# Frame pointers let perf and the crash reports walk a task's stack without unwind tables.
target_compile_options(weft_strict INTERFACE
  -fno-omit-frame-pointer
  ${WEFT_SANITIZE_FLAGS}
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Wshadow -Wconversion -Wundef>
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  $<$<AND:$<BOOL:${WEFT_WERROR}>,$<COMPILE_LANGUAGE:C,CXX>>:-Werror>)
target_link_options(weft_strict INTERFACE ${WEFT_SANITIZE_FLAGS})

# The same for code that may see the internals.
add_library(weft_flags INTERFACE)
target_link_libraries(weft_flags INTERFACE weft_strict)
target_include_directories(weft_flags INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/runtime)
target_compile_definitions(weft_flags INTERFACE
  _GNU_SOURCE
  WEFT_JEMALLOC=$<BOOL:${WEFT_JEMALLOC}>
  WEFT_POINTS=$<BOOL:${WEFT_POINTS}>
  WEFT_UCONTEXT=$<BOOL:${WEFT_UCONTEXT}>
  WEFT_VALGRIND=$<BOOL:${WEFT_VALGRIND}>)

# A frame larger than the guard below a task's stack would jump over it without touching it. Stack
# probes make such a frame fault in the guard, so programs that use weft are compiled with them.
# (The compiler is asked by the program's own build: it may be another one than weft's.)
set(WEFT_STACK_FLAGS
  $<$<COMPILE_LANG_AND_ID:C,GNU,Clang>:-fstack-clash-protection>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang>:-fstack-clash-protection>)
target_compile_options(weft_flags INTERFACE ${WEFT_STACK_FLAGS})
