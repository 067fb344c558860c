// Creating, awaiting and switching tasks.
#include "runtime.h"

#include <array>

namespace {

int noop(void *) {
  return 0;
}

// A spawned task that is awaited at once runs on the awaiter's stack.
void spawn_await(benchmark::State &state) {
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) benchmark::DoNotOptimize(weft_await(weft_spawn(noop, nullptr, nullptr)));
  });
  bench::per_op(state, 1);
}
BENCHMARK(spawn_await)->ArgName("workers")->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime();

struct fib_args {
  int n;
  long result;
};

int fib(void *arg) {
  auto *f = static_cast<fib_args *>(arg);
  if (f->n < 2) {
    f->result = f->n;
    return 0;
  }
  fib_args a{f->n - 1, 0}, b{f->n - 2, 0};
  weft_task t = weft_spawn(fib, &a, nullptr);
  fib(&b);
  int r = weft_await(t);
  f->result = a.result + b.result;
  return r;
}

// fib(n) spawns fib(n + 1) - 1 tasks, one for each number that it splits.
void fork_join_fib(benchmark::State &state) {
  const int n = static_cast<int>(state.range(1));
  long a = 1, b = 1;
  for (int i = 2; i <= n; i++) b = std::exchange(a, a + b);
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) {
      fib_args f{n, 0};
      fib(&f);
      if (f.result != b) state.SkipWithError("wrong result");
    }
  });
  bench::per_op(state, static_cast<double>(a - 1));
}
BENCHMARK(fork_join_fib)
    ->ArgNames({"workers", "n"})
    ->Args({1, 35})
    ->Args({2, 35})
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

constexpr int kBatch = 1000;

// Oldest first: nearly all of them have been begun by a worker when their await comes.
void spawn_join_1000(benchmark::State &state) {
  std::array<weft_task, kBatch> tasks;
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) {
      for (weft_task &t : tasks) t = weft_spawn(noop, nullptr, nullptr);
      for (weft_task &t : tasks) weft_await(t);
    }
  });
  bench::per_op(state, kBatch);
}
BENCHMARK(spawn_join_1000)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

void group_1000(benchmark::State &state) {
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) {
      weft_group g = WEFT_GROUP_INIT;
      for (int i = 0; i < kBatch; i++) weft_group_spawn(&g, noop, nullptr, nullptr);
      if (weft_group_join(&g) < 0) state.SkipWithError("join");
    }
  });
  bench::per_op(state, kBatch);
}
BENCHMARK(group_1000)->ArgName("workers")->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime();

int yield_once(void *) {
  return weft_yield();
}

// A task that suspends needs a stack of its own: what one costs from the warm pool, with the
// switches there and back.
void spawn_suspend_await(benchmark::State &state) {
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) {
      weft_task t = weft_spawn(yield_once, nullptr, nullptr);
      weft_yield();
      weft_await(t);
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(spawn_suspend_await)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

struct yields {
  bool stop;
  long count; // by all tasks but the one that measures; they take turns on one worker
};

int yield_until(void *arg) {
  auto *y = static_cast<yields *>(arg);
  while (!y->stop) {
    y->count++;
    weft_yield();
  }
  return 0;
}

// `tasks` tasks yield in turns, the one that measures included. On one worker, so that plain memory
// is enough between them.
void yield_among(benchmark::State &state, int tasks) {
  yields y{false, 0};
  long count = 0;
  bench::run(state, 1, [&] {
    weft_group g = WEFT_GROUP_INIT;
    for (int i = 1; i < tasks; i++) weft_group_spawn(&g, yield_until, &y, nullptr);
    for (auto _ : state) weft_yield();
    count = y.count;
    y.stop = true;
    if (weft_group_join(&g) < 0) state.SkipWithError("join");
  });
  auto iterations = static_cast<double>(state.iterations());
  bench::per_op(state, 1 + static_cast<double>(count) / iterations);
}
void yield_2(benchmark::State &state) {
  yield_among(state, 2);
}
void yield_1000(benchmark::State &state) {
  yield_among(state, 1000);
}
BENCHMARK(yield_2)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(yield_1000)->MeasureProcessCPUTime()->UseRealTime();

int add_one(void *arg) {
  ++*static_cast<long *>(arg);
  return 0;
}

void timeout_ready(benchmark::State &state) {
  long n = 0;
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      weft_timeout scope;
      weft_timeout_begin(&scope, weft_sec(10));
      int r = add_one(&n);
      benchmark::DoNotOptimize(weft_timeout_end(&scope, r));
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(timeout_ready)->MeasureProcessCPUTime()->UseRealTime();

void timeout_yield(benchmark::State &state) {
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      weft_timeout scope;
      weft_timeout_begin(&scope, weft_sec(10));
      int r = weft_yield();
      benchmark::DoNotOptimize(weft_timeout_end(&scope, r));
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(timeout_yield)->MeasureProcessCPUTime()->UseRealTime();

} // namespace
