// Locks, semaphores and events.
#include "runtime.h"

#include <array>

namespace {

void lock_pair(benchmark::State &state) {
  weft_lock lock = WEFT_LOCK_INIT;
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      if (weft_lock_acquire(&lock) < 0) state.SkipWithError("acquire");
      weft_lock_release(&lock);
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(lock_pair)->MeasureProcessCPUTime()->UseRealTime();

void semaphore_pair(benchmark::State &state) {
  weft_sem sem = WEFT_SEM_INIT(3);
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      if (weft_sem_acquire(&sem) < 0) state.SkipWithError("acquire");
      weft_sem_release(&sem);
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(semaphore_pair)->MeasureProcessCPUTime()->UseRealTime();

void rwlock_read_pair(benchmark::State &state) {
  weft_rwlock lock = WEFT_RWLOCK_INIT;
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      if (weft_rwlock_acquire_read(&lock) < 0) state.SkipWithError("acquire");
      weft_rwlock_release_read(&lock);
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(rwlock_read_pair)->MeasureProcessCPUTime()->UseRealTime();

constexpr int kTasks = 8;
constexpr int kPairs = 100000; // by each task in one iteration

struct contest {
  weft_lock lock;
  long count; // guarded by it
  bool yield; // while it is held
};

int contend(void *arg) {
  auto *c = static_cast<contest *>(arg);
  const int pairs = c->yield ? kPairs / 10 : kPairs;
  for (int i = 0; i < pairs; i++) {
    int r = weft_lock_acquire(&c->lock);
    if (r < 0) return r;
    c->count++;
    if (c->yield) weft_yield();
    weft_lock_release(&c->lock);
  }
  return 0;
}

// One lock for eight tasks that do nothing else, as the peers' workload W14.
void contended(benchmark::State &state, bool yield) {
  const long all = static_cast<long>(kTasks) * (yield ? kPairs / 10 : kPairs);
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) {
      contest c{WEFT_LOCK_INIT, 0, yield};
      weft_group g = WEFT_GROUP_INIT;
      for (int i = 0; i < kTasks; i++) weft_group_spawn(&g, contend, &c, nullptr);
      if (weft_group_join(&g) < 0 || c.count != all) state.SkipWithError("wrong count");
    }
  });
  bench::per_op(state, static_cast<double>(all));
}
void lock_of_8(benchmark::State &state) {
  contended(state, false);
}
void lock_of_8_held_over_a_yield(benchmark::State &state) {
  contended(state, true);
}
BENCHMARK(lock_of_8)->ArgName("workers")->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(lock_of_8_held_over_a_yield)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

void event_set_wait(benchmark::State &state) {
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      weft_event e = WEFT_EVENT_INIT;
      weft_event_set(&e);
      if (weft_event_wait(&e) < 0) state.SkipWithError("wait");
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(event_set_wait)->MeasureProcessCPUTime()->UseRealTime();

struct pingpong {
  weft_event ping, pong;
  bool stop;
};

int answer(void *arg) {
  auto *p = static_cast<pingpong *>(arg);
  for (;;) {
    int r = weft_event_wait(&p->ping);
    if (r < 0 || p->stop) return r;
    weft_event_clear(&p->ping);
    weft_event_set(&p->pong);
  }
}

// Two tasks that wake each other in turns; one of the rounds is there and back.
void event_ping(benchmark::State &state) {
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    pingpong p{WEFT_EVENT_INIT, WEFT_EVENT_INIT, false};
    weft_task t = weft_spawn(answer, &p, nullptr);
    for (auto _ : state) {
      weft_event_set(&p.ping);
      if (weft_event_wait(&p.pong) < 0) state.SkipWithError("wait");
      weft_event_clear(&p.pong);
    }
    p.stop = true;
    weft_event_set(&p.ping);
    weft_await(t);
  });
  bench::per_op(state, 1);
}
BENCHMARK(event_ping)->ArgName("workers")->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime();

} // namespace
