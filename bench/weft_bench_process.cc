// What is measured in a process of its own: memory, start, and the allocators.
#include "runtime.h"

#include <cstdlib>
#include <cstring>

namespace {

// Tasks asleep to one common deadline. Resident pages with the task objects, and page tables.
void sleepers(benchmark::State &state) {
  std::vector<std::string> arguments{"sleepers", "n=" + std::to_string(state.range(0)),
                                     "ms=" + std::to_string(state.range(1))};
  double bytes = 0, tables = 0, spawn = 0, lag = 0, n = 0;
  for (auto _ : state) {
    std::string line = bench::child("weft-peer", arguments);
    if (line.empty()) state.SkipWithError("weft-peer sleepers failed");
    bytes += bench::figure(line, "bytes_per_task");
    tables += bench::figure(line, "page_table_bytes");
    spawn += bench::figure(line, "spawn_ns");
    lag += bench::figure(line, "finish_lag_ms");
    n++;
  }
  state.counters["bytes_per_task"] = (bytes + tables) / n;
  state.counters["of_them_tables"] = tables / n;
  state.counters["spawn_ns"] = spawn / n;
  state.counters["lag_ms"] = lag / n;
}
BENCHMARK(sleepers)
    ->ArgNames({"tasks", "ms"})
    ->Args({100000, 2000})
    ->Args({1000000, 8000})
    ->Iterations(1)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// A process that runs an empty main task, and one that returns from main with the same libraries.
void cold_start(benchmark::State &state, const char *workload) {
  for (auto _ : state) {
    double seconds = bench::child_seconds("weft-peer", {workload});
    if (seconds < 0) state.SkipWithError("weft-peer failed");
    state.SetIterationTime(seconds);
  }
}
BENCHMARK_CAPTURE(cold_start, run, "noop")->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(cold_start, same_libraries, "bare")
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

// ---- allocators ----

// A thousand tasks hold four buffers each across a wait, and often free them on another thread than
// the one that made them: what a server's requests do to an allocator.
constexpr int kTasks = 1000;
constexpr size_t kSizes[] = {96, 700, 4096, 16384};

int hold_buffers(void *arg) {
  auto seed = static_cast<unsigned>(reinterpret_cast<uintptr_t>(arg));
  void *held[4];
  for (int round = 0; round < 4; round++) {
    for (unsigned i = 0; i < 4; i++) {
      size_t size = kSizes[(i + seed) % 4] + seed % 64;
      held[i] = std::malloc(size);
      if (!held[i]) return WEFT_ENOMEM;
      std::memset(held[i], round, size < 256 ? size : 256);
    }
    weft_yield();
    for (void *p : held) std::free(p);
  }
  return 0;
}

void allocations_of_this_process(benchmark::State &state) {
  std::string label = "?";
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    weft_stats stats;
    if (weft_stats_read(&stats) == 0) label = stats.allocator;
    for (auto _ : state) {
      weft_group g = WEFT_GROUP_INIT;
      for (uintptr_t i = 0; i < kTasks; i++)
        weft_group_spawn(&g, hold_buffers, reinterpret_cast<void *>(i), nullptr);
      if (weft_group_join(&g) < 0) state.SkipWithError("join");
    }
  });
  state.SetLabel(label);
  bench::per_op(state, kTasks * 16);
}
BENCHMARK(allocations_of_this_process)
    ->Name("allocations")
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// The same in weft-bench-glibc, which is built without jemalloc.
void allocations_glibc(benchmark::State &state) {
  std::string name = "^allocations/workers:" + std::to_string(state.range(0)) + "/";
  for (auto _ : state) {
    std::string csv = bench::child("weft-bench-glibc",
                                   {"--benchmark_filter=" + name, "--benchmark_format=csv"}, true);
    // name,iterations,real_time,cpu_time,time_unit,...
    size_t at = csv.find("\"allocations");
    at = at == std::string::npos ? at : csv.find(',', csv.find(',', at) + 1);
    if (at == std::string::npos) {
      state.SkipWithError("weft-bench-glibc failed");
      break;
    }
    state.SetIterationTime(std::strtod(csv.c_str() + at + 1, nullptr) * 1e-9);
    state.SetLabel(csv.find("glibc") != std::string::npos ? "glibc" : "?");
  }
  bench::per_op(state, kTasks * 16);
}
BENCHMARK(allocations_glibc)->ArgName("workers")->Arg(1)->Arg(2)->Iterations(1)->UseManualTime();

} // namespace

BENCHMARK_MAIN();
