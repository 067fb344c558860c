/* Context variables: which value a task sees. */
#include <stdint.h>
#include <stdio.h>

#include "scene.h"

static weft_local user = WEFT_LOCAL_INIT("user", NULL);

static void *text(const char *value) {
  return (void *)(uintptr_t)value;
}

static void set_user(const char *value) {
  weft_local_set(&user, text(value), NULL);
}

static int see(void *name) {
  trace("%s sees %s", (char *)name, (char *)weft_local_get(&user, text("nobody")));
  return 0;
}

static void see_as(const char *name) {
  see(text(name));
}

struct change {
  const char *name, *value;
  int seconds;
};

static int change(void *arg) {
  struct change *c = arg;
  char child[32];
  see_as(c->name);
  set_user(c->value);
  nap(c->seconds);
  see_as(c->name);
  snprintf(child, sizeof child, "%s's child", c->name);
  return weft_await(weft_spawn(see, child, NULL));
}

SCENARIO(a_task_has_a_copy_of_its_creators_context) {
  struct change a = {"a", "bob", 1}, b = {"b", "cay", 2};
  see_as("before");
  set_user("ann");
  weft_task t = weft_spawn(change, &a, NULL), u = weft_spawn(change, &b, NULL);
  set_user("dan");
  weft_await(t);
  weft_await(u);
  see_as("main");
}

static int change_here(void *value) {
  return weft_local_set(&user, value, NULL);
}

SCENARIO(a_call_shares_the_callers_context) {
  set_user("ann");
  change_here(text("bob"));
  see_as("main");
  weft_await(start(change_here, "cay"));
  see_as("main");
}

SCENARIO(a_set_may_be_taken_back) {
  weft_local_token first, second;
  weft_local_set(&user, text("ann"), &first);
  weft_local_set(&user, text("bob"), &second);
  see_as("main");
  weft_local_reset(&second);
  see_as("main");
  weft_local_reset(&first);
  see_as("main");
}

SCENARIO(a_context_is_given_to_a_task) {
  struct change c = {"task", "cay", 1};
  weft_context *context = NULL;
  set_user("ann");
  weft_context_copy(&context);
  set_user("bob");
  const weft_spawn_opts inside = {.context = context};
  weft_await(weft_spawn(change, &c, &inside));
  see_as("main");
  trace("the context has %s", (char *)weft_context_get(context, &user, NULL));
  weft_context_run(context, see, text("inside"));
  weft_context_run(context, change_here, text("dan"));
  weft_await(weft_spawn(see, text("late task"), &inside));
  weft_context_free(context);
}

static int see_in_callback(weft_future *f, void *name) {
  (void)f;
  return see(name);
}

SCENARIO(a_callback_sees_the_context_it_was_added_in) {
  weft_future *f = NULL;
  weft_future_new(&f, 0);
  set_user("ann");
  weft_future_on_done(f, see_in_callback, text("first callback"));
  set_user("bob");
  weft_future_on_done(f, see_in_callback, text("second callback"));
  set_user("cay");
  weft_future_set(f, NULL);
  weft_yield();
  see_as("main");
  weft_future_unref(f);
}

const struct scenario scenarios_contexts[] = {
    ENTRY(a_task_has_a_copy_of_its_creators_context),
    ENTRY(a_call_shares_the_callers_context),
    ENTRY(a_set_may_be_taken_back),
    ENTRY(a_context_is_given_to_a_task),
    ENTRY(a_callback_sees_the_context_it_was_added_in),
    {NULL, NULL},
};
