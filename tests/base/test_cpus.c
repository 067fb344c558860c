/* Counting usable CPUs: the limits of cgroup trees that each test builds in a directory. */
#include "weft_test.h"

#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weft/errors.h>

#include "base/cpus.h"
#include "base/memory.h"
#include "base/sys.h"

/* ---- trees ---- */

static char root[PATH_MAX / 2];

static int make_root(void **state) {
  (void)state;
  const char *folder = getenv("TMPDIR");
  snprintf(root, sizeof root, "%s/weft-test-cpus-XXXXXX", folder && *folder ? folder : P_tmpdir);
  return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static int remove_root(void **state) {
  (void)state;
  return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes root/path and makes the directories above it. */
static void put(const char *path, const char *content) {
  char full[PATH_MAX];
  snprintf(full, sizeof full, "%s/%s", root, path);
  for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = '\0';
    mkdir(full, 0755);
    *slash = '/';
  }
  FILE *f = fopen(full, "w");
  assert_non_null(f);
  fputs(content, f);
  fclose(f);
}

static unsigned usable(unsigned affinity) {
  return weft__cpus_usable_at(root, affinity);
}

/* A machine with cgroup v2 alone, and us in the group at path. */
static void v2_machine(const char *path) {
  char line[PATH_MAX];
  snprintf(line, sizeof line, "0::%s\n", path);
  put("proc/self/cgroup", line);
  put("proc/self/mountinfo",
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
      "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
}

/* A machine with v1 alone, cpu and cpuacct mounted together. */
static void v1_machine(const char *cpu_path, const char *cpuset_path) {
  char lines[PATH_MAX];
  snprintf(lines, sizeof lines,
           "12:cpuset:%s\n11:memory:/elsewhere\n4:cpu,cpuacct:%s\n1:name=systemd:/\n", cpuset_path,
           cpu_path);
  put("proc/self/cgroup", lines);
  put("proc/self/mountinfo",
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
      "34 31 0:31 / /sys/fs/cgroup/cpuset rw shared:10 - cgroup cgroup rw,cpuset\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory\n");
}

/* ---- nothing to find ---- */

static void without_cgroups_the_affinity_mask_decides(void **state) {
  (void)state;
  CHECK_UINT(usable(6), 6);
  put("proc/self/cgroup", "0::/a\n");
  CHECK_UINT(usable(6), 6); /* no mountinfo */
  v2_machine("/a");
  CHECK_UINT(usable(6), 6); /* no files in the group */
  CHECK_UINT(usable(1), 1);
  CHECK_UINT(usable(0), 1);
}

/* ---- v2 ---- */

static void a_v2_quota_limits_and_fractions_round_up(void **state) {
  (void)state;
  static const struct {
    const char *cpu_max;
    unsigned cpus;
  } cases[] = {
      {"200000 100000\n", 2},   {"150000 100000\n", 2}, {"50000 100000\n", 1},
      {"1000 100000\n", 1},     {"100001 100000\n", 2}, {"max 100000\n", 8},
      {"900000 100000\n", 8},   {"75000 25000\n", 3},   {"300000 100000", 3},
      {"2000000 1000000\n", 2},
  };
  v2_machine("/job");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    put("sys/fs/cgroup/job/cpu.max", cases[i].cpu_max);
    if (usable(8) != cases[i].cpus) CHECK_FAIL("%s gives %u", cases[i].cpu_max, usable(8));
  }
}

static void the_tightest_ancestor_limits(void **state) {
  (void)state;
  v2_machine("/kubepods/pod1/app");
  put("sys/fs/cgroup/kubepods/cpu.max", "700000 100000\n");
  put("sys/fs/cgroup/kubepods/pod1/cpu.max", "250000 100000\n");
  put("sys/fs/cgroup/kubepods/pod1/app/cpu.max", "max 100000\n");
  CHECK_UINT(usable(16), 3);
  put("sys/fs/cgroup/kubepods/pod1/app/cpu.max", "100000 100000\n");
  CHECK_UINT(usable(16), 1);
  put("sys/fs/cgroup/kubepods/pod1/app/cpu.max", "max 100000\n");
  put("sys/fs/cgroup/kubepods/pod1/cpu.max", "max 100000\n");
  CHECK_UINT(usable(16), 7);
  put("sys/fs/cgroup/cpu.max", "200000 100000\n"); /* the mount point itself */
  CHECK_UINT(usable(16), 2);
}

static void a_v2_cpuset_limits(void **state) {
  (void)state;
  v2_machine("/a/b");
  put("sys/fs/cgroup/a/b/cpuset.cpus.effective", "0-3,8\n");
  CHECK_UINT(usable(16), 5);
  put("sys/fs/cgroup/a/cpuset.cpus.effective", "0,2\n");
  CHECK_UINT(usable(16), 2);
  put("sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
  CHECK_UINT(usable(16), 1);
}

static void a_group_beside_ours_does_not_limit(void **state) {
  (void)state;
  v2_machine("/a/ours");
  put("sys/fs/cgroup/a/other/cpu.max", "100000 100000\n");
  put("sys/fs/cgroup/a/ours/below/cpu.max", "100000 100000\n");
  put("sys/fs/cgroup/a/oursx/cpu.max", "100000 100000\n");
  CHECK_UINT(usable(8), 8);
}

/* ---- v1 ---- */

static void a_v1_quota_limits(void **state) {
  (void)state;
  v1_machine("/docker/x", "/");
  put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "150000\n");
  put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
  CHECK_UINT(usable(8), 2);
  put("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "-1\n");
  CHECK_UINT(usable(8), 8);
  put("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "50000\n");
  put("sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
  CHECK_UINT(usable(8), 1);
}

static void a_v1_cpuset_limits(void **state) {
  (void)state;
  v1_machine("/", "/docker/x");
  put("sys/fs/cgroup/cpuset/docker/x/cpuset.cpus", "0-2\n");
  put("sys/fs/cgroup/cpuset/cpuset.cpus", "0-63\n");
  CHECK_UINT(usable(64), 3);
  /* What is really granted beats what was asked for. */
  put("sys/fs/cgroup/cpuset/docker/x/cpuset.effective_cpus", "1\n");
  CHECK_UINT(usable(64), 1);
}

static void a_quota_without_its_period_limits_nothing(void **state) {
  (void)state;
  v1_machine("/x", "/x");
  put("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "100000\n");
  CHECK_UINT(usable(8), 8);
  put("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "0\n");
  CHECK_UINT(usable(8), 8);
}

/* ---- hybrid machines and containers ---- */

static void on_a_hybrid_machine_both_hierarchies_limit(void **state) {
  (void)state;
  put("proc/self/cgroup", "4:cpu:/svc\n3:cpuset:/svc\n0::/user.slice\n");
  put("proc/self/mountinfo",
      "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
      "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
  put("sys/fs/cgroup/cpu/svc/cpu.cfs_quota_us", "600000\n");
  put("sys/fs/cgroup/cpu/svc/cpu.cfs_period_us", "100000\n");
  CHECK_UINT(usable(16), 6);
  put("sys/fs/cgroup/cpuset/svc/cpuset.cpus", "0-4\n");
  CHECK_UINT(usable(16), 5);
  put("sys/fs/cgroup/unified/user.slice/cpu.max", "400000 100000\n");
  CHECK_UINT(usable(16), 4);
}

static void in_a_container_our_group_is_the_root_of_the_mount(void **state) {
  (void)state;
  /* No cgroup namespace: the path is the host's, and the mount shows only our part of it. */
  put("proc/self/cgroup", "4:cpu,cpuacct:/docker/0123/inner\n");
  put("proc/self/mountinfo",
      "32 31 0:29 /docker/0123 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n");
  put("sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "300000\n");
  put("sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
  CHECK_UINT(usable(8), 3);
  put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK_UINT(usable(8), 2);
}

static void a_group_outside_of_our_namespace_is_known_by_its_mount_point(void **state) {
  (void)state;
  v2_machine("/../../elsewhere");
  put("sys/fs/cgroup/cpu.max", "300000 100000\n");
  put("elsewhere/cpu.max", "100000 100000\n");
  put("sys/elsewhere/cpu.max", "100000 100000\n");
  CHECK_UINT(usable(8), 3);
}

static void a_mount_that_shows_other_groups_does_not_limit(void **state) {
  (void)state;
  put("proc/self/cgroup", "0::/mine\n");
  put("proc/self/mountinfo", "41 31 0:38 /theirs /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
                             "42 31 0:38 /min /mnt rw - cgroup2 cgroup2 rw\n");
  put("sys/fs/cgroup/cpu.max", "100000 100000\n");
  put("mnt/cpu.max", "100000 100000\n");
  CHECK_UINT(usable(8), 8);
}

static void a_mount_point_with_a_space_is_found(void **state) {
  (void)state;
  put("proc/self/cgroup", "0::/a\n");
  put("proc/self/mountinfo", "41 31 0:38 / /my\\040groups rw - cgroup2 cgroup2 rw\n");
  put("my groups/a/cpu.max", "200000 100000\n");
  CHECK_UINT(usable(8), 2);
}

/* ---- what cannot be parsed ---- */

static void garbage_limits_nothing(void **state) {
  (void)state;
  static const char *const cpu_max[] = {
      "",
      "\n",
      "x",
      "100000",
      "100000 ",
      "100000 x\n",
      "-1 100000",
      "0 100000\n",
      "100000 0\n",
      "1e5 100000\n",
      " 1000 100000\n",
      "100000  100000\n",
      "99999999999999999999999 100000\n",
  };
  static const char *const cpuset[] = {"", "\n", "x", "3-1\n", "0-\n", "-3\n", "0,,1\n", "0 1\n"};
  v2_machine("/a");
  for (size_t i = 0; i < sizeof cpu_max / sizeof cpu_max[0]; i++) {
    put("sys/fs/cgroup/a/cpu.max", cpu_max[i]);
    if (usable(8) != 8) CHECK_FAIL("cpu.max '%s' gives %u", cpu_max[i], usable(8));
  }
  put("sys/fs/cgroup/a/cpu.max", "max 100000\n");
  for (size_t i = 0; i < sizeof cpuset / sizeof cpuset[0]; i++) {
    put("sys/fs/cgroup/a/cpuset.cpus.effective", cpuset[i]);
    if (usable(8) != 8) CHECK_FAIL("cpuset '%s' gives %u", cpuset[i], usable(8));
  }
}

static void garbage_lines_are_passed_over(void **state) {
  (void)state;
  char mounts[24000];
  put("proc/self/cgroup", "\n:\n::\nx\n5\n0:\n0::\n0::relative\n7:cpu\n9:cpux,xcpu:/a\n0::/a\n");
  /* A line longer than any buffer, whose end looks like a mount when it is cut into pieces of 4095
   * bytes; then short ones of every wrong kind; then the real one. */
  memset(mounts, 'o', 2 * 4095);
  snprintf(mounts + 2 * 4095, sizeof mounts - 2 * 4095,
           "1 2 0:26 / /trap rw - cgroup2 x rw\n\n1\n1 2 3 4 5 6\n1 2 3 / /sys rw -\n"
           "1 2 3 / /sys rw - cgroup2\n1 2 3 / /sys rw - cgroup2 x\n - \n"
           "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
  put("trap/cpu.max", "100000 100000\n");
  put("proc/self/mountinfo", mounts);
  put("sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  CHECK_UINT(usable(8), 2);
}

static void a_path_that_is_too_long_is_passed_over(void **state) {
  (void)state;
  char line[PATH_MAX + 100] = "0::/";
  memset(line + 4, 'p', PATH_MAX + 50);
  strcpy(line + PATH_MAX + 54, "\n");
  put("proc/self/cgroup", line);
  put("proc/self/mountinfo", "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  put("sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(usable(8) >= 1);
}

/* ---- faults ---- */

static void it_answers_whatever_fails(void **state) {
  (void)state;
  v2_machine("/a/b");
  put("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  weft__sys_count();
  CHECK_UINT(usable(8), 3);
  uint64_t opens = weft__sys_calls(WEFT__SYS_open);
  uint64_t reads = weft__sys_calls(WEFT__SYS_read);
  CHECK_UINT(weft__sys_calls(WEFT__SYS_close), 3); /* no descriptor is left */
  for (uint64_t i = 1; i <= opens; i++) {
    weft__sys_fail(WEFT__SYS_open, i, WEFT_EMFILE, false);
    unsigned n = usable(8);
    CHECK(n == 3 || n == 8);
  }
  for (uint64_t i = 1; i <= reads; i++) {
    weft__sys_fail(WEFT__SYS_read, i, WEFT_EIO, false);
    unsigned n = usable(8);
    CHECK(n == 3 || n == 8);
    weft__sys_fail(WEFT__SYS_read, i, WEFT_EINTR, false);
    CHECK_UINT(usable(8), 3);
  }
  weft__sys_clear();
  weft__memory_fail(WEFT__MEMORY_OWN, 1, true);
  CHECK_UINT(usable(8), 8);
  weft__memory_fail_end();
}

static ssize_t three_bytes(int fd, void *buf, size_t len) {
  return weft__sys_real.read(fd, buf, len < 3 ? len : 3);
}

static void files_may_come_in_small_pieces(void **state) {
  struct weft__sys_table table = weft__sys_real;
  table.read = three_bytes;
  weft__sys_install(&table);
  garbage_lines_are_passed_over(state);
  weft__sys_install(NULL);
}

/* ---- the mask ---- */

static void the_affinity_mask_counts(void **state) {
  (void)state;
  cpu_set_t all, one;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  CHECK_UINT(weft__cpus_affinity(), CPU_COUNT(&all));
  size_t first = 0;
  while (!CPU_ISSET(first, &all)) first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  CHECK_UINT(weft__cpus_affinity(), 1);
  CHECK_UINT(weft__cpus_usable(), 1);
  assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
  CHECK(weft__cpus_usable() >= 1);
  CHECK(weft__cpus_usable() <= (unsigned)CPU_COUNT(&all));
}

/* A kernel with 8192 CPUs, of which the process may use 5000: it refuses smaller masks. */
static int a_large_machine(pid_t pid, size_t size, void *mask) {
  (void)pid;
  if (size < 1024) return WEFT_EINVAL;
  memset(mask, 0xff, 625);
  memset((char *)mask + 625, 0, 1024 - 625);
  return 1024;
}

static void masks_of_thousands_of_cpus_are_counted(void **state) {
  (void)state;
  struct weft__sys_table table = weft__sys_real;
  table.sched_getaffinity = a_large_machine;
  weft__sys_install(&table);
  CHECK_UINT(weft__cpus_affinity(), 5000);
  weft__sys_install(NULL);
  weft__sys_fail(WEFT__SYS_sched_getaffinity, 1, WEFT_ENOSYS, true);
  CHECK_UINT(weft__cpus_affinity(), 1);
  weft__sys_fail(WEFT__SYS_sched_getaffinity, 1, WEFT_EINVAL, true);
  CHECK_UINT(weft__cpus_affinity(), 1);
  weft__sys_clear();
}

#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

static const struct CMUnitTest tests[] = {
    TREE_TEST(without_cgroups_the_affinity_mask_decides),
    TREE_TEST(a_v2_quota_limits_and_fractions_round_up),
    TREE_TEST(the_tightest_ancestor_limits),
    TREE_TEST(a_v2_cpuset_limits),
    TREE_TEST(a_group_beside_ours_does_not_limit),
    TREE_TEST(a_v1_quota_limits),
    TREE_TEST(a_v1_cpuset_limits),
    TREE_TEST(a_quota_without_its_period_limits_nothing),
    TREE_TEST(on_a_hybrid_machine_both_hierarchies_limit),
    TREE_TEST(in_a_container_our_group_is_the_root_of_the_mount),
    TREE_TEST(a_group_outside_of_our_namespace_is_known_by_its_mount_point),
    TREE_TEST(a_mount_that_shows_other_groups_does_not_limit),
    TREE_TEST(a_mount_point_with_a_space_is_found),
    TREE_TEST(garbage_limits_nothing),
    TREE_TEST(garbage_lines_are_passed_over),
    TREE_TEST(a_path_that_is_too_long_is_passed_over),
    TREE_TEST(it_answers_whatever_fails),
    TREE_TEST(files_may_come_in_small_pieces),
    cmocka_unit_test(the_affinity_mask_counts),
    cmocka_unit_test(masks_of_thousands_of_cpus_are_counted),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
