// Task-locals, cancels and small groups.
#include "runtime.h"

namespace {

weft_local key = WEFT_LOCAL_INIT("key", nullptr);
int value;

int noop(void *) {
  return 0;
}

void local_get(benchmark::State &state) {
  bench::run(state, 1, [&] {
    weft_local_set(&key, &value, nullptr);
    for (auto _ : state) benchmark::DoNotOptimize(weft_local_get(&key, nullptr));
  });
  bench::per_op(state, 1);
}
BENCHMARK(local_get);

void local_set(benchmark::State &state) {
  bench::run(state, 1, [&] {
    for (auto _ : state) weft_local_set(&key, &value, nullptr);
  });
  bench::per_op(state, 1);
}
BENCHMARK(local_set);

// What handing values down adds to spawn_await.
void spawn_await_with_locals(benchmark::State &state) {
  bench::run(state, 1, [&] {
    weft_local_set(&key, &value, nullptr);
    for (auto _ : state) benchmark::DoNotOptimize(weft_await(weft_spawn(noop, nullptr, nullptr)));
  });
  bench::per_op(state, 1);
}
BENCHMARK(spawn_await_with_locals);

// An unbegun task is cancelled, with and without a reason, and awaited.
void cancel_unbegun(benchmark::State &state) {
  const char *reason = state.range(0) ? "not needed" : nullptr;
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      weft_task t = weft_spawn(noop, nullptr, nullptr);
      weft_cancel_why(t, reason);
      weft_await(t);
    }
  });
  bench::per_op(state, 1);
}
BENCHMARK(cancel_unbegun)->ArgName("reason")->Arg(0)->Arg(1);

// A group of two: entered and left as a body, or only joined.
void group_of_2(benchmark::State &state) {
  bool enter = state.range(0) != 0;
  bench::run(state, 1, [&] {
    for (auto _ : state) {
      weft_group g = WEFT_GROUP_INIT;
      if (enter) weft_group_enter(&g);
      weft_group_spawn(&g, noop, nullptr, nullptr);
      weft_group_spawn(&g, noop, nullptr, nullptr);
      weft_group_exit(&g, 0);
    }
  });
  bench::per_op(state, 2);
}
BENCHMARK(group_of_2)->ArgName("entered")->Arg(0)->Arg(1);

} // namespace
