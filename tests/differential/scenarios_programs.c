/* Small programs that use several things at once. */
#include <stdio.h>

#include "scene.h"

struct download {
  const char *name;
  int seconds;
  weft_sem *slots;
};

static int fetch(struct download *d) {
  weft_timeout s;
  trace("%s begins", d->name);
  weft_timeout_begin(&s, weft_sec(4));
  int r = nap(d->seconds);
  if (r == 0) trace("%s arrived", d->name);
  r = weft_timeout_end(&s, r);
  if (r == WEFT_ETIMEDOUT) trace("%s takes too long", d->name);
  return r == 0 ? d->seconds : 0;
}

static int download(void *arg) {
  struct download *d = arg;
  weft_sem_acquire(d->slots);
  int seconds = fetch(d);
  weft_sem_release(d->slots);
  return seconds;
}

SCENARIO(downloads_with_slots_and_time_limits) {
  weft_sem slots = WEFT_SEM_INIT(2);
  struct download d[] = {
      {"a", 2, &slots}, {"b", 9, &slots}, {"c", 1, &slots}, {"d", 8, &slots}, {"e", 2, &slots}};
  weft_task t[5];
  int codes[5], sum = 0;
  for (int i = 0; i < 5; i++) t[i] = weft_spawn(download, &d[i], NULL);
  weft_gather(t, 5, codes);
  for (int i = 0; i < 5; i++) sum += codes[i];
  trace("in all %d", sum);
}

static int attempt(void *arg) {
  int number = *(int *)arg, r = 0;
  trace("attempt %d", number);
  if (number == 1) r = nap(9);
  if (number == 2 && (r = nap(1)) == 0) return trouble(2);
  if (r == 0) r = nap(2);
  return r < 0 ? r : 50 + number;
}

SCENARIO(attempts_with_longer_and_longer_pauses) {
  int pause = 1;
  for (int number = 1; number < 5; number++) {
    int r = weft_wait_for(attempt, &number, weft_sec(3));
    trace("attempt %d: %s", number, word(r));
    if (r >= 0) break;
    nap(pause);
    pause *= 2;
  }
}

struct crawler {
  const char *name;
  weft_queue *queue;
  bool seen[7];
};

static int crawl(void *arg) {
  struct crawler *c = arg;
  int page, r;
  while ((r = weft_queue_get(c->queue, &page)) > 0) {
    trace("%s reads page %d", c->name, page);
    if ((r = nap(page % 3 + 1)) < 0) break;
    for (int link = 2 * page + 1; link <= 2 * page + 2; link++) {
      if (link >= 7 || c->seen[link]) continue;
      c->seen[link] = true;
      weft_queue_try_put(c->queue, &link);
      trace("%s finds page %d", c->name, link);
    }
    weft_queue_task_done(c->queue);
  }
  return r;
}

SCENARIO(a_crawler_that_finds_its_own_work) {
  struct crawler c = {.name = "worker", .seen = {true}};
  int first = 0, code;
  weft_queue_new(&c.queue, sizeof(int), NULL);
  weft_queue_try_put(c.queue, &first);
  weft_task worker = weft_spawn(crawl, &c, NULL);
  weft_queue_join(c.queue);
  trace("all pages read");
  weft_cancel(worker);
  weft_gather(&worker, 1, &code);
  trace("%s", word(code));
  weft_queue_free(c.queue);
}

struct philosopher {
  const char *name;
  weft_lock *left, *right;
  int seconds;
};

static int philosopher(void *arg) {
  struct philosopher *p = arg;
  for (int i = 0; i < 2; i++) {
    nap(p->seconds);
    weft_lock_acquire(p->left);
    trace("%s has one fork", p->name);
    weft_lock_acquire(p->right);
    trace("%s eats", p->name);
    nap(1);
    weft_lock_release(p->right);
    weft_lock_release(p->left);
    trace("%s thinks", p->name);
  }
  return 0;
}

SCENARIO(philosophers_who_agree_on_an_order) {
  weft_lock forks[3] = {WEFT_LOCK_INIT};
  struct philosopher p[] = {{"a", &forks[0], &forks[1], 10},
                            {"b", &forks[1], &forks[2], 13},
                            {"c", &forks[0], &forks[2], 17}};
  weft_group g = WEFT_GROUP_INIT;
  for (int i = 0; i < 3; i++) weft_group_spawn(&g, philosopher, &p[i], NULL);
  weft_group_join(&g);
  trace("all have eaten");
}

static int serve(void *arg) {
  int number = *(int *)arg;
  trace("service %d begins", number);
  int r = nap(number);
  return r < 0 ? r : trouble(number);
}

