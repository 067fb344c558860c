// What the benchmarks share: a benchmark's loop inside a run's main task, and child processes for
// what has to be measured in a process of its own.
#ifndef WEFT_BENCH_RUNTIME_H
#define WEFT_BENCH_RUNTIME_H

#include <weft.h>

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace bench {

// Runs body() as the main task of a runtime with `workers` workers. Google Benchmark's loop
// (`for (auto _ : state)`) may stand in it: starting and stopping the runtime is not measured.
template <typename Body> int in_task(int workers, Body body) {
  weft_run_opts opts{};
  opts.workers = workers;
  auto trampoline = [](void *arg) -> int {
    (*static_cast<Body *>(arg))();
    return 0;
  };
  return weft_run(trampoline, &body, &opts);
}

// The same, and a failure becomes the benchmark's.
template <typename Body> void run(benchmark::State &state, int workers, Body body) {
  int r = in_task(workers, body);
  if (r < 0) state.SkipWithError(weft_strerror(r));
}

// Time of one of `per_iteration` operations as the column `per_op`, in seconds in JSON.
inline void per_op(benchmark::State &state, double per_iteration) {
  double ops = static_cast<double>(state.iterations()) * per_iteration;
  using benchmark::Counter;
  state.counters["per_op"] = Counter(ops, Counter::kIsRate | Counter::kInvert);
}

// Runs `program` of the directory of this one and returns what it wrote to its standard output, or
// an empty string when it failed. What it writes to stderr is shown unless it is quiet.
std::string child(const std::string &program, const std::vector<std::string> &arguments,
                  bool quiet = false);

// Wall time in seconds from starting that program to its end, or a negative number when it failed.
double child_seconds(const std::string &program, const std::vector<std::string> &arguments);

// The number after `key=` in text, or 0.
double figure(const std::string &text, const std::string &key);

} // namespace bench

#endif
