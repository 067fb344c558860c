// Generators: what one item costs.
#include "runtime.h"

namespace {

int count_for_ever(weft_gen *g, void *) {
  long i = 0;
  for (;;) {
    int r = weft_gen_yield(g, &i);
    if (r < 0) return r;
    i++;
  }
}

int count_to(weft_gen *g, void *arg) {
  long n = *static_cast<long *>(arg);
  for (long i = 0; i < n; i++) {
    int r = weft_gen_yield(g, &i);
    if (r < 0) return r;
  }
  return 0;
}

int hand_on(weft_gen *g, void *arg) {
  auto *inner = static_cast<weft_gen *>(arg);
  return weft_gen_delegate(g, inner);
}

int yield_first(weft_gen *g, void *) {
  long i = 0;
  for (;;) {
    int r = weft_yield();
    if (r == 0) r = weft_gen_yield(g, &i);
    if (r < 0) return r;
    i++;
  }
}

void take(benchmark::State &state, weft_gen *g) {
  long item = 0;
  for (auto _ : state) {
    int r = weft_gen_next(g, &item);
    benchmark::DoNotOptimize(r);
    benchmark::DoNotOptimize(item);
  }
}

// One next, one yield. asyncio: 1816 ns, Tokio's stream 372, a Go channel 110.
void gen_next(benchmark::State &state) {
  bench::run(state, 1, [&] {
    weft_gen *g;
    if (weft_gen_open(&g, count_for_ever, nullptr, sizeof(long), nullptr) < 0) return;
    take(state, g);
    weft_gen_close(g);
  });
}
BENCHMARK(gen_next)->UseRealTime();

// Each item through one more generator.
void gen_next_delegated(benchmark::State &state) {
  bench::run(state, 1, [&] {
    weft_gen *inner, *outer;
    if (weft_gen_open(&inner, count_for_ever, nullptr, sizeof(long), nullptr) < 0) return;
    if (weft_gen_open(&outer, hand_on, inner, sizeof(long), nullptr) < 0) return;
    take(state, outer);
    weft_gen_close(outer);
    weft_gen_close(inner);
  });
}
BENCHMARK(gen_next_delegated)->UseRealTime();

// The body suspends its task before each item.
void gen_next_that_waits(benchmark::State &state) {
  bench::run(state, 1, [&] {
    weft_gen *g;
    if (weft_gen_open(&g, yield_first, nullptr, sizeof(long), nullptr) < 0) return;
    take(state, g);
    weft_gen_close(g);
  });
}
BENCHMARK(gen_next_that_waits)->UseRealTime();

// A short life: open, n items, close.
void gen_open_close(benchmark::State &state) {
  bench::run(state, 1, [&] {
    long n = state.range(0), item = 0;
    for (auto _ : state) {
      weft_gen *g;
      if (weft_gen_open(&g, count_to, &n, sizeof(long), nullptr) < 0) return;
      while (weft_gen_next(g, &item) > 0) benchmark::DoNotOptimize(item);
      weft_gen_close(g);
    }
  });
}
BENCHMARK(gen_open_close)->Arg(0)->Arg(10)->UseRealTime();

} // namespace
