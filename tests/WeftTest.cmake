# weft_add_test(NAME <name> SOURCES <file>... [LABELS <label>...] [VARIANTS] [SERIAL] [STANDALONE]
#               [TIMEOUT <seconds>] [LIBRARIES <target>...] [DEFINITIONS <define>...]
#               [ENVIRONMENT <VAR=value>...] [SEEDS] [SEEDS_EXCLUDE <regex>...])
#
# Builds one program test_<name> from the sources, linked to weft_internal, cmocka and the support
# library, and registers each of its tests with ctest as <name>.<test>. The program's main is
#     return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
# (weft_test.h): after each build it is asked for its list, so that a new test function needs no
# line here. Every test runs in a process of its own, in the emulator when the build is for another
# machine. The target tests_<directory> builds the programs of one directory.
#
# VARIANTS registers each test three times: <name>.<test>.w1 on one worker, .w4 on four, and
# .migrate on four with every suspension moving the task. The labels w1, w4 and migrate go along.
#
# STANDALONE leaves weft_internal out, for a program that compiles runtime sources in its own way.
#
# SEEDS registers each test once more, as <name>.<test>.seeds, in builds with WEFT_POINTS: repeated
# under WEFT_TEST_SEED_COUNT seeds of the simulation (weft_test.h). Its one label is "seeds". Tests
# whose name matches a regex of SEEDS_EXCLUDE are left out. The target tests_seeds builds these
# programs.
#
# SERIAL runs its tests beside no other: for those that measure time or need all the memory.
#
# In the build for valgrind ctest runs each program, not each test, as valgrind takes a second to
# start: <name>, or its three variants, with all that the program has. tests/valgrind/programs.cmake
# gives some of them the labels smoke and quick; the targets tests_smoke and tests_quick build those.
# It also says which tests cannot hold there.
#
# TIMEOUT (default 60) is a hard limit in seconds of the release build; checkers and the emulator get
# WEFT_TEST_TIMEOUT_SCALE times as much. Exit status 77 counts as skipped. The label of the
# directory that calls (base, core, ...) is added by itself; the label "slow" keeps a test out of
# `scripts/test --quick`.

set(WEFT_TEST_TIMEOUT_SCALE 1)
if(WEFT_SANITIZE STREQUAL "address")
  set(WEFT_TEST_TIMEOUT_SCALE 3)
elseif(WEFT_SANITIZE STREQUAL "thread")
  set(WEFT_TEST_TIMEOUT_SCALE 5)
elseif(CMAKE_CROSSCOMPILING)
  set(WEFT_TEST_TIMEOUT_SCALE 5)
elseif(WEFT_VALGRIND)
  set(WEFT_TEST_TIMEOUT_SCALE 10)
endif()

# Threads run one at a time there: who spins for another has to let it run in the end.
set(WEFT_TEST_CHECKER)
if(WEFT_VALGRIND)
  find_program(WEFT_VALGRIND_PROGRAM valgrind)
  if(NOT WEFT_VALGRIND_PROGRAM)
    weft_missing("valgrind" "valgrind" "")
  endif()
  set(WEFT_TEST_CHECKER ${WEFT_VALGRIND_PROGRAM} --quiet --error-exitcode=99 --leak-check=full
    --fair-sched=yes --num-callers=24)
  include(${CMAKE_CURRENT_LIST_DIR}/valgrind/programs.cmake)
endif()

# How many seeds of the simulation each test gets: a sanitizer looks for what it sees in any order.
if(NOT WEFT_POINTS)
  set(WEFT_TEST_SEED_COUNT 0)
elseif(WEFT_SANITIZE STREQUAL "address")
  set(WEFT_TEST_SEED_COUNT 50)
elseif(WEFT_SANITIZE STREQUAL "thread")
  set(WEFT_TEST_SEED_COUNT 20)
else()
  set(WEFT_TEST_SEED_COUNT 1000)
endif()
add_custom_target(tests_seeds)

