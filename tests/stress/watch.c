/* The thread that looks for progress. When nothing happened for too long it describes every runtime
 * that runs (the tasks that are alive, what each worker does, the blocking pool) and ends the
 * process with abort, so that a core file or a debugger shows the stacks.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/choice.h"
#include "core/worker.h"
#include "stress.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct stress_round *rounds; /* guarded by lock, as the next field of each */
static bool stop;                   /* guarded by lock */
static pthread_t watcher;

enum { SHOWN_TASKS = 60 };

void stress_watch_add(struct stress_round *r) {
  pthread_mutex_lock(&lock);
  r->next = rounds;
  rounds = r;
  pthread_mutex_unlock(&lock);
}

void stress_watch_remove(struct stress_round *r) {
  pthread_mutex_lock(&lock);
  struct stress_round **at = &rounds;
  while (*at != r) at = &(*at)->next;
  *at = r->next;
  pthread_mutex_unlock(&lock);
}

static void show_tasks(struct weft__runtime *rt) {
  unsigned shown = 0, more = 0;
  for (struct weft__task_slab *s = weft__load_acquire_ptr(&rt->tasks.slabs); s; s = s->next)
    for (int i = 0; i < WEFT__TASKS_PER_SLAB; i++) {
      struct weft__task *t = &s->tasks[i];
      uint64_t word = weft__load_acquire_u64(&t->word);
      char line[384];
      if (weft__word_phase(word) == WEFT__FREE || weft__word_phase(word) == WEFT__DONE) continue;
      if (shown == SHOWN_TASKS) {
        more++;
      } else if (weft_task_describe(weft__handle(t, word), line, sizeof line) > 0) {
        shown++;
        fprintf(stderr, "    %s; word %llx, watched %u\n", line, (unsigned long long)word,
                weft__load_relaxed_u32(&t->watched));
      }
    }
  if (more > 0) fprintf(stderr, "    and %u more\n", more);
}

static void show_workers(struct weft__runtime *rt) {
  for (unsigned i = 0; i < rt->nworkers + rt->nreserves; i++) {
    struct weft__worker *w = &rt->workers[i];
    fprintf(stderr,
            "    %s %u: slice %u (%s), park %u, lease %u, surplus %d, slices %llu, steals %llu, "
            "parks %llu\n",
            w->reserve ? "reserve" : "worker", w->index, weft__load_relaxed_u32(&w->slice),
            weft__load_relaxed_u32(&w->slice) & 1 ? "in a task" : "in the scheduler",
            weft__load_relaxed_u32(&w->park), weft__load_relaxed_u32(&w->lease),
            weft__worker_surplus(w), (unsigned long long)weft__counter_read(&w->counters.tasks_run),
            (unsigned long long)weft__counter_read(&w->counters.steals),
            (unsigned long long)weft__counter_read(&w->counters.parks));
  }
}

static void show_pool(struct weft__blocking *b) {
  if (pthread_mutex_trylock(&b->lock) != 0) {
    fprintf(stderr, "    blocking pool: locked\n");
    return;
  }
  fprintf(stderr,
          "    blocking pool: %u threads, %u awake, %u blocked, %u searching, %zu queued, "
          "incoming %p, attention %u%s\n",
          b->threads, b->awake, b->blocked, b->searching, b->queued,
          weft__load_relaxed_ptr(&b->incoming), weft__load_relaxed_u32(&b->attention),
          b->ticking ? ", ticking" : "");
  pthread_mutex_unlock(&b->lock);
}

static void show_runtime(struct weft__runtime *rt) {
  fprintf(stderr, "  runtime %llu: life %u, %llu tasks alive, %u parked, %u searching\n",
          (unsigned long long)rt->id, weft__load_relaxed_u32(&rt->life),
          (unsigned long long)weft__tasks_live(rt), weft__load_relaxed_u32(&rt->parked),
          weft__load_relaxed_u32(&rt->searching));
  show_pool(&rt->blocking);
  show_workers(rt);
  show_tasks(rt);
}

/* Reads what others write: the process is about to end. */
static void describe(void) {
  struct stress_now now = stress_now();
  fprintf(stderr, "weft-stress: no progress for %.0f s in %s; again with --only %s --seed %llu\n",
          stress_options.stall, now.workload->name, now.workload->name,
          (unsigned long long)now.seed);
  Dl_info program;
  if (dladdr((const void *)(uintptr_t)stress_watch_start, &program))
    fprintf(stderr, " the program lies at %p\n", program.dli_fbase);
  for (struct stress_round *r = rounds; r; r = r->next) {
    struct weft__runtime *rt = atomic_load(&r->rt);
    fprintf(stderr, " round %s, seed %llu, %d workers%s%s%s\n", r->workload->name,
            (unsigned long long)r->seed, r->opts.workers, r->opts.exact ? ", exact" : "",
            r->opts.no_reserve ? ", no reserves" : "", r->opts.no_spin ? ", no spinning" : "");
    if (rt) show_runtime(rt);
  }
  fflush(NULL);
}

static void *watch(void *arg) {
  uint64_t seen = 0;
  struct timespec since;
  (void)arg;
  clock_gettime(CLOCK_REALTIME, &since);
  pthread_mutex_lock(&lock);
  while (!stop) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    pthread_cond_timedwait(&changed, &lock, &until);
    uint64_t progress = stress_progress();
    clock_gettime(CLOCK_REALTIME, &until);
    if (progress != seen) since = until;
    seen = progress;
    if ((double)(until.tv_sec - since.tv_sec) < stress_options.stall) continue;
    describe();
    if (stress_options.hold) raise(SIGSTOP);
    abort();
  }
  pthread_mutex_unlock(&lock);
  return NULL;
}

void stress_watch_start(void) {
  watcher = stress_thread(watch, NULL);
}

void stress_watch_stop(void) {
  pthread_mutex_lock(&lock);
  stop = true;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
  pthread_join(watcher, NULL);
}
