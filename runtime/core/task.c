#include "core/task.h"

#include <string.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/debug.h"
#include "core/ready.h"
#include "core/shutdown.h"
#include "core/strand.h"
#include "core/worker.h"

int weft__handle_error(weft_task h) {
  if (h.slot_) return 0;
  int64_t code = (int64_t)h.key_;
  return code < 0 ? (int)code : WEFT_EINVAL;
}

weft_task weft__handle_failed(int error) {
  return (weft_task){.slot_ = NULL, .key_ = (uint64_t)(int64_t)error};
}

void weft__task_pool_init(struct weft__task_pool *p, struct weft__runtime *rt) {
  memset(p, 0, sizeof *p);
  p->rt = rt;
}

void weft__task_pool_fini(struct weft__task_pool *p) {
  struct weft__task_slab *s = weft__load_acquire_ptr(&p->slabs);
  while (s) {
    struct weft__task_slab *next = s->next;
    weft__free(s);
    s = next;
  }
  weft__task_pool_init(p, p->rt);
}

static void cache_push(struct weft__task_cache *c, struct weft__task *t) {
  t->link[WEFT__LINK_READY] = c->head;
  c->head = t;
  c->count++;
}

/* Publishes a new slab to walkers and puts its objects into the cache, lowest address on top. */
static bool add_slab(struct weft__task_pool *p, struct weft__task_cache *c) {
  struct weft__task_slab *s = weft__alloc_aligned(64, sizeof *s);
  if (!s) return false;
  if ((uint64_t)(uintptr_t)(s + 1) >> WEFT__TASK_ADDRESS_BITS != 0) {
    weft__free(s); /* no memory that can be used */
    return false;
  }
  memset(s, 0, sizeof *s);
  for (int i = WEFT__TASKS_PER_SLAB - 1; i >= 0; i--) {
    s->tasks[i].rt = p->rt;
    cache_push(c, &s->tasks[i]);
  }
  void *head = weft__load_relaxed_ptr(&p->slabs);
  do {
    s->next = head;
  } while (!weft__cas_ptr(&p->slabs, &head, s));
  return true;
}

/* Takes up to a slab's worth of objects that other workers gave back. */
static void take_spare(struct weft__task_pool *p, struct weft__task_cache *c) {
  weft__spin_lock(&p->lock);
  for (int i = 0; i < WEFT__TASKS_PER_SLAB && p->spare; i++) {
    struct weft__task *t = p->spare;
    p->spare = t->link[WEFT__LINK_READY];
    cache_push(c, t);
  }
  weft__spin_unlock(&p->lock);
}

static void give_spare(struct weft__task_pool *p, struct weft__task_cache *c, uint32_t keep) {
  weft__spin_lock(&p->lock);
  while (c->count > keep) {
    struct weft__task *t = c->head;
    c->head = t->link[WEFT__LINK_READY];
    c->count--;
    t->link[WEFT__LINK_READY] = p->spare;
    p->spare = t;
  }
  weft__spin_unlock(&p->lock);
}

void weft__task_cache_drain(struct weft__task_pool *p, struct weft__task_cache *c) {
  give_spare(p, c, 0);
}

bool weft__task_cache_fill(struct weft__task_pool *p, struct weft__task_cache *c) {
  take_spare(p, c);
  return c->head || add_slab(p, c);
}

void weft__task_free_slow(struct weft__task_pool *p, struct weft__task_cache *c,
                          struct weft__task *t) {
  if (t->has_opts) {
    weft__free(t->copy);
    t->copy = NULL;
    weft__task_set_name(t, NULL);
    t->home = NULL;
    t->stack_size = 0;
    t->proc_death = 0;
    weft__env_drop(t->env);
    t->env = 0;
    if (t->heritage) weft__heritage_drop(t->heritage);
    t->heritage = NULL;
    if (t->odd & WEFT__STRAND) weft__strand_unref(t->strand);
    t->strand = NULL;
    t->odd = 0;
    t->has_opts = false;
  }
  struct weft__task_cache foreign = {0};
  weft__task_recycle(c ? c : &foreign, t);
  if (!c)
    weft__task_cache_drain(p, &foreign);
  else if (c->count > WEFT__TASK_CACHE_MAX)
    give_spare(p, c, WEFT__TASK_CACHE_MAX / 2);
}