# No suppressions: a report ends the test. Big requests answer NULL, as malloc does elsewhere.
set(WEFT_TEST_ENVIRONMENT)
if(WEFT_SANITIZE STREQUAL "address")
  list(APPEND WEFT_TEST_ENVIRONMENT
    "ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
elseif(WEFT_SANITIZE STREQUAL "thread")
  # At its end a process waits a second for races of the threads that are left; a stack that is kept
  # counts as one. Tests join their threads.
  list(APPEND WEFT_TEST_ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:\
allocator_may_return_null=1:atexit_sleep_ms=0")
endif()

# cmocka's headers are not ours to warn about.
add_library(weft_test_cmocka INTERFACE)
target_include_directories(weft_test_cmocka SYSTEM INTERFACE ${CMOCKA_INCLUDE_DIRS})
target_link_libraries(weft_test_cmocka INTERFACE PkgConfig::CMOCKA)

function(weft_test_belongs_to group target)
  if(NOT TARGET tests_${group})
    add_custom_target(tests_${group})
  endif()
  add_dependencies(tests_${group} ${target})
endfunction()

function(weft_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg
    "VARIANTS;SERIAL;STANDALONE;SEEDS" "NAME;TIMEOUT"
    "SOURCES;LABELS;LIBRARIES;DEFINITIONS;ENVIRONMENT;SEEDS_EXCLUDE")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
    message(FATAL_ERROR "weft_add_test(NAME <name> SOURCES <file>... ...): got '${ARGV}'")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  math(EXPR timeout "${arg_TIMEOUT} * ${WEFT_TEST_TIMEOUT_SCALE}")
  math(EXPR seeds_timeout "180 * ${WEFT_TEST_TIMEOUT_SCALE}")
  set(seeds 0)
  if(arg_SEEDS)
    set(seeds ${WEFT_TEST_SEED_COUNT})
  endif()
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME area)

  set(target test_${arg_NAME})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE weft_test_support ${arg_LIBRARIES})
  if(NOT arg_STANDALONE)
    target_link_libraries(${target} PRIVATE weft_internal)
  endif()
  target_compile_definitions(${target} PRIVATE ${arg_DEFINITIONS})
  weft_test_belongs_to(${area} ${target})
  foreach(group smoke quick)
    if(";${WEFT_VALGRIND_${group}}" MATCHES ";${arg_NAME}(\\.|;|$)")
      weft_test_belongs_to(${group} ${target})
    endif()
  endforeach()

  set(except ${WEFT_VALGRIND_except_${arg_NAME}})
  # Written at configure time, read by the script that runs after each link.
  set(list ${CMAKE_CURRENT_BINARY_DIR}/${target}.ctest.cmake)
  set(settings ${CMAKE_CURRENT_BINARY_DIR}/${target}.settings.cmake)
  file(CONFIGURE OUTPUT ${settings} @ONLY CONTENT [==[
set(name "@arg_NAME@")
set(labels "@area@;@arg_LABELS@")
set(variants "@arg_VARIANTS@")
set(timeout "@timeout@")
set(serial "@arg_SERIAL@")
set(seeds "@seeds@")
set(seeds_exclude "@arg_SEEDS_EXCLUDE@")
set(seeds_timeout "@seeds_timeout@")
set(environment "@WEFT_TEST_ENVIRONMENT@;@arg_ENVIRONMENT@")
set(directory "@CMAKE_CURRENT_BINARY_DIR@")
set(emulator "@CMAKE_CROSSCOMPILING_EMULATOR@")
set(checker "@WEFT_TEST_CHECKER@")
set(smoke "@WEFT_VALGRIND_smoke@")
set(quick "@WEFT_VALGRIND_quick@")
set(except "@except@")
]==])
  add_custom_command(TARGET ${target} POST_BUILD
    BYPRODUCTS ${list}
    COMMAND ${CMAKE_COMMAND} -D program=$<TARGET_FILE:${target}> -D settings=${settings}
      -D output=${list} -P ${PROJECT_SOURCE_DIR}/tests/WeftDiscover.cmake
    VERBATIM)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS
    ${settings} ${PROJECT_SOURCE_DIR}/tests/WeftDiscover.cmake)

  # Before the first build there is no list; a test that cannot pass says so.
  set(include ${CMAKE_CURRENT_BINARY_DIR}/${target}.include.cmake)
  file(CONFIGURE OUTPUT ${include} @ONLY CONTENT [==[
if(EXISTS "@list@")
  include("@list@")
else()
  add_test("@arg_NAME@.not_built" "test_@arg_NAME@_is_not_built")
endif()
]==])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${include})
  if(arg_SEEDS)
    add_dependencies(tests_seeds ${target})
  endif()
endfunction()
