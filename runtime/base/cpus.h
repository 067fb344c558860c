/* How many CPUs the process may really use: the number of workers by default.
 *
 * The smallest of the affinity mask, the cpuset of every visible cgroup up to the root, and the CPU
 * quota of every visible cgroup up to the root, for cgroup v2 (cpu.max, cpuset.cpus.effective) and
 * v1 (cpu.cfs_quota_us / cpu.cfs_period_us, cpuset.cpus). A fraction of a CPU counts as one more
 * CPU: a quota of 1.5 gives 2, of 0.5 gives 1. What is missing or cannot be parsed limits nothing.
 */
#ifndef WEFT_BASE_CPUS_H
#define WEFT_BASE_CPUS_H

/* At least 1. Any thread; reads files, so call it once. */
unsigned weft__cpus_usable(void);

/* The same from proc/self/cgroup and proc/self/mountinfo under root (whose mount points are under
 * root too), with affinity CPUs allowed by the affinity mask. */
unsigned weft__cpus_usable_at(const char *root, unsigned affinity);

/* The CPUs in the affinity mask of the calling thread, of any size; 1 when it cannot be read. */
unsigned weft__cpus_affinity(void);

#endif
