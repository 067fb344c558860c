# The runs under valgrind: which test programs they take, and which tests cannot hold there. Included by
# tests/WeftTest.cmake in the build for valgrind.
#
# No report is suppressed: with libuv, cmocka and the C library as they are there is none.

# For scripts/test: the switch, the queues, and tasks that wait, end each other and use threads.
set(WEFT_VALGRIND_quick context deque api_await.w4 api_cancel.w4 api_group.w1 api_timeout.w1
  api_to_thread.w4)

# For tests/valgrind/check. A program with variants runs on one worker and on four.
set(WEFT_VALGRIND_smoke ${WEFT_VALGRIND_quick}
  # base and core
  atomics blocking blocking_attention check choice clock clock_line context_tools cpus errors futex
  list loop ring spin sys task_memory timers trace fdwait.w1 fdwait.w4
  # the public API
  api_exact api_faults api_fork_child api_misuse api_shutdown api_churn.w4
  # the process pool
  channel procpool.w1)
foreach(name await cancel gather group leftovers migration run sleep spawn submit timeout to_thread
    wait_for)
  list(APPEND WEFT_VALGRIND_smoke api_${name}.w1 api_${name}.w4)
endforeach()
list(REMOVE_DUPLICATES WEFT_VALGRIND_smoke)

# Not there: stack and memory (minutes), stack_refusal (more mappings than valgrind can count),
# overflow and procpool_crash (each crash is a report), blocking_growth (tells threads that compute
# from threads that wait by their CPU time, and valgrind lets only one of them run).

# It executes itself, which would start valgrind.
set(WEFT_VALGRIND_except_api_shutdown exit_in_a_task_ends_the_process
  # What is left behind after the timeout is held by threads that go on, and only possibly lost.
  R7_shutdown_timeout_ends_the_wait_with_etimedout)
# The C library keeps what describes the threads that the child of a fork does not have.
set(WEFT_VALGRIND_except_api_fork_child
  in_a_child_forked_by_a_foreign_thread_every_call_is_echild)
# valgrind 3.19 does not know pidfd_open, by which the test awaits the end of a process.
set(WEFT_VALGRIND_except_procpool a_cancel_kills_the_running_job_and_its_process_only)
# It forks where posix_spawn lets the child share its memory: what exec answers there is not heard of.
set(WEFT_VALGRIND_except_io_process what_keeps_a_program_from_running_is_told_by_the_spawn
  an_argument_that_is_too_long_is_e2big a_descriptor_that_is_not_open_is_ebadf)
