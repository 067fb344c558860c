/* Channels: the latest value, and every item for everybody. */
#include <string.h>
#include <weft.h>

#include "counts.h"
#include "parked.h"
#include "task_test.h"

static weft_latest *new_latest(int value) {
  weft_latest *c = NULL;
  CHECK_INT(weft_latest_new(&c, sizeof value, &value), 0);
  return c;
}

static void set(weft_latest *c, int value) {
  CHECK_INT(weft_latest_set(c, &value), 0);
}

static weft_broadcast *new_broadcast(size_t capacity) {
  weft_broadcast *c = NULL;
  CHECK_INT(weft_broadcast_new(&c, sizeof(int), capacity), 0);
  return c;
}

static void send_from_to(weft_broadcast *c, int from, int to) {
  for (int i = from; i <= to; i++) CHECK_INT(weft_broadcast_send(c, &i), 0);
}

static void receive_from_to(weft_broadcast_receiver *receiver, int from, int to) {
  for (int i = from, item = -1; i <= to; i++) {
    CHECK_INT(weft_broadcast_next(receiver, &item), 1);
    CHECK_INT(item, i);
  }
}

/* ---- latest ---- */

TASK_TEST(a_reader_sees_the_newest_value_and_none_twice) {
  weft_latest *c = new_latest(1);
  weft_latest_reader old = weft_latest_read(c, true), new = weft_latest_read(c, false);
  int value = 0;
  CHECK_INT(weft_latest_try_next(&new, &value), WEFT_EAGAIN);
  CHECK_INT(weft_latest_next(&old, &value), 1);
  CHECK_INT(value, 1);
  CHECK_INT(weft_latest_try_next(&old, &value), WEFT_EAGAIN);
  set(c, 2);
  set(c, 3);
  CHECK_INT(weft_latest_next(&old, &value), 1);
  CHECK_INT(value, 3);
  CHECK_INT(weft_latest_try_next(&old, &value), WEFT_EAGAIN);
  CHECK_INT(weft_latest_next(&new, &value), 1);
  CHECK_INT(value, 3);
  CHECK_INT(weft_latest_get(c, &value), 0);
  CHECK_INT(value, 3);
  CHECK_INT(weft_latest_free(c), 0);
}

struct reading {
  weft_latest_reader reader;
  int value;
  int code;
};

static int read_one(void *arg) {
  struct reading *r = arg;
  return r->code = weft_latest_next(&r->reader, &r->value);
}

TASK_TEST(every_reader_that_waits_gets_the_change) {
  weft_latest *c = new_latest(0);
  struct reading readings[4];
  weft_task tasks[4];
  for (int i = 0; i < 4; i++) {
    readings[i] = (struct reading){.reader = weft_latest_read(c, false)};
    tasks[i] = spawn_parked(read_one, &readings[i]);
  }
  set(c, 8);
  for (int i = 0; i < 4; i++) {
    CHECK_INT(weft_await(tasks[i]), 1);
    CHECK_INT(readings[i].value, 8);
  }
  CHECK_INT(weft_latest_free(c), 0);
}

TASK_TEST(a_closed_channel_gives_what_is_unseen_and_then_the_end) {
  weft_latest *c = new_latest(0);
  weft_latest_reader behind = weft_latest_read(c, false);
  int value = 4;
  set(c, 1);
  struct reading waits = {.reader = weft_latest_read(c, false), .value = 5};
  weft_task t = spawn_parked(read_one, &waits);
  CHECK_INT(weft_latest_close(c), 0);
  CHECK_INT(weft_latest_close(c), 0);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(waits.value, 5);
  CHECK_INT(weft_latest_set(c, &value), WEFT_ECLOSED);
  CHECK_INT(weft_latest_next(&behind, &value), 1);
  CHECK_INT(value, 1);
  CHECK_INT(weft_latest_next(&behind, &value), 0);
  CHECK_INT(weft_latest_try_next(&behind, &value), 0);
  CHECK_INT(weft_latest_get(c, &value), 0);
  CHECK_INT(value, 1);
  CHECK_INT(weft_latest_free(c), 0);
}

static bool add(void *item, void *arg) {
  int by = *(const int *)arg;
  *(int *)item += by;
  return by != 0;
}

