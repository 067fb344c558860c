// Futures and waits on several things.
#include "runtime.h"

#include <array>

namespace {

// Made, set and awaited by one task: nobody has to wait.
void future_set_await(benchmark::State &state) {
  bench::run(state, 1, [&] {
    int in = 7, out = 0;
    for (auto _ : state) {
      weft_future *f = nullptr;
      weft_future_new(&f, sizeof in);
      weft_future_set(f, &in);
      weft_future_await(f, &out);
      weft_future_unref(f);
    }
    benchmark::DoNotOptimize(out);
  });
  bench::per_op(state, 1);
}
BENCHMARK(future_set_await);

constexpr int kBatch = 100;

int await_future(void *arg) {
  return weft_future_await(static_cast<weft_future *>(arg), nullptr);
}

// kBatch tasks wait, each for a future of its own; then all are set. With the task that waits.
void future_wait_wake(benchmark::State &state) {
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    std::array<weft_future *, kBatch> f;
    std::array<weft_task, kBatch> t;
    for (auto _ : state) {
      for (int i = 0; i < kBatch; i++) {
        weft_future_new(&f[i], 0);
        t[i] = weft_spawn(await_future, f[i], nullptr);
      }
      weft_yield();
      for (weft_future *each : f) weft_future_set(each, nullptr);
      for (weft_task each : t) weft_await(each);
      for (weft_future *each : f) weft_future_unref(each);
    }
  });
  bench::per_op(state, kBatch);
}
BENCHMARK(future_wait_wake)->ArgName("workers")->Arg(1)->Arg(2)->UseRealTime();

void select_of_8_over(benchmark::State &state) {
  bench::run(state, 1, [&] {
    std::array<weft_future *, 8> f;
    std::array<weft_awaitable, 8> set;
    for (int i = 0; i < 8; i++) {
      weft_future_new(&f[i], 0);
      set[i] = weft_future_awaitable(f[i]);
    }
    weft_future_set(f[5], nullptr);
    for (auto _ : state) benchmark::DoNotOptimize(weft_select(set.data(), set.size(), nullptr));
    for (weft_future *each : f) weft_future_unref(each);
  });
  bench::per_op(state, 1);
}
BENCHMARK(select_of_8_over);

} // namespace
