/* weft-stress: rounds of every workload in turn until the time is over. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/choice.h"
#include "base/cpus.h"
#include "report.h"

struct stress_options stress_options = {
    .seconds = 10, .points = -1, .stall = COUNTS_PICK(60, 180, 300)};

static const char *only;
static struct stress_report reports[64];
static unsigned selected;

static const char usage[] =
    "usage: weft-stress [--seconds N] [--seed S] [--only WORKLOAD] [--workers N] [--hogs N]\n"
    "                   [--points N] [--stall N] [--hold] [--list] [--help]\n"
    "\n"
    "Runs the workloads on real threads, disturbed on purpose, and checks them.\n"
    "\n"
    "  --seconds N   for all workloads together (10); each gets the same share\n"
    "  --seed S      of the first round of each; the next rounds count up from it\n"
    "  --only W      one workload only; --list names them\n"
    "  --workers N   most workers of a runtime (twice the CPUs and two, at most 24)\n"
    "  --hogs N      most computing threads beside a round (as many as CPUs)\n"
    "  --points N    one of so many marked points acts, 0: none; by default each round draws\n"
    "  --stall N     seconds without progress that count as a hang (60, more under sanitizers)\n"
    "  --hold        stop at a hang instead of ending, so that a debugger can be attached\n"
    "\n"
    "Exit status: 0, 1 when something was violated, 2 for wrong arguments; a hang aborts.\n";

static _Noreturn void wrong(const char *text) {
  fprintf(stderr, "weft-stress: %s\n%s", text, usage);
  exit(2);
}

static double number(const char *text, double least, double most) {
  char *end;
  double n = strtod(text, &end);
  if (end == text || *end != '\0' || !(n >= least && n <= most)) wrong("a number is out of range");
  return n;
}

static void list_workloads(void) {
  for (const struct stress_workload *const *w = stress_workloads; *w; w++)
    printf("%-12s %s\n", (*w)->name, (*w)->about);
}

static void parse(int argc, char **argv) {
  enum { SECONDS = 1, SEED, ONLY, WORKERS, HOGS, POINTS, STALL, HOLD, LIST, HELP };
  static const struct option options[] = {{"seconds", required_argument, NULL, SECONDS},
                                          {"seed", required_argument, NULL, SEED},
                                          {"only", required_argument, NULL, ONLY},
                                          {"workers", required_argument, NULL, WORKERS},
                                          {"hogs", required_argument, NULL, HOGS},
                                          {"points", required_argument, NULL, POINTS},
                                          {"stall", required_argument, NULL, STALL},
                                          {"hold", no_argument, NULL, HOLD},
                                          {"list", no_argument, NULL, LIST},
                                          {"help", no_argument, NULL, HELP},
                                          {NULL, 0, NULL, 0}};
  struct stress_options *o = &stress_options;
  char *end = NULL;
  int c;
  while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
    switch (c) {
    case SECONDS:
      o->seconds = number(optarg, 0, 1e9);
      break;
    case SEED:
      o->seed = strtoull(optarg, &end, 0);
      if (end == optarg || *end != '\0') wrong("the seed is no number");
      break;
    case ONLY:
      only = optarg;
      break;
    case WORKERS:
      o->workers = (unsigned)number(optarg, 1, 256);
      break;
    case HOGS:
      o->hogs = (unsigned)number(optarg, 0, 1024);
      break;
    case POINTS:
      o->points = (int)number(optarg, 0, 1e9);
      break;
    case STALL:
      o->stall = number(optarg, 1, 1e6);
      break;
    case HOLD:
      o->hold = true;
      break;
    case LIST:
      list_workloads();
      exit(0);
    case HELP:
      printf("%s", usage);
      exit(0);
    default:
      wrong("that is no option");
    }
  }
  if (optind < argc) wrong("that is no option");
}

static void select_workloads(void) {
  for (const struct stress_workload *const *w = stress_workloads; *w; w++) {
    bool wanted = only ? strcmp(only, (*w)->name) == 0 : !((*w)->flags & STRESS_PLANTED);
    if (!wanted) continue;
    if (selected == sizeof reports / sizeof reports[0]) abort();
    reports[selected++].workload = *w;
  }
  if (selected == 0) wrong("no workload has that name (--list)");
}

/* Where every atomic operation is a point most of them have to do nothing. */
static unsigned draw_rate(struct weft__rng *rng) {
  static const unsigned rates[] = {0, 16384, 4096, 1024, 256, 64};
  static const unsigned marked_rates[] = {0, 4096, 1024, 256, 64, 16};
  if (stress_options.points >= 0) return (unsigned)stress_options.points;
  uint32_t i = stress_draw(rng, sizeof rates / sizeof rates[0]);
  return WEFT_POINTS ? rates[i] : marked_rates[i];
}

