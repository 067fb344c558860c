// Queues and channels: what one item costs on its way.
#include "runtime.h"

#include <atomic>

namespace {

struct pipe_ends {
  weft_queue *q;
  long each;
};

int produce(void *arg) {
  const auto *ends = static_cast<const pipe_ends *>(arg);
  int r = 0;
  for (long i = 0; i < ends->each && r == 0; i++) r = weft_queue_put(ends->q, &i);
  return r;
}

int consume(void *arg) {
  long item, sum = 0;
  int r;
  while ((r = weft_queue_get(static_cast<const pipe_ends *>(arg)->q, &item)) > 0) sum += item;
  benchmark::DoNotOptimize(sum);
  return r;
}

bool less_long(const void *a, const void *b, void *) {
  return *static_cast<const long *>(a) < *static_cast<const long *>(b);
}

// Items from `pairs` tasks to as many through one queue.
int through(const weft_queue_opts &opts, long pairs, long items) {
  pipe_ends ends{nullptr, items / pairs};
  int r = weft_queue_new(&ends.q, sizeof(long), &opts);
  if (r < 0) return r;
  weft_group producers = WEFT_GROUP_INIT, consumers = WEFT_GROUP_INIT;
  for (long i = 0; i < pairs; i++) {
    weft_group_spawn(&producers, produce, &ends, nullptr);
    weft_group_spawn(&consumers, consume, &ends, nullptr);
  }
  r = weft_group_join(&producers);
  weft_queue_shutdown(ends.q, false);
  int joined = weft_group_join(&consumers);
  weft_queue_free(ends.q);
  return r < 0 ? r : joined;
}

constexpr long kItems = 100000;

void queue(benchmark::State &state, weft_queue_order order) {
  weft_queue_opts opts{};
  opts.capacity = static_cast<size_t>(state.range(2));
  opts.order = order;
  opts.less = less_long;
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state)
      if (through(opts, state.range(1), kItems) < 0) state.SkipWithError("an item was not put");
  });
  bench::per_op(state, kItems);
}

void queue_fifo(benchmark::State &state) {
  queue(state, WEFT_QUEUE_FIFO);
}
BENCHMARK(queue_fifo)
    ->ArgNames({"workers", "pairs", "capacity"})
    ->Args({1, 1, 100})
    ->Args({2, 1, 100})
    ->Args({1, 4, 100})
    ->Args({2, 4, 100})
    ->Args({1, 1, 1})
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void queue_priority(benchmark::State &state) {
  queue(state, WEFT_QUEUE_PRIORITY);
}
BENCHMARK(queue_priority)
    ->ArgNames({"workers", "pairs", "capacity"})
    ->Args({1, 1, 100})
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// A put and a get by one task, which never wait.
void queue_put_get(benchmark::State &state) {
  bench::run(state, 1, [&] {
    weft_queue *q;
    weft_queue_opts opts{};
    opts.capacity = 100;
    if (weft_queue_new(&q, sizeof(long), &opts) < 0) return;
    long item = 1;
    for (auto _ : state) {
      weft_queue_put(q, &item);
      weft_queue_get(q, &item);
    }
    weft_queue_free(q);
  });
}
BENCHMARK(queue_put_get);

struct listener {
  weft_broadcast_receiver receiver;
  std::atomic<long> *missed;
};

int listen(void *arg) {
  auto *l = static_cast<listener *>(arg);
  long item, sum = 0;
  int r;
  while ((r = weft_broadcast_next(&l->receiver, &item)) != 0) {
    if (r == WEFT_ELAGGED)
      *l->missed += static_cast<long>(l->receiver.missed);
    else
      sum += item;
  }
  benchmark::DoNotOptimize(sum);
  return 0;
}

// One item to each of four receivers; the sender yields before they fall behind.
void broadcast_to_4(benchmark::State &state) {
  std::atomic<long> missed{0};
  bench::run(state, static_cast<int>(state.range(0)), [&] {
    for (auto _ : state) {
      weft_broadcast *c;
      if (weft_broadcast_new(&c, sizeof(long), 128) < 0) return;
      listener listeners[4];
      weft_group g = WEFT_GROUP_INIT;
      for (listener &l : listeners) {
        l = {weft_broadcast_receive(c), &missed};
        weft_group_spawn(&g, listen, &l, nullptr);
      }
      for (long i = 0; i < kItems; i++) {
        weft_broadcast_send(c, &i);
        if (i % 64 == 0) weft_yield();
      }
      weft_broadcast_close(c);
      weft_group_join(&g);
      weft_broadcast_free(c);
    }
  });
  bench::per_op(state, kItems);
  state.counters["missed"] = static_cast<double>(missed) / static_cast<double>(state.iterations());
}
BENCHMARK(broadcast_to_4)
    ->ArgName("workers")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

} // namespace
