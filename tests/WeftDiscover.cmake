# Run after a test program was linked: asks it for its tests and writes the file that tells ctest.
# Input: program, settings (see weft_add_test), output.

cmake_minimum_required(VERSION 3.25)
include(${settings})

# Listing runs no test, and a leak check at its exit would need ptrace on some machines.
set(ENV{ASAN_OPTIONS} detect_leaks=0)
execute_process(COMMAND ${emulator} ${program} --list
  OUTPUT_VARIABLE listing RESULT_VARIABLE status TIMEOUT 60)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${program} --list failed: ${status}\n${listing}")
endif()
string(REGEX MATCHALL "[^\n]+" tests "${listing}")
if(NOT tests)
  message(FATAL_ERROR "${program} --list names no test")
endif()

function(weft_quote out)
  list(REMOVE_ITEM ARGN "")
  set(${out} "[==[${ARGN}]==]" PARENT_SCOPE)
endfunction()

set(command "")
foreach(word IN LISTS checker emulator program)
  string(APPEND command " [==[${word}]==]")
endforeach()

set(script "")
function(weft_register test suffix)
  weft_quote(environment_list ${environment} ${ARGN})
  set(full ${name} ${test} ${suffix})
  set(only " --only [==[${test}]==]")
  if(checker)
    set(full ${name} ${suffix})
    set(only "")
    if(except)
      string(JOIN " " only " --except" ${except})
    endif()
  endif()
  list(JOIN full "." full)
  foreach(group smoke quick)
    if(full IN_LIST ${group})
      list(APPEND labels ${group})
    endif()
  endforeach()
  weft_quote(label_list ${labels} ${suffix})
  string(APPEND script "add_test([==[${full}]==]${command}${only})\n"
    "set_tests_properties([==[${full}]==] PROPERTIES TIMEOUT ${timeout} SKIP_RETURN_CODE 77\n"
    "  RUN_SERIAL ${serial} WORKING_DIRECTORY [==[${directory}]==]\n"
    "  LABELS ${label_list}\n  ENVIRONMENT ${environment_list})\n")
  # T5_...: a test of that rule (tests/conformance). A slow one is not run on the rule's account.
  if(NOT checker AND test MATCHES "^([A-Z]+[0-9]+)_" AND NOT "slow" IN_LIST labels)
    string(APPEND script "set_tests_properties([==[${full}]==] PROPERTIES"
      " FIXTURES_SETUP rule_${CMAKE_MATCH_1})\n")
  endif()
  set(script "${script}" PARENT_SCOPE)
endfunction()

if(checker)
  set(tests all) # of the program at once
endif()
foreach(test IN LISTS tests)
  if(variants)
    weft_register(${test} w1 WEFT_WORKERS=1)
    weft_register(${test} w4 WEFT_WORKERS=4)
    weft_register(${test} migrate WEFT_WORKERS=4 WEFT_MIGRATE=1)
  else()
    weft_register(${test} "")
  endif()
endforeach()

# Repeated under many seeds; WEFT_TEST_SEEDS in the environment of ctest asks for others.
function(weft_register_seeds test)
  foreach(regex IN LISTS seeds_exclude)
    if(test MATCHES "${regex}")
      return()
    endif()
  endforeach()
  weft_quote(environment_list ${environment})
  set(full "${name}.${test}.seeds")
  string(APPEND script
    "add_test([==[${full}]==]${command} --only [==[${test}]==] --seeds 1+${seeds})\n"
    "set_tests_properties([==[${full}]==] PROPERTIES TIMEOUT ${seeds_timeout}\n"
    "  SKIP_RETURN_CODE 77 WORKING_DIRECTORY [==[${directory}]==] LABELS seeds\n"
    "  ENVIRONMENT ${environment_list})\n")
  set(script "${script}" PARENT_SCOPE)
endfunction()

if(seeds)
  foreach(test IN LISTS tests)
    weft_register_seeds(${test})
  endforeach()
endif()
file(WRITE ${output} "${script}")