SCENARIO(a_supervisor_that_restarts_what_failed) {
  int numbers[] = {3, 5}, deaths = 0;
  weft_task running[2];
  for (int i = 0; i < 2; i++) running[i] = weft_spawn(serve, &numbers[i], NULL);
  while (deaths < 5) {
    weft_awaitable set[] = {weft_task_awaitable(running[0]), weft_task_awaitable(running[1])};
    weft_outcome outcomes[2];
    weft_wait(set, 2, WEFT_FIRST_OVER, WEFT_FOREVER, outcomes);
    for (int i = 0; i < 2; i++) {
      if (!outcomes[i].over) continue;
      deaths++;
      trace("service %d: %s", numbers[i], word(weft_await(running[i])));
      running[i] = weft_spawn(serve, &numbers[i], NULL);
    }
  }
  for (int i = 0; i < 2; i++) {
    weft_cancel(running[i]);
    trace("%s", word(weft_await(running[i])));
  }
}

static int read_lines(weft_gen *g, void *arg) {
  (void)arg;
  for (int line = 11; line <= 15; line++) {
    int r = nap(1);
    if (r == 0) r = weft_gen_yield(g, &line);
    if (r < 0) return r;
  }
  return 0;
}

static int send_lines(void *queue) {
  weft_gen *g = NULL;
  int line, r;
  weft_gen_open(&g, read_lines, NULL, sizeof line, NULL);
  while ((r = weft_gen_next(g, &line)) > 0 && (r = weft_queue_put(queue, &line)) == 0)
    trace("sent %d", line);
  weft_gen_close(g);
  return r;
}

SCENARIO(a_reader_a_queue_and_a_deadline) {
  weft_queue *q = NULL;
  weft_timeout s;
  int line, r;
  weft_queue_new(&q, sizeof line, &(weft_queue_opts){.capacity = 1});
  weft_task sender = weft_spawn(send_lines, q, NULL);
  weft_timeout_begin(&s, weft_ms(6500));
  while ((r = weft_queue_get(q, &line)) > 0) {
    trace("handling %d", line);
    if ((r = nap(2)) < 0) break;
  }
  if (r == 0) trace("not reached");
  trace("%s", word(weft_timeout_end(&s, r)));
  weft_cancel(sender);
  trace("%s", word(weft_await(sender)));
  weft_queue_free(q);
}

struct board {
  weft_cond cond;
  int news;
};

struct subscriber {
  const char *name;
  struct board *board;
  int wanted, seen;
};

static int has_news(void *arg) {
  struct subscriber *s = arg;
  return s->board->news > s->seen;
}

static int subscriber(void *arg) {
  struct subscriber *s = arg;
  while (s->seen < s->wanted) {
    weft_cond_acquire(&s->board->cond);
    weft_cond_wait_for(&s->board->cond, has_news, s);
    int fresh = s->board->news - s->seen;
    s->seen = s->board->news;
    weft_cond_release(&s->board->cond);
    trace("%s reads %d", s->name, fresh);
    weft_sleep(weft_ms(2200));
  }
  trace("%s has enough", s->name);
  return 0;
}

SCENARIO(subscribers_who_read_at_their_own_pace) {
  struct board b = {WEFT_COND_INIT(NULL), 0};
  struct subscriber subscribers[] = {{"a", &b, 2, 0}, {"b", &b, 4, 0}};
  weft_task t[2];
  for (int i = 0; i < 2; i++) t[i] = weft_spawn(subscriber, &subscribers[i], NULL);
  for (int number = 1; number < 6; number++) {
    weft_sleep(weft_ms(1500));
    weft_cond_acquire(&b.cond);
    trace("news %d", b.news = number);
    weft_cond_notify_all(&b.cond);
    weft_cond_release(&b.cond);
  }
  for (int i = 0; i < 2; i++) weft_await(t[i]);
}

struct racer {
  const char *name;
  int seconds;
  weft_future *finish;
};

static int race(void *arg) {
  struct racer *racer = arg;
  int r = nap(racer->seconds);
  if (r < 0) return r;
  trace("%s arrives", racer->name);
  weft_future_set(racer->finish, &racer->seconds);
  return 0;
}

SCENARIO(the_first_of_a_race_ends_it) {
  weft_future *finish = NULL;
  weft_future_new(&finish, sizeof(int));
  struct racer racers[] = {{"a", 5, finish}, {"b", 2, finish}, {"c", 4, finish}};
  weft_task t[3];
  int seconds = 0;
  for (int i = 0; i < 3; i++) t[i] = weft_spawn(race, &racers[i], NULL);
  weft_future_await(finish, &seconds);
  trace("the winner took %d", seconds);
  for (int i = 0; i < 3; i++) trace("cancel %d", weft_cancel(t[i]));
  for (int i = 0; i < 3; i++) trace("%s", word(weft_await(t[i])));
  weft_future_unref(finish);
}

const struct scenario scenarios_programs[] = {
    ENTRY(downloads_with_slots_and_time_limits),
    ENTRY(attempts_with_longer_and_longer_pauses),
    ENTRY(a_crawler_that_finds_its_own_work),
    ENTRY(philosophers_who_agree_on_an_order),
    ENTRY(a_supervisor_that_restarts_what_failed),
    ENTRY(a_reader_a_queue_and_a_deadline),
    ENTRY(subscribers_who_read_at_their_own_pace),
    ENTRY(the_first_of_a_race_ends_it),
    {NULL, NULL},
};
