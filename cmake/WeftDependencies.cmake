# Finds what weft links. Nothing is downloaded: what is missing is named with its package.
#
# Defines PkgConfig::LIBUV, Threads::Threads, and where they are wanted weft_jemalloc,
# PkgConfig::CMOCKA and benchmark::benchmark.

function(weft_missing what package why)
  message(FATAL_ERROR
    "${what} was not found${why}.\n"
    "On Debian and Ubuntu it is in the package ${package}. `scripts/deps` installs all that weft "
    "needs, `scripts/deps --help` says what that is.")
endfunction()

find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
  weft_missing("pkg-config" "pkg-config" "")
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

pkg_check_modules(LIBUV QUIET IMPORTED_TARGET "libuv>=1.44")
if(NOT LIBUV_FOUND)
  weft_missing("libuv 1.44 or newer" "libuv1-dev" "")
endif()

# Only ever the shared library: a static jemalloc under link-time optimisation caches a thread's
# arena in a register across a stack switch, and corrupts the heap when the stack changes threads.
if(WEFT_JEMALLOC)
  pkg_check_modules(JEMALLOC QUIET "jemalloc>=5.2")
  if(JEMALLOC_FOUND)
    find_library(WEFT_JEMALLOC_LIBRARY NAMES libjemalloc.so jemalloc
      HINTS ${JEMALLOC_LIBRARY_DIRS} ${JEMALLOC_LIBDIR})
  endif()
  if(NOT WEFT_JEMALLOC_LIBRARY)
    weft_missing("jemalloc 5.2 or newer" "libjemalloc-dev" " (or leave it out: -DWEFT_JEMALLOC=OFF)")
  endif()
  if(WEFT_JEMALLOC_LIBRARY MATCHES "\\.a$")
    message(FATAL_ERROR "weft links jemalloc as a shared library only, found "
      "${WEFT_JEMALLOC_LIBRARY}. Install libjemalloc.so, or set -DWEFT_JEMALLOC=OFF.")
  endif()
  add_library(weft_jemalloc INTERFACE)
  target_include_directories(weft_jemalloc SYSTEM INTERFACE ${JEMALLOC_INCLUDE_DIRS})
  target_link_libraries(weft_jemalloc INTERFACE ${WEFT_JEMALLOC_LIBRARY})
endif()

if(WEFT_BUILD_TESTS)
  pkg_check_modules(CMOCKA QUIET IMPORTED_TARGET "cmocka>=1.1.5")
  if(NOT CMOCKA_FOUND)
    weft_missing("cmocka 1.1.5 or newer" "libcmocka-dev" " (or build no tests: -DWEFT_BUILD_TESTS=OFF)")
  endif()
endif()

if(WEFT_BUILD_BENCH)
  find_package(benchmark QUIET CONFIG)
  if(NOT benchmark_FOUND)
    weft_missing("Google Benchmark" "libbenchmark-dev"
      " (or build no benchmarks: -DWEFT_BUILD_BENCH=OFF)")
  endif()
endif()
