/* Async generators: by whom and when their bodies run. */
#include "scene.h"

struct count {
  const char *name;
  int last, seconds, number;
};

static weft_gen *open_gen(weft_gen_fn fn, struct count count) {
  weft_gen *g = NULL;
  weft_gen_open(&g, fn, &count, sizeof(int),
                &(weft_gen_opts){.arg_size = sizeof count, .send_size = sizeof(int)});
  return g;
}

static int count(weft_gen *g, void *arg) {
  struct count *c = arg;
  trace("%s begins", c->name);
  for (int i = 1; i <= c->last; i++) {
    int r = weft_gen_yield(g, &i);
    if (r == WEFT_ECLOSED || r == WEFT_ECANCELED) trace("%s cleans up", c->name);
    if (r < 0) return r;
    trace("%s goes on after %d", c->name, i);
  }
  trace("%s ends", c->name);
  return 0;
}

SCENARIO(a_generator_runs_when_it_is_asked) {
  weft_gen *g = open_gen(count, (struct count){"g", 3, 0, 0});
  int number;
  trace("opened");
  while (weft_gen_next(g, &number) > 0) trace("got %d", number);
  trace("no more");
  trace("and still none: %d", weft_gen_next(g, &number));
  weft_gen_close(g);
}

static int count_slowly(weft_gen *g, void *arg) {
  struct count *c = arg;
  int r = 0;
  for (int i = 1; i <= c->last && r == 0; i++) {
    r = nap(c->seconds);
    if (r < 0) return r;
    trace("%s makes %d", c->name, i);
    r = weft_gen_yield(g, &i);
  }
  return r;
}

static int consume(void *arg) {
  struct count *c = arg;
  weft_gen *g = open_gen(count_slowly, *c);
  int number;
  while (weft_gen_next(g, &number) > 0) trace("%s got %d", c->name, number);
  trace("%s has all", c->name);
  return weft_gen_close(g);
}

SCENARIO(generators_of_several_tasks_interleave) {
  struct count slow = {"slow", 3, 5, 0}, quick = {"quick", 4, 2, 0};
  weft_task t = weft_spawn(consume, &slow, NULL), u = weft_spawn(consume, &quick, NULL);
  weft_await(t);
  weft_await(u);
}

SCENARIO(a_generator_takes_no_turn_of_its_own) {
  weft_task other = start(tick, "other");
  weft_gen *g = open_gen(count, (struct count){"g", 2, 0, 0});
  int number;
  while (weft_gen_next(g, &number) > 0) trace("got %d", number);
  weft_gen_close(g);
  weft_await(other);
}

SCENARIO(a_generator_that_is_closed_cleans_up) {
  weft_gen *g = open_gen(count, (struct count){"g", 5, 0, 0});
  int number;
  while (weft_gen_next(g, &number) > 0) {
    trace("got %d", number);
    if (number == 2) break;
  }
  trace("closing");
  weft_gen_close(g);
  trace("closed");
}

SCENARIO(a_generator_that_never_began_has_nothing_to_clean) {
  weft_gen_close(open_gen(count, (struct count){"g", 5, 0, 0}));
  trace("closed");
}

static int echo(weft_gen *g, void *arg) {
  struct count *c = arg;
  int sent = 0, r = 0;
  bool got = false;
  for (int i = 0; i < 5 && r == 0; i++) {
    if (got)
      trace("%s got %d", c->name, sent);
    else
      trace("%s got nothing", c->name);
    int answer = got ? sent * 10 : 0;
    r = weft_gen_yield(g, &answer);
    got = weft_gen_received(g, &sent) == 1;
  }
  return r;
}

static void give(weft_gen *g, int value) {
  int number = 0;
  weft_gen_send(g, &value, &number);
  trace("main got %d", number);
}

/* The word for the next item, or for how the generator ended instead. */
static const char *next(weft_gen *g) {
  int number, r = weft_gen_next(g, &number);
  return word(r > 0 ? number : r);
}

SCENARIO(values_may_be_sent_in) {
  weft_gen *g = open_gen(echo, (struct count){"g", 0, 0, 0});
  trace("main got %s", next(g));
  give(g, 4);
  give(g, 7);
  trace("main got %s", next(g));
  weft_gen_close(g);
}

static int survive(weft_gen *g, void *arg) {
  struct count *c = arg;
  for (int number = 0; number < 3;) {
    number++;
    int r = weft_gen_yield(g, &number);
    if (r < TROUBLE) {
      trace("%s survives %s", c->name, word(r));
      number += 10;
    } else if (r < 0) {
      return r;
    }
  }
  return 0;
}

