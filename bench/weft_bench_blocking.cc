// The blocking pool.
#include "runtime.h"

#include <array>
#include <ctime>

namespace {

int noop(void *) {
  return 0;
}

void blocking_seq(benchmark::State &state) {
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) benchmark::DoNotOptimize(weft_to_thread(noop, nullptr));
  });
  bench::per_op(state, 1);
}
BENCHMARK(blocking_seq)->ArgName("workers")->Arg(1)->Arg(2)->MeasureProcessCPUTime()->UseRealTime();

constexpr int kWindow = 1000;

int offload(void *) {
  return weft_to_thread(noop, nullptr);
}

void blocking_pipelined(benchmark::State &state) {
  std::array<weft_task, kWindow> tasks;
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) {
      for (weft_task &t : tasks) t = weft_spawn(offload, nullptr, nullptr);
      if (weft_gather(tasks.data(), tasks.size(), nullptr) < 0) state.SkipWithError("gather");
    }
  });
  bench::per_op(state, kWindow);
}
BENCHMARK(blocking_pipelined)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

int block_100_ms(void *) {
  timespec t{0, 100000000};
  return nanosleep(&t, nullptr) == 0 ? 0 : WEFT_EINTR;
}

int offload_100_ms(void *) {
  return weft_to_thread(block_100_ms, nullptr);
}

// Thirty calls that block for 100 ms each, from a cold pool: how fast it grows.
void blocking_30_of_100_ms(benchmark::State &state) {
  for (auto _ : state) {
    bench::run(state, 2, [&] {
      weft_group g = WEFT_GROUP_INIT;
      for (int i = 0; i < 30; i++) weft_group_spawn(&g, offload_100_ms, nullptr, nullptr);
      if (weft_group_join(&g) < 0) state.SkipWithError("join");
    });
  }
}
BENCHMARK(blocking_30_of_100_ms)
    ->Iterations(3)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

} // namespace