TASK_TEST(an_update_that_changes_nothing_tells_nobody) {
  weft_latest *c = new_latest(10);
  weft_latest_reader reader = weft_latest_read(c, false);
  int value = 0;
  CHECK_INT(weft_latest_update(c, add, &(int){0}), 0);
  CHECK_INT(weft_latest_try_next(&reader, &value), WEFT_EAGAIN);
  CHECK_INT(weft_latest_update(c, add, &(int){5}), 0);
  CHECK_INT(weft_latest_next(&reader, &value), 1);
  CHECK_INT(value, 15);
  CHECK_INT(weft_latest_update(c, NULL, NULL), WEFT_EINVAL);
  CHECK_INT(weft_latest_close(c), 0);
  CHECK_INT(weft_latest_update(c, add, &(int){5}), WEFT_ECLOSED);
  CHECK_INT(weft_latest_free(c), 0);
}

TASK_TEST(a_cancelled_reader_has_seen_nothing) {
  weft_latest *c = new_latest(0);
  struct reading r = {.reader = weft_latest_read(c, false), .value = -1};
  weft_task t = spawn_parked(read_one, &r);
  CHECK_INT(weft_latest_free(c), WEFT_EBUSY);
  CHECK_INT(weft_cancel(t), 1);
  set(c, 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(r.value, -1);
  CHECK_INT(weft_latest_next(&r.reader, &r.value), 1);
  CHECK_INT(r.value, 1);
  CHECK_INT(weft_latest_free(c), 0);
}

struct writing {
  weft_latest *c;
  int n;
};

static int write_many(void *arg) {
  struct writing *w = arg;
  for (int i = 1; i <= w->n; i++) {
    set(w->c, i);
    if (i % 8 == 0) weft_yield();
  }
  return weft_latest_close(w->c);
}

static int read_rising(void *arg) {
  struct writing *w = arg;
  weft_latest_reader reader = weft_latest_read(w->c, false);
  int r, value = 0, last = 0;
  CHECK_INT(weft_latest_get(w->c, &last), 0);
  while ((r = weft_latest_next(&reader, &value)) > 0) {
    CHECK(value >= last);
    last = value;
  }
  CHECK_INT(weft_latest_get(w->c, &value), 0);
  CHECK_INT(last, value);
  CHECK_INT(value, w->n);
  return r;
}

TASK_TEST(readers_see_values_in_order_and_the_last_one) {
  struct writing w = {new_latest(0), count(COUNT_TASKS)};
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 4; i++) CHECK_INT(weft_group_spawn(&g, read_rising, &w, NULL), 0);
  CHECK_INT(weft_group_spawn(&g, write_many, &w, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(weft_latest_free(w.c), 0);
}

/* ---- broadcast ---- */

TASK_TEST(every_receiver_gets_every_item_sent_since_it_began) {
  weft_broadcast *c = new_broadcast(4);
  weft_broadcast_receiver a = weft_broadcast_receive(c);
  int item = 7;
  send_from_to(c, 1, 2);
  weft_broadcast_receiver b = weft_broadcast_receive(c);
  send_from_to(c, 3, 4);
  receive_from_to(&a, 1, 4);
  receive_from_to(&b, 3, 4);
  CHECK_INT(weft_broadcast_try_next(&a, &item), WEFT_EAGAIN);
  CHECK_INT(weft_broadcast_try_next(&b, &item), WEFT_EAGAIN);
  CHECK_INT(item, 7);
  CHECK_INT(weft_broadcast_free(c), 0);
}

TASK_TEST(a_slow_receiver_is_told_once_how_many_it_missed_and_goes_on) {
  weft_broadcast *c = new_broadcast(3);
  weft_broadcast_receiver slow = weft_broadcast_receive(c);
  int item = 7;
  send_from_to(c, 1, 3);
  receive_from_to(&slow, 1, 1);
  send_from_to(c, 4, 7);
  CHECK_INT(weft_broadcast_next(&slow, &item), WEFT_ELAGGED);
  CHECK_INT(item, 7);
  CHECK_UINT(slow.missed, 3);
  receive_from_to(&slow, 5, 7);
  CHECK_INT(weft_broadcast_try_next(&slow, &item), WEFT_EAGAIN);
  send_from_to(c, 8, 11);
  CHECK_INT(weft_broadcast_try_next(&slow, &item), WEFT_ELAGGED);
  CHECK_UINT(slow.missed, 1);
  receive_from_to(&slow, 9, 11);
  CHECK_INT(weft_broadcast_free(c), 0);
}

TASK_TEST(a_closed_broadcast_gives_what_is_kept_and_then_the_end) {
  weft_broadcast *c = new_broadcast(2);
  weft_broadcast_receiver a = weft_broadcast_receive(c), b = a;
  int item = 0;
  send_from_to(c, 1, 3);
  CHECK_INT(weft_broadcast_close(c), 0);
  CHECK_INT(weft_broadcast_close(c), 0);
  CHECK_INT(weft_broadcast_send(c, &item), WEFT_ECLOSED);
  CHECK_INT(weft_broadcast_next(&a, &item), WEFT_ELAGGED);
  receive_from_to(&a, 2, 3);
  CHECK_INT(weft_broadcast_next(&a, &item), 0);
  CHECK_INT(weft_broadcast_next(&a, &item), 0);
  CHECK_INT(weft_broadcast_try_next(&b, &item), WEFT_ELAGGED);
  CHECK_INT(weft_broadcast_free(c), 0);
}

struct hearing {
  weft_broadcast_receiver receiver;
  int item;
};

static int hear_one(void *arg) {
  struct hearing *h = arg;
  return weft_broadcast_next(&h->receiver, &h->item);
}

TASK_TEST(a_cancelled_receiver_misses_nothing) {
  weft_broadcast *c = new_broadcast(2);
  struct hearing h = {weft_broadcast_receive(c), -1};
  weft_task t = spawn_parked(hear_one, &h);
  CHECK_INT(weft_broadcast_free(c), WEFT_EBUSY);
  CHECK_INT(weft_cancel(t), 1);
  send_from_to(c, 1, 1);
  CHECK_INT(weft_await(t), WEFT_ECANCELED);
  CHECK_INT(h.item, -1);
  receive_from_to(&h.receiver, 1, 1);
  CHECK_INT(weft_broadcast_free(c), 0);
}

struct airing {
  weft_broadcast *c;
  struct latch ready;
  int listeners, n;
  _Atomic int missed, heard;
};

static int send_many(void *arg) {
  struct airing *a = arg;
  CHECK_INT(latch_wait(&a->ready, a->listeners), 0);
  for (int i = 1; i <= a->n; i++) {
    CHECK_INT(weft_broadcast_send(a->c, &i), 0);
    if (i % 16 == 0) weft_yield();
  }
  return weft_broadcast_close(a->c);
}

/* Each item or its absence is accounted for. */
static int hear_all(void *arg) {
  struct airing *a = arg;
  weft_broadcast_receiver receiver = weft_broadcast_receive(a->c);
  int r, item, last = 0;
  latch_hit(&a->ready);
  while ((r = weft_broadcast_next(&receiver, &item)) != 0) {
    if (r == WEFT_ELAGGED) {
      last += (int)receiver.missed;
      a->missed += (int)receiver.missed;
      continue;
    }
    CHECK_INT(r, 1);
    CHECK_INT(item, last + 1);
    last = item;
    a->heard++;
  }
  CHECK_INT(last, a->n);
  return 0;
}

TASK_TEST(no_item_of_a_broadcast_comes_twice_or_is_lost_unseen) {
  struct airing a = {.c = new_broadcast(8), .listeners = 4, .n = count(COUNT_TASKS)};
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < a.listeners; i++) CHECK_INT(weft_group_spawn(&g, hear_all, &a, NULL), 0);
  CHECK_INT(weft_group_spawn(&g, send_many, &a, NULL), 0);
  CHECK_INT(weft_group_join(&g), 0);
  CHECK_INT(a.heard + a.missed, a.listeners * a.n);
  CHECK_INT(weft_broadcast_free(a.c), 0);
}

/* ---- both ---- */

struct two {
  weft_latest *l;
  weft_broadcast *b;
  struct latch seen;
};

static int change_both(void *arg) {
  struct two *c = arg;
  int r = weft_sleep(weft_ms(1));
  if (r == 0) r = weft_latest_set(c->l, &(int){1});
  if (r == 0) r = latch_wait(&c->seen, 1);
  if (r == 0) r = weft_broadcast_send(c->b, &(int){2});
  return r;
}

TASK_TEST(channels_are_awaitables_beside_others) {
  struct two c = {.l = new_latest(0), .b = new_broadcast(2)};
  weft_latest_reader reader = weft_latest_read(c.l, false);
  weft_broadcast_receiver receiver = weft_broadcast_receive(c.b);
  weft_task t = weft_spawn(change_both, &c, NULL);
  int code = -1, item;
  weft_awaitable set[] = {weft_broadcast_awaitable(&receiver), weft_latest_awaitable(&reader)};
  CHECK_INT(weft_select(set, 2, &code), 1);
  CHECK_INT(code, 1);
  CHECK_INT(weft_latest_try_next(&reader, &item), 1);
  set[1] = weft_latest_awaitable(&reader);
  latch_hit(&c.seen);
  CHECK_INT(weft_select(set, 2, &code), 0);
  CHECK_INT(code, 1);
  receive_from_to(&receiver, 2, 2);
  CHECK_INT(weft_await(t), 0);
  CHECK_INT(weft_latest_close(c.l), 0);
  CHECK_INT(weft_awaitable_await(set[1]), 0);
  CHECK_INT(weft_latest_free(c.l), 0);
  CHECK_INT(weft_broadcast_free(c.b), 0);
}

TASK_TEST(a_watched_channel_is_told_of_its_end_and_is_not_freed_before) {
  weft_latest *c = new_latest(0);
  weft_latest_reader reader = weft_latest_read(c, false);
  weft_awaitable a = weft_latest_awaitable(&reader);
  weft_outcome outcome;
  CHECK_INT(weft_wait(&a, 1, WEFT_ALL_OVER, weft_ms(1), &outcome), 0);
  CHECK_INT(weft_latest_close(c), 0);
  CHECK_INT(weft_wait(&a, 1, WEFT_ALL_OVER, weft_ms(1), &outcome), 1);
  CHECK_INT(outcome.code, 0);
  CHECK_INT(weft_latest_free(c), 0);
}

TASK_TEST(bad_options_are_einval_and_freeing_nothing_is_fine) {
  weft_latest *l = NULL;
  weft_broadcast *b = NULL;
  CHECK_INT(weft_latest_new(&l, 0, &(int){1}), WEFT_EINVAL);
  CHECK_INT(weft_latest_new(&l, 4, NULL), WEFT_EINVAL);
  CHECK_INT(weft_latest_new(NULL, 4, &(int){1}), WEFT_EINVAL);
  CHECK_INT(weft_latest_new(&l, SIZE_MAX, &(int){1}), WEFT_ENOMEM);
  CHECK_INT(weft_broadcast_new(&b, 0, 1), WEFT_EINVAL);
  CHECK_INT(weft_broadcast_new(&b, 4, 0), WEFT_EINVAL);
  CHECK_INT(weft_broadcast_new(NULL, 4, 1), WEFT_EINVAL);
  CHECK_INT(weft_broadcast_new(&b, SIZE_MAX / 2, 4), WEFT_ENOMEM);
  CHECK_PTR(l, NULL);
  CHECK_PTR(b, NULL);
  CHECK_INT(weft_latest_free(NULL), 0);
  CHECK_INT(weft_broadcast_free(NULL), 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_reader_sees_the_newest_value_and_none_twice),
      cmocka_unit_test(every_reader_that_waits_gets_the_change),
      cmocka_unit_test(a_closed_channel_gives_what_is_unseen_and_then_the_end),
      cmocka_unit_test(an_update_that_changes_nothing_tells_nobody),
      cmocka_unit_test(a_cancelled_reader_has_seen_nothing),
      cmocka_unit_test(readers_see_values_in_order_and_the_last_one),
      cmocka_unit_test(every_receiver_gets_every_item_sent_since_it_began),
      cmocka_unit_test(a_slow_receiver_is_told_once_how_many_it_missed_and_goes_on),
      cmocka_unit_test(a_closed_broadcast_gives_what_is_kept_and_then_the_end),
      cmocka_unit_test(a_cancelled_receiver_misses_nothing),
      cmocka_unit_test(no_item_of_a_broadcast_comes_twice_or_is_lost_unseen),
      cmocka_unit_test(channels_are_awaitables_beside_others),
      cmocka_unit_test(a_watched_channel_is_told_of_its_end_and_is_not_freed_before),
      cmocka_unit_test(bad_options_are_einval_and_freeing_nothing_is_fine),
  };
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
