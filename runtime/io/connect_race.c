/* Several addresses: happy eyeballs.
 *
 * Each attempt is a task of a group that lives in the race's frame; the calling task begins them, and
 * waits meanwhile for news from them or for the time of the next one. The first connection is the
 * race's, under its lock; one that comes after it is closed by the task that has it. At the end what is
 * left is cancelled and awaited.
 */
#include <weft/group.h>

#include "base/memory.h"
#include "core/deadline.h"
#include "core/waitq.h"
#include "core/worker.h"
#include "io/connect.h"

#define STAGGER weft_ms(250)

struct race;

struct attempt {
  struct race *race; /* constant, as addr */
  const weft_addr *addr;
  int code; /* once it is over: 0 is a connection. Written by its task, read after the join */
};

struct race {
  const weft_connect_opts *opts;
  const void *site;
  struct weft__spin lock;    /* guards the next three */
  struct weft__waitq caller; /* which waits for news */
  unsigned failed;           /* attempts that the caller has not seen fail */
  weft_stream *winner;       /* or NULL */
  /* The caller's. */
  unsigned waiting; /* attempts that it has not seen fail */
  size_t begun, n;
  struct attempt *attempts;
  weft_group tasks;
};

static const struct weft__wait_kind waits_connect = {"a connection"};

static int try_one(void *arg) {
  struct attempt *a = arg;
  struct race *race = a->race;
  weft_stream *s = NULL;
  bool late = false;
  a->code = weft__connect_one(&s, a->addr, race->opts->local, race->site);
  weft__spin_lock(&race->lock);
  if (a->code < 0)
    race->failed++;
  else if (!race->winner)
    race->winner = s;
  else
    late = true;
  weft__waitq_wake_one(&race->caller);
  weft__spin_unlock(&race->lock);
  if (late) weft_stream_close(s);
  return 0;
}

static int begin(struct race *race) {
  struct attempt *a = &race->attempts[race->begun];
  int r = weft_group_spawn(&race->tasks, try_one, a, &(weft_spawn_opts){.name = "connect"});
  if (r < 0) return r;
  race->begun++;
  race->waiting++;
  return 0;
}

/* Under the lock, which it releases: waits for news, at most until the time of the next attempt. And not for
 * long: a task that got no stack has no news. */
static int wait_for_news(struct race *race, uint64_t next_at) {
  uint64_t until = weft__deadline_in(STAGGER);
  if (race->begun < race->n && next_at < until) until = next_at;
  int r = weft__waitq_wait_until(&race->caller, &race->lock, &waits_connect, race, until);
  return r == WEFT_ETIMEDOUT ? 0 : r;
}

/* Until there is a winner, or every attempt has failed: 0. */
static int run(struct race *race) {
  weft_ns stagger = race->opts->stagger ? race->opts->stagger : STAGGER;
  uint64_t next_at = 0;
  int r = 0;
  while (r == 0) {
    if (weft_group_errors(&race->tasks, NULL, 0) > 0) return WEFT_ENOMEM;
    weft__spin_lock(&race->lock);
    bool failed = race->failed > 0;
    race->waiting -= race->failed;
    race->failed = 0;
    bool more = race->begun < race->n;
    if (race->winner || (!more && race->waiting == 0)) {
      weft__spin_unlock(&race->lock);
      break;
    }
    if (more && (race->waiting == 0 || failed || weft__now() >= next_at)) {
      weft__spin_unlock(&race->lock);
      r = begin(race);
      next_at = weft__deadline_in(stagger);
    } else {
      r = wait_for_news(race, next_at);
    }
  }
  return r;
}

/* Ends what is left; the result of all. A task that got no stack is an error of the group, which ends the race
 * unless somebody has won it. */
static int finish(struct race *race, int r) {
  weft_group_cancel(&race->tasks);
  int joined = weft_group_join(&race->tasks);
  if (r == 0 || joined == WEFT_ECANCELED) r = joined;
  for (size_t i = 0; i < race->begun; i++) {
    const struct attempt *a = &race->attempts[i];
    if (a->code < 0 && a->code != WEFT_ECANCELED)
      weft__connect_note(race->opts->errors, a->addr, a->code);
  }
  if (race->winner && r != WEFT_ECANCELED) return 0;
  weft_stream_close(race->winner);
  return r < 0 ? r : race->attempts[0].code;
}

int weft__connect_race(weft_stream **ret, const weft_addr *addrs, size_t n,
                       const weft_connect_opts *o, const void *site) {
  struct race race = {.opts = o, .site = site, .n = n};
  race.attempts = weft__calloc(n, sizeof *race.attempts);
  if (!race.attempts) return WEFT_ENOMEM;
  for (size_t i = 0; i < n; i++)
    race.attempts[i] = (struct attempt){.race = &race, .addr = &addrs[i], .code = WEFT_ECANCELED};
  weft__waitq_init(&race.caller);
  int r = finish(&race, run(&race));
  weft__free(race.attempts);
  if (r == 0) *ret = race.winner;
  return r;
}
