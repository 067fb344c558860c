/* Tasks from outside: plain threads and the tasks of another runtime submit to a runtime while it
 * works, and go on while it shuts down. What was accepted while the main task waited ran; what was
 * accepted later ran or was cancelled before it began; nothing runs once weft_run has returned. */
#include "base/choice.h"
#include "stress.h"

enum { MOST = 6, MOST_WAITING = 100 };

struct target {
  weft_runtime rt;
  int quota;              /* of the first part */
  atomic_bool over;       /* weft_run has returned */
  struct latch submitted; /* submitters that are through with the first part */
};

struct submitter {
  struct target *target;
  struct stress_round *inner; /* runs inside a runtime of its own, or NULL */
  struct weft__rng rng;
  pthread_t thread;
  int accepted, refused;
  atomic_int ran; /* release by the tasks, acquire by who waits for them */
};

struct copied {
  struct submitter *from;
  int check;
};

static int add_one(void *arg) {
  struct submitter *s = arg;
  stress_count(STRESS_TASKS, 1);
  atomic_fetch_add_explicit(&s->ran, 1, memory_order_release);
  return 0;
}

static int count_copied(void *arg) {
  struct copied *c = arg;
  EXPECT_INT(c->check, 4711);
  return add_one(c->from);
}

static bool submit_one(struct submitter *s) {
  struct copied c = {s, 4711};
  int r = stress_one_in(&s->rng, 4)
              ? weft_submit(s->target->rt, count_copied, &c,
                            &(weft_spawn_opts){.arg_size = sizeof c, .name = "copied"})
              : weft_submit(s->target->rt, add_one, s, NULL);
  s->accepted += r == 0;
  s->refused += r != 0;
  return r == 0 || !EXPECT_INT(r, WEFT_ECLOSED);
}

static int submit_all(void *arg) {
  struct submitter *s = arg;
  for (int i = 0; i < s->target->quota; i++) EXPECT(submit_one(s));
  latch_hit(&s->target->submitted);
  while (!atomic_load(&s->target->over) && s->refused < 50) {
    /* No more than the target can take: a queue of millions shows nothing. */
    int waiting = s->accepted - atomic_load_explicit(&s->ran, memory_order_relaxed);
    if (waiting < MOST_WAITING) submit_one(s);
    if (s->inner)
      EXPECT_INT(weft_yield(), 0);
    else
      sched_yield();
  }
  return 0;
}

static void *submitter_thread(void *arg) {
  struct submitter *s = arg;
  if (s->inner)
    EXPECT_INT(stress_run(s->inner, submit_all, s), 0);
  else
    submit_all(s);
  return NULL;
}

struct meeting {
  struct target target;
  int n;
  uint32_t yields;
  struct submitter s[MOST];
};

static int submit_main(void *arg) {
  struct meeting *m = arg;
  m->target.rt = weft_runtime_current();
  for (int i = 0; i < m->n; i++) m->s[i].thread = stress_thread(submitter_thread, &m->s[i]);
  EXPECT_INT(latch_wait(&m->target.submitted, m->n), 0);
  for (int i = 0; i < m->n; i++)
    while (atomic_load_explicit(&m->s[i].ran, memory_order_acquire) < m->target.quota)
      if (!EXPECT_INT(weft_yield(), 0)) break;
  for (uint32_t i = 0; i < m->yields; i++) EXPECT_INT(weft_yield(), 0);
  return 1;
}

static void submit_round(struct stress_round *r) {
  struct meeting *m = stress_alloc(1, sizeof *m);
  struct stress_round inner[MOST];
  struct weft__rng rngs[MOST];
  int ran[MOST];
  m->n = 1 + (int)stress_draw(r->rng, MOST);
  m->yields = stress_draw(r->rng, 10);
  m->target.quota = (int)stress_draw(r->rng, (uint32_t)stress_many(600));
  for (int i = 0; i < m->n; i++) {
    m->s[i].target = &m->target;
    stress_rng(&m->s[i].rng, r, (uint64_t)i);
    if (i % 3 != 2) continue;
    stress_round_init(&inner[i], r->workload, r->seed + 1000 + (uint64_t)i, &rngs[i]);
    inner[i].opts.workers = 1 + i / 3;
    inner[i].opts.exact = false;
    m->s[i].inner = &inner[i];
  }
  r->leaves = true;
  EXPECT_INT(stress_run(r, submit_main, m), 1);
  for (int i = 0; i < m->n; i++) ran[i] = atomic_load(&m->s[i].ran);
  atomic_store(&m->target.over, true);
  for (int i = 0; i < m->n; i++) {
    pthread_join(m->s[i].thread, NULL);
    EXPECT_INT(atomic_load(&m->s[i].ran), ran[i]);
    EXPECT(ran[i] >= m->target.quota && ran[i] <= m->s[i].accepted);
  }
  free(m);
}

const struct stress_workload stress_submit = {
    .name = "submit",
    .about = "tasks from threads and other runtimes, while a runtime works and while it ends",
    .round = submit_round,
    .flags = STRESS_EXACT_TOO,
};
