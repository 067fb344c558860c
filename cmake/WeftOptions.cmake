# Every option that a person may set, in one place.

option(WEFT_JEMALLOC "Allocate through jemalloc (linked as a shared library)" ON)
option(WEFT_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(WEFT_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(WEFT_BUILD_BENCH "Build the benchmarks (C++17, Google Benchmark)" ${PROJECT_IS_TOP_LEVEL})
option(WEFT_BUILD_CONTRAST "Build the programs of scripts/demo" ${PROJECT_IS_TOP_LEVEL})
option(WEFT_INSTALL "Generate install rules" ON)
option(WEFT_WERROR "Treat warnings as errors" OFF)
option(WEFT_POINTS "Make every atomic operation a point where tests may switch threads" OFF)
option(WEFT_UCONTEXT "Use the portable ucontext switch instead of the assembly" OFF)
option(WEFT_VALGRIND "Build for a run under valgrind" OFF)
set(WEFT_SANITIZE "" CACHE STRING
  "Sanitizers to build with: address (with undefined), thread, or empty")
set_property(CACHE WEFT_SANITIZE PROPERTY STRINGS "" address thread)

if(NOT WEFT_SANITIZE MATCHES "^(|address|thread)$")
  message(FATAL_ERROR "WEFT_SANITIZE is '${WEFT_SANITIZE}'; it must be address, thread or empty")
endif()

# These tools see an object's bounds and its free only when their own malloc served it.
if(WEFT_JEMALLOC AND (WEFT_SANITIZE OR WEFT_VALGRIND))
  message(STATUS "weft: jemalloc is left out, the memory checker brings its own malloc")
  set(WEFT_JEMALLOC OFF)
endif()

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()
