/* weft-faults: every allocation and every system call of the scenarios fails in turn. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft/errors.h>

#include "counts.h"
#include "sweep.h"

static const char usage_text[] =
    "usage: weft-faults [--quick] [--only SCENARIO] [--most N] [--jobs N] [--limit S]\n"
    "                   [--seed N] [--summary FILE]\n"
    "       weft-faults --only SCENARIO POINT [--seed N] [--limit S]\n"
    "       weft-faults --list | --libuv | --self-test | --help\n"
    "\n"
    "Fails each point of the scenarios in turn, each in a process of its own, and prints a table.\n"
    "A point holds when every call gave success or a code that its header names, nothing crashed,\n"
    "leaked, hung or lost a task, and a run without faults works afterwards in the same process.\n"
    "Exit status 0 when all held.\n"
    "\n"
    "  --only SCENARIO  this one alone; with a POINT that point alone, with its output\n"
    "  --most N         of each series (one call, one error, one mode) at most N points, spread\n"
    "                   evenly (default 16)\n"
    "  --quick          --most 2\n"
    "  --jobs N         processes at a time (default: the CPUs)\n"
    "  --limit S        seconds until a scenario counts as hung (default 20, with a sanitizer 60)\n"
    "  --seed N         simulated from this seed, not with real threads: the counts are exact\n"
    "  --summary FILE   writes 'points crashes leaks hangs lost wrong' there\n"
    "  --list           the scenarios\n"
    "  --libuv          where libuv ends the process, and what is done about it\n"
    "  --self-test      the harness sees planted defects\n"
    "\n"
    "POINT is one of\n"
    "  --alloc N {--once | --on}     the runtime's N-th allocation (and all later ones)\n"
    "  --uv N {--once | --on}        libuv's\n"
    "  --call NAME --error CODE --nth N {--once | --thrice | --on}\n"
    "                                NAME as in base/sys.h; CODE such as ENOMEM, or SHORT\n"
    "  --descriptors N               room for N more descriptors\n"
    "  --none                        nothing fails; says what there is to fail\n";

static _Noreturn void usage(int status) {
  fputs(usage_text, status ? stderr : stdout);
  exit(status);
}

static uint64_t number(const char *text) {
  char *rest;
  uint64_t n = strtoull(text, &rest, 10);
  if (text[0] < '0' || text[0] > '9' || *rest != '\0') usage(2);
  return n;
}

enum { LIST = 'l', LIBUV = 'b', SELF_TEST = 't', NONE = '0', DESCRIPTORS = 'd', THRICE = '3' };

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"list", no_argument, NULL, LIST},
    {"libuv", no_argument, NULL, LIBUV},
    {"self-test", no_argument, NULL, SELF_TEST},
    {"quick", no_argument, NULL, 'q'},
    {"only", required_argument, NULL, 's'},
    {"most", required_argument, NULL, 'm'},
    {"jobs", required_argument, NULL, 'j'},
    {"limit", required_argument, NULL, 'L'},
    {"seed", required_argument, NULL, 'S'},
    {"summary", required_argument, NULL, 'f'},
    {"alloc", required_argument, NULL, 'a'},
    {"uv", required_argument, NULL, 'u'},
    {"call", required_argument, NULL, 'c'},
    {"error", required_argument, NULL, 'e'},
    {"nth", required_argument, NULL, 'n'},
    {"descriptors", required_argument, NULL, DESCRIPTORS},
    {"once", no_argument, NULL, '1'},
    {"thrice", no_argument, NULL, THRICE},
    {"on", no_argument, NULL, 'o'},
    {"none", no_argument, NULL, NONE},
    {NULL, 0, NULL, 0},
};

static void set_point(struct sweep *sweep, enum point_kind kind, uint64_t n) {
  sweep->one = true;
  sweep->point.kind = kind;
  sweep->point.n = n;
  if (kind != POINT_CALL) sweep->point.error = WEFT_ENOMEM;
}

static void take_option(struct sweep *sweep, int c, const char *value) {
  struct point *p = &sweep->point;
  switch (c) {
  case 'h': usage(0);
  case LIST: sweep->mode = SWEEP_LIST; break;
  case LIBUV: sweep->mode = SWEEP_LIBUV; break;
  case SELF_TEST: sweep->mode = SWEEP_SELF_TEST; break;
  case 'q': sweep->most = 2; break;
  case 's': sweep->only = value; break;
  case 'S': sweep->seed = value; break;
  case 'm': sweep->most = number(value); break;
  case 'j': sweep->jobs = (unsigned)number(value); break;
  case 'L': sweep->limit_s = (unsigned)number(value); break;
  case 'f': sweep->summary = value; break;
  case 'a': set_point(sweep, POINT_ALLOC, number(value)); break;
  case 'u': set_point(sweep, POINT_UV, number(value)); break;
  case 'n': set_point(sweep, POINT_CALL, number(value)); break;
  case NONE: set_point(sweep, POINT_NONE, 0); break;
  case DESCRIPTORS:
    set_point(sweep, POINT_DESCRIPTORS, number(value) + 1);
    p->error = WEFT_EMFILE;
    p->times = POINT_ON;
    break;
  case 'c':
    p->call = point_call_by_name(value);
    if (p->call == WEFT__SYS_CALLS) usage(2);
    break;
  case 'e':
    p->error = point_error_by_name(value);
    if (p->error == 0) usage(2);
    break;
  case '1': p->times = POINT_ONCE; break;
  case THRICE: p->times = POINT_THRICE; break;
  case 'o': p->times = POINT_ON; break;
  default: usage(2);
  }
}

int main(int argc, char **argv) {
  struct sweep sweep = {.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
                        .limit_s = COUNTS_ASAN || COUNTS_TSAN ? 60 : 20,
                        .most = 16};
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
    take_option(&sweep, c, optarg);
  if (optind != argc || sweep.jobs == 0 || sweep.limit_s == 0 || sweep.most == 0) usage(2);
  if (sweep.one && !sweep.only) usage(2);
  if (sweep.point.kind == POINT_CALL && sweep.point.error == 0) usage(2);
  if (sweep.one && sweep.point.kind != POINT_NONE && sweep.point.times == 0) usage(2);
  return sweep_run(&sweep);
}

/* ---- what the sanitizers are to do ---- */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
  return "detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1:"
         "exitcode=99";
}

const char *__ubsan_default_options(void) {
  return "print_stacktrace=1:halt_on_error=1:exitcode=99";
}