int weft__done_watch(struct weft__task *t, uint32_t key, struct weft__waiter *rec) {
  weft__spin_lock(&t->lock);
  uint32_t bits = weft__load_relaxed_u32(&t->watched);
  if (!(bits & WEFT__WATCHED)) weft__list_init(&t->watchers);
  weft__list_push_back(&t->watchers, &rec->link);
  /* Dekker with weft__task_finish: store watched, load word; it stores word, loads watched. */
  weft__store_seq_u32(&t->watched, bits | WEFT__WATCHED);
  uint64_t word = weft__load_seq_u64(&t->word);
  int r = 0;
  if (weft__word_key(word) != key || weft__word_phase(word) == WEFT__FREE)
    r = WEFT_ESTALE;
  else if (weft__word_phase(word) == WEFT__DONE)
    r = 1;
  if (r == 1) rec->code = t->code; /* before DONE it is still being written */
  if (r != 0) weft__list_remove(&rec->link);
  weft__spin_unlock(&t->lock);
  return r;
}

void weft__done_unwatch(struct weft__task *t, struct weft__waiter *rec) {
  weft__spin_lock(&t->lock);
  weft__list_remove(&rec->link);
  weft__spin_unlock(&t->lock);
}

bool weft__gate_open(struct weft__gate *g, int error) {
  if (weft__xchg_u32(&g->left, 0) == 0) return false;
  g->error = error;
  return true;
}

bool weft__waiter_fire(struct weft__waiter *rec, int code) {
  struct weft__gate *g = rec->gate;
  rec->code = code;
  rec->fired = true;
  if (g && g->event) {
    g->event(g, rec);
    return false;
  }
  if (g) {
    if (g->fail_fast && code < 0 && !(g->spare_cancelled && code == WEFT_ECANCELED)) {
      if (!weft__gate_open(g, code)) return false;
    } else {
      uint32_t left = weft__load_relaxed_u32(&g->left);
      do {
        if (left == 0) return false;
      } while (!weft__cas_u32(&g->left, &left, left - 1));
      if (left != 1) return false;
    }
  }
  return weft__claim_win(&rec->task->word, rec->ticket, WEFT__BY_EVENT) == WEFT__WON_PARKED;
}

void weft__report_failure(struct weft__task *t) {
  if (t->code >= 0 || t->code == WEFT_ECANCELED) return;
  char label[WEFT__LABEL];
  weft__task_label(t, label, sizeof label);
  weft__report(t->rt, t, &(weft_report){.kind = WEFT_REPORT_TASK, .code = t->code},
               "task %s failed and nobody awaits it: %s (%s)", label, weft_err_name(t->code),
               weft_strerror(t->code));
}

void weft__let_go(struct weft__task *t) {
  weft__spin_lock(&t->lock);
  uint32_t bits = weft__load_relaxed_u32(&t->watched);
  /* Dekker with weft__task_finish, as in weft__done_watch: exactly one of the two reports. */
  weft__store_seq_u32(&t->watched, bits | WEFT__DETACHED);
  bool ended = weft__word_phase(weft__load_seq_u64(&t->word)) == WEFT__DONE;
  if (ended) weft__store_relaxed_u32(&t->watched, bits);
  weft__spin_unlock(&t->lock);
  if (ended) weft__report_failure(t);
  struct weft__worker *w = weft__self();
  bool own = w && w->rt == t->rt;
  weft__task_unref(&t->rt->tasks, own ? &w->cache : NULL, t, 1);
}

void weft__task_check_end(struct weft__task *t) {
  weft__spin_lock(&t->lock);
  weft__store_relaxed_u32(&t->watched, weft__load_relaxed_u32(&t->watched) | WEFT__CHECKED);
  weft__spin_unlock(&t->lock);
}

/* The slow half of finishing: under the lock, so that after weft__done_unwatch has had the lock no
 * record is touched any more. The winners are made ready after it: making ready may take locks. */
void weft__task_tell(struct weft__task *t, int code) {
  struct weft__task *ready = NULL;
  struct weft__task **tail = &ready;
  weft__spin_lock(&t->lock);
  uint32_t bits = weft__load_relaxed_u32(&t->watched);
  struct weft__list *l;
  while ((bits & WEFT__WATCHED) && (l = weft__list_pop_front(&t->watchers)) != NULL) {
    struct weft__waiter *rec = weft__container_of(l, struct weft__waiter, link);
    struct weft__task *waiting = rec->task;
    if (weft__waiter_fire(rec, code)) {
      waiting->link[WEFT__LINK_READY] = NULL;
      *tail = waiting;
      tail = &waiting->link[WEFT__LINK_READY];
    }
  }
  bits = weft__load_relaxed_u32(&t->watched); /* a record of a shared task may have let go of it */
  weft__store_relaxed_u32(&t->watched, 0);
  weft__spin_unlock(&t->lock);
  if (bits & WEFT__CHECKED) weft__debug_task_end(t);
  if (bits & WEFT__DETACHED) weft__report_failure(t);
  weft__make_ready_chain(ready);
}