SCENARIO(an_error_may_be_thrown_in) {
  weft_gen *g = open_gen(survive, (struct count){"g", 0, 0, 0});
  int number = 0;
  for (int i = 0; i < 3; i++) trace("main got %s", next(g));
  int r = weft_gen_throw(g, trouble(5), &number);
  if (r > 0)
    trace("main got %d", number);
  else
    trace("it ended");
  weft_gen *unprepared = open_gen(count, (struct count){"h", 3, 0, 0});
  trace("main got %s", next(unprepared));
  trace("main got %s", word(weft_gen_throw(unprepared, trouble(6), &number)));
  trace("and then %s", next(unprepared));
  weft_gen_close(unprepared);
  weft_gen_close(g);
}

static int fail_after(weft_gen *g, void *arg) {
  struct count *c = arg;
  for (int i = 1; i <= c->last; i++) {
    int r = weft_gen_yield(g, &i);
    if (r < 0) return r;
  }
  trace("%s fails", c->name);
  return trouble(c->number);
}

SCENARIO(an_error_of_the_body_reaches_the_consumer) {
  weft_gen *g = open_gen(fail_after, (struct count){"g", 2, 0, 3});
  for (int i = 0; i < 3; i++) trace("%s", next(g));
  trace("and then %s", next(g));
  weft_gen_close(g);
}

static int count_and_clean(weft_gen *g, void *arg) {
  struct count *c = arg;
  for (int number = 1;; number++) {
    int r = nap(c->seconds);
    if (r == WEFT_ECANCELED) trace("%s %s", c->name, word(r));
    if (r == 0) r = weft_gen_yield(g, &number);
    if (r < 0) return r;
  }
}

static int consume_until_cancelled(void *gen) {
  int number, r;
  while ((r = weft_gen_next(gen, &number)) > 0) trace("got %d", number);
  trace("consumer %s", word(r));
  weft_gen_close(gen);
  trace("closed");
  return r;
}

SCENARIO(a_cancel_finds_the_consumer_inside_the_body) {
  weft_gen *g = open_gen(count_and_clean, (struct count){"g", 0, 2, 0});
  weft_task t = weft_spawn(consume_until_cancelled, g, NULL);
  nap(5);
  weft_cancel(t);
  trace("%s", word(weft_await(t)));
}

static int squares(weft_gen *g, void *arg) {
  weft_gen *inner = *(weft_gen **)arg;
  int number, r;
  while ((r = weft_gen_next(inner, &number)) > 0) {
    number *= number;
    r = weft_gen_yield(g, &number);
    if (r < 0) return r;
  }
  trace("outer has no more");
  return r;
}

SCENARIO(generators_may_be_stacked) {
  weft_gen *inner = open_gen(count_slowly, (struct count){"inner", 3, 1, 0}), *outer = NULL;
  int number;
  weft_gen_open(&outer, squares, &inner, sizeof number, NULL);
  while (weft_gen_next(outer, &number) > 0) trace("got %d", number);
  weft_gen_close(outer);
  weft_gen_close(inner);
}

SCENARIO(a_generator_left_open_is_closed_at_the_end) {
  weft_gen *g = open_gen(count, (struct count){"g", 5, 0, 0});
  trace("got %s", next(g));
  trace("main ends");
}

struct asker {
  const char *name;
  weft_gen *from;
};

static int take_one(void *arg) {
  struct asker *a = arg;
  trace("%s got %s", a->name, next(a->from));
  return 0;
}

SCENARIO(tasks_may_ask_one_after_the_other) {
  weft_gen *g = open_gen(count_slowly, (struct count){"g", 3, 1, 0});
  struct asker askers[] = {{"a", g}, {"b", g}, {"c", g}};
  for (int i = 0; i < 3; i++) weft_await(weft_spawn(take_one, &askers[i], NULL));
  weft_gen_close(g);
}

const struct scenario scenarios_generators[] = {
    ENTRY(a_generator_runs_when_it_is_asked),
    ENTRY(generators_of_several_tasks_interleave),
    ENTRY(a_generator_takes_no_turn_of_its_own),
    ENTRY(a_generator_that_is_closed_cleans_up),
    ENTRY(a_generator_that_never_began_has_nothing_to_clean),
    ENTRY(values_may_be_sent_in),
    ENTRY(an_error_may_be_thrown_in),
    ENTRY(an_error_of_the_body_reaches_the_consumer),
    ENTRY(a_cancel_finds_the_consumer_inside_the_body),
    ENTRY(generators_may_be_stacked),
    ENTRY(a_generator_left_open_is_closed_at_the_end),
    ENTRY(tasks_may_ask_one_after_the_other),
    {NULL, NULL},
};
