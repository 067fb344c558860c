/* What queue models move around: numbered items with a payload that only the queue's ordering
 * hands over. Counts who took what, so that nothing is lost and nothing is taken twice. */
#ifndef WEFT_TESTS_ITEMS_H
#define WEFT_TESTS_ITEMS_H

#include "model.h"

#define ITEMS 16

/* A part of the model's state. */
struct items {
  struct {
    struct model_plain payload;
    bool taken;
  } item[ITEMS];
  unsigned made; /* item 0 .. made - 1 were given to the queue or are about to be */
};

static inline void *items_make(struct items *s) {
  MODEL_CHECK(s->made < ITEMS);
  unsigned i = s->made++;
  model_write(&s->item[i].payload, 100 + i);
  return &s->item[i];
}

/* The queue was full: the last one was not made after all. */
static inline void items_unmake(struct items *s) {
  s->made--;
}

/* Somebody got x out of the queue: returns its number. What follows the operation that took x runs
 * before anybody else's next operation, so the account is always that of the queue. */
static inline unsigned items_take(struct items *s, const void *x) {
  unsigned i = 0;
  while (i < s->made && x != &s->item[i]) i++;
  MODEL_CHECK(i < s->made); /* something that was put in */
  model_rely((uintptr_t)x); /* whoever loaded it from a slot owns it now */
  MODEL_CHECK(model_read(&s->item[i].payload) == 100 + i);
  MODEL_CHECK(!s->item[i].taken);
  s->item[i].taken = true;
  return i;
}

static inline bool items_all_taken(const struct items *s, unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++)
    if (!s->item[i].taken) return false;
  return true;
}

/* Takes by age: everything that is older is gone. */
static inline void items_take_oldest(struct items *s, const void *x) {
  unsigned i = items_take(s, x);
  MODEL_CHECK(items_all_taken(s, 0, i));
}

/* Takes the newest: everything that is newer is gone. */
static inline void items_take_newest(struct items *s, const void *x) {
  unsigned i = items_take(s, x);
  MODEL_CHECK(items_all_taken(s, i + 1, s->made));
}

#endif