/* One round with everything around it. */
static void disturbed_round(const struct stress_workload *w, uint64_t seed) {
  struct weft__rng around, rng;
  struct stress_round r;
  struct stress_hogs hogs;
  weft__rng_init(&around, seed, UINT64_MAX);
  stress_points_set(draw_rate(&around), seed);
  stress_round_init(&r, w, seed, &rng);
  if (stress_one_in(&around, 4))
    setenv("WEFT_MIGRATE", "1", 1);
  else
    unsetenv("WEFT_MIGRATE");
  bool quiet = stress_one_in(&around, 2);
  stress_hogs_start(&hogs, quiet ? 0 : stress_draw(&around, stress_options.hogs + 1), &around);
  w->round(&r);
  stress_hogs_stop(&hogs);
}

static void check_remains(const struct stress_remains *before) {
  struct stress_remains now;
  stress_remains(&now, before->threads);
  EXPECT_INT(now.descriptors, before->descriptors);
  EXPECT_INT(now.threads, before->threads);
  EXPECT_INT(now.blocks, before->blocks);
  EXPECT_INT(now.bytes, before->bytes);
}

static void one_round(struct stress_report *report) {
  static int threads; /* while no round runs: main, the watching thread, what a sanitizer has */
  struct stress_remains before;
  uint64_t seed = stress_options.seed + report->rounds;
  stress_report_current(report, seed);
  stress_remains(&before, threads ? threads : 1000);
  threads = before.threads;
  disturbed_round(report->workload, seed);
  check_remains(&before);
  report->broken = stress_failed();
  report->rounds++;
}

static double seconds_now(void) {
  return (double)weft_now() / 1e9;
}

/* Each workload gets its share in slices of about two seconds, so that a long run interleaves. */
static void run_all(void) {
  double begin = seconds_now(), next_word = 60;
  double slice = stress_options.seconds / selected;
  int passes = (int)(slice / 2) + 1;
  slice /= passes;
  for (int pass = 0; pass < passes && !stress_failed(); pass++)
    for (unsigned i = 0; i < selected && !stress_failed(); i++) {
      struct stress_report *report = &reports[i];
      double from = seconds_now();
      /* A round that is over before it is late: a long one is made up for by fewer rounds. */
      do one_round(report);
      while (!stress_failed() && report->seconds + seconds_now() - from < slice * (pass + 1));
      report->seconds += seconds_now() - from;
      if (seconds_now() - begin < next_word) continue;
      next_word += 60;
      fprintf(stderr, "weft-stress: %.0f of %.0f s\n", seconds_now() - begin,
              stress_options.seconds);
    }
}

static void prepare(void) {
  for (unsigned i = 0; i < selected; i++) {
    const struct stress_workload *w = reports[i].workload;
    stress_report_current(&reports[i], stress_options.seed);
    if (w->prepare && !EXPECT_INT(w->prepare(), 0)) exit(1);
  }
}

static int nothing(void *arg) {
  (void)arg;
  return 0;
}

/* What stays for good after a first run: a pipe of libuv's, and what beginnings allocate once. */
static void settle(void) {
  EXPECT_INT(weft_run(nothing, NULL, NULL), 0);
}

static int finish(double seconds) {
  uint64_t rounds = 0;
  stress_report_head();
  for (unsigned i = 0; i < selected; i++) {
    rounds += reports[i].rounds;
    stress_report_line(&reports[i]);
  }
  for (unsigned i = 0; i < selected; i++) {
    const struct stress_workload *w = reports[i].workload;
    stress_report_current(&reports[i], 0);
    if (w->finish) EXPECT_INT(w->finish(), 0);
  }
  printf("%s: %u workloads, %" PRIu64 " rounds, %.0f s, %" PRIu64 " points acted, seed %" PRIu64
         "\n",
         stress_failed() ? "VIOLATED" : "nothing violated", selected, rounds, seconds,
         stress_points_acted(), stress_options.seed);
  return stress_failed() ? 1 : 0;
}

int main(int argc, char **argv) {
  unsigned cpus = weft__cpus_usable();
  stress_options.workers = 2 * cpus + 2 < 24 ? 2 * cpus + 2 : 24;
  stress_options.hogs = cpus;
  stress_options.seed = (uint64_t)weft_now() >> 10;
  parse(argc, argv);
  select_workloads();
  signal(SIGPIPE, SIG_IGN);
  unsetenv("WEFT_SEED"); /* it would make the runs simulated ones */
  prepare();
  settle();
  stress_points_set(0, stress_options.seed);
  stress_watch_start();
  double begin = seconds_now();
  run_all();
  double seconds = seconds_now() - begin;
  stress_watch_stop();
  return finish(seconds);
}
