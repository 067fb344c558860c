#include "stress.h"

extern const struct stress_workload stress_tree, stress_churn, stress_cancels, stress_timeouts,
    stress_groups, stress_sleepers, stress_hogs, stress_blocking, stress_submit, stress_fds,
    stress_processes, stress_leftovers, stress_stacks, stress_exact, stress_soup, stress_runtimes,
    stress_planted_mark, stress_planted_leak, stress_planted_descriptor, stress_planted_stall,
    stress_planted_log;

const struct stress_workload *const stress_workloads[] = {
    &stress_tree,
    &stress_churn,
    &stress_cancels,
    &stress_timeouts,
    &stress_groups,
    &stress_sleepers,
    &stress_hogs,
    &stress_blocking,
    &stress_submit,
    &stress_fds,
    &stress_processes,
    &stress_leftovers,
    &stress_stacks,
    &stress_exact,
    &stress_soup,
    &stress_runtimes,
    &stress_planted_mark,
    &stress_planted_leak,
    &stress_planted_stall,
    &stress_planted_log,
    &stress_planted_descriptor,
    NULL,
};
