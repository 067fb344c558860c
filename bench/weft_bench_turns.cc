// Strands, eager starts and callbacks.
#include "runtime.h"

namespace {

int noop(void *) {
  return 0;
}

int yield_once(void *) {
  return weft_yield();
}

template <typename Body> int trampoline(void *arg) {
  (*static_cast<Body *>(arg))();
  return 0;
}

// body() as the first task of a strand.
template <typename Body> void in_strand(benchmark::State &state, Body body) {
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    if (weft_strand_run(trampoline<Body>, &body) < 0) state.SkipWithError("strand");
  });
  bench::per_op(state, 1);
}

// In a strand no task runs on its awaiter's stack: a stack and two switches each.
void strand_spawn_await(benchmark::State &state) {
  in_strand(state, [&] {
    for (auto _ : state) benchmark::DoNotOptimize(weft_await(weft_spawn(noop, nullptr, nullptr)));
  });
}
BENCHMARK(strand_spawn_await)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

struct yields {
  bool stop;
};

int yield_until(void *arg) {
  while (!static_cast<yields *>(arg)->stop) weft_yield();
  return 0;
}

// Two tasks of a strand in turns; one of the two yields.
void strand_yield_2(benchmark::State &state) {
  in_strand(state, [&] {
    yields y{false};
    weft_task t = weft_spawn(yield_until, &y, nullptr);
    for (auto _ : state) weft_yield();
    y.stop = true;
    weft_await(t);
  });
}
BENCHMARK(strand_yield_2)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// One that ends in its spawn, and one that suspends there and goes on later.
void eager(benchmark::State &state, weft_fn fn) {
  weft_spawn_opts opts{};
  opts.eager = true;
  bench::run(state, 1, [&] {
    for (auto _ : state) benchmark::DoNotOptimize(weft_await(weft_spawn(fn, nullptr, &opts)));
  });
  bench::per_op(state, 1);
}
void eager_that_ends(benchmark::State &state) {
  eager(state, noop);
}
BENCHMARK(eager_that_ends)->MeasureProcessCPUTime()->UseRealTime();
void eager_that_suspends(benchmark::State &state) {
  eager(state, yield_once);
}
BENCHMARK(eager_that_suspends)->MeasureProcessCPUTime()->UseRealTime();

constexpr int kBatch = 1000;

int count_call(void *arg) {
  ++*static_cast<int *>(arg);
  return 0;
}

// A thousand callbacks, made and begun, on one worker.
void call_soon_1000(benchmark::State &state) {
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      int calls = 0;
      for (int i = 0; i < kBatch; i++) weft_call_soon(count_call, &calls);
      while (calls < kBatch) weft_yield();
    }
  });
  bench::per_op(state, kBatch);
}
BENCHMARK(call_soon_1000)->MeasureProcessCPUTime()->UseRealTime();

// A timeout that is never needed, as protocols arm them; behind `armed` others.
void call_later_cancel(benchmark::State &state) {
  const auto armed = static_cast<int>(state.range(0));
  bench::run(state, 1, [&] {
    for (int i = 0; i < armed; i++) weft_call_later(weft_sec(1000 + i), noop, nullptr);
    for (auto _ : state) {
      weft_call c = weft_call_later(weft_sec(100), noop, nullptr);
      if (weft_call_cancel(c) != 1) state.SkipWithError("it began");
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(call_later_cancel)
    ->ArgName("armed")
    ->Arg(0)
    ->Arg(10000)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

} // namespace
