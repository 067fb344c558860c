/* e. A 1 ms ticker beside tasks that hog the CPU: how late the ticker's turns come.
 *
 * Tick k is due at start + k milliseconds, whether or not the ones before it were late: a ticker
 * that only asked for "1 ms from now" would leave out most of the ticks that it missed. The hogs
 * also run alone, in turns with the ticker's phases, to see what the ticker costs them. */
#include "weft_contrast.h"

#include <stdlib.h>

struct hogs {
  long hogs, phases;
  int64_t burn, length; /* of a hog's slice, of a phase */
  struct durations lateness;
  double alone, beside; /* units of work a second, all hogs together, without and with the ticker */
};

struct hog {
  int64_t until, burn;
  int64_t units; /* the result */
};

struct ticker {
  int64_t began, until;
  struct durations *lateness;
};

static int hog(void *arg) {
  struct hog *h = arg;
  int64_t units = 0;
  while (clock_ns() < h->until) {
    int r;
    units += burn(h->burn);
    if ((r = weft_yield()) < 0) return r;
  }
  h->units = units;
  return 0;
}

static int ticker(void *arg) {
  struct ticker *t = arg;
  int64_t due = t->began;
  while (due < t->until) {
    int64_t wait;
    int r;
    due += weft_ms(1);
    wait = due - clock_ns();
    if (wait > 0 && (r = weft_sleep(wait)) < 0) return r;
    durations_add(t->lateness, clock_ns() - due);
  }
  return 0;
}

/* Runs one phase; adds the hogs' units of work a second to *rate. */
static int phase(struct hogs *all, bool with_ticker, double *rate) {
  int64_t began = clock_ns(), until = began + all->length, units = 0;
  struct hog *each = need(calloc((size_t)all->hogs, sizeof *each));
  struct ticker tick = {.began = began, .until = until, .lateness = &all->lateness};
  weft_group group = WEFT_GROUP_INIT;
  int r;
  for (long i = 0; i < all->hogs; i++) {
    each[i] = (struct hog){.until = until, .burn = all->burn};
    weft_group_spawn(&group, hog, &each[i], &(weft_spawn_opts){.name = "hog"});
  }
  if (with_ticker) weft_group_spawn(&group, ticker, &tick, &(weft_spawn_opts){.name = "ticker"});
  r = weft_group_join(&group);
  for (long i = 0; i < all->hogs; i++) units += each[i].units;
  *rate += (double)units / ((double)(clock_ns() - began) * 1e-9) / (double)all->phases;
  free(each);
  return r;
}

static int beside_hogs(void *arg) {
  struct hogs *all = arg;
  for (long i = 0; i < all->phases; i++) {
    int r = phase(all, false, &all->alone);
    if (r >= 0) r = phase(all, true, &all->beside);
    if (r < 0) return r;
  }
  return 0;
}

int hogs_workload(struct program *p) {
  struct hogs all = {
      .hogs = program_number(p, "hogs", 4),
      .burn = weft_ms(program_number(p, "burn_ms", 10)),
      .length = weft_ms(program_number(p, "phase_ms", 1000)),
      .phases = program_number(p, "phases", 2),
  };
  int r;
  durations_init(&all.lateness, (size_t)(all.phases * (all.length / weft_ms(1) + 1)));
  r = contrast_run(p, beside_hogs, &all);
  program_say(p, "ticks", "%zu", all.lateness.count);
  durations_report(&all.lateness, p, "lateness");
  program_say(p, "hog_units_per_s", "%.0f", all.beside);
  program_say(p, "hog_units_per_s_alone", "%.0f", all.alone);
  program_say(p, "hog_progress", "%.4f", all.beside / all.alone);
  return r;
}
