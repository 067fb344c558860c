/* Scopes: a stack of functions, the first few of them in the scope itself. Guarded by nothing: a scope is
 * one task's at a time. */
#include <weft/scope.h>

#include <stdbool.h>
#include <string.h>

#include <weft/task.h>

#include "base/check.h"
#include "base/memory.h"
#include "core/report.h"
#include "core/self.h"
#include "core/task.h"

struct entry {
  weft_fn fn;        /* or NULL: exit is set */
  weft_exit_fn exit; /* or NULL */
  void *arg;
};

struct scope {
  struct entry *heap; /* NULL: own holds them */
  uint32_t n;
  uint32_t capacity; /* of heap */
  struct entry own[WEFT_SCOPE_INLINE];
};
_Static_assert(sizeof(struct scope) <= WEFT_SCOPE_SIZE, "weft_scope is large enough");

static struct scope *inner(weft_scope *s) {
  return (struct scope *)(void *)s;
}

static struct entry *entries(struct scope *s) {
  return s->heap ? s->heap : s->own;
}

int weft_scope_reserve(weft_scope *scope, size_t n) {
  struct scope *s = inner(scope);
  size_t capacity = s->heap ? s->capacity : WEFT_SCOPE_INLINE;
  if (n <= capacity - s->n) return 0;
  if (n > UINT32_MAX / 4) return WEFT_ENOMEM;
  size_t wanted = s->n + n;
  if (wanted < 2 * capacity) wanted = 2 * capacity;
  struct entry *heap = weft__realloc(s->heap, wanted * sizeof *heap);
  if (!heap) return WEFT_ENOMEM;
  if (!s->heap) memcpy(heap, s->own, s->n * sizeof *heap);
  s->heap = heap;
  s->capacity = (uint32_t)wanted;
  return 0;
}

static int push(weft_scope *scope, struct entry e) {
  struct scope *s = inner(scope);
  if (!e.fn && !e.exit) return WEFT_EINVAL;
  int r = weft_scope_reserve(scope, 1);
  if (r < 0) return r;
  entries(s)[s->n++] = e;
  return 0;
}

int weft_scope_defer(weft_scope *s, weft_fn fn, void *arg) {
  return push(s, (struct entry){.fn = fn, .arg = arg});
}

int weft_scope_defer_exit(weft_scope *s, weft_exit_fn fn, void *arg) {
  return push(s, (struct entry){.exit = fn, .arg = arg});
}

/* A cleanup's error that is not the result. */
static void report(const weft_scope *s, int code) {
  struct weft__task *t = weft__current_task();
  weft_report r = {.kind = WEFT_REPORT_CALLBACK, .code = code, .object = s, .object_kind = "scope"};
  weft__report(t ? t->rt : NULL, t, &r, "a cleanup failed as its scope was left: %s (%s)",
               weft_err_name(code), weft_strerror(code));
}

static int run(weft_scope *s, const struct entry *e, int code) {
  if (e->exit) return e->exit(e->arg, code);
  int r = e->fn(e->arg);
  if (r >= 0) return code;
  if (code >= 0) return r;
  report(s, r);
  return code;
}

int weft_scope_exit(weft_scope *scope, int code) {
  struct scope *s = inner(scope);
  weft_shield_begin();
  while (s->n > 0) {
    struct entry e = entries(s)[--s->n];
    code = run(scope, &e, code);
  }
  weft_shield_end();
  weft__free(s->heap);
  s->heap = NULL;
  return code;
}

int weft_scope_pop_all(weft_scope *s, weft_scope *ret) {
  struct scope *to = inner(ret);
  if (to->n > 0) return WEFT_ESTATE;
  if (s == ret) return 0;
  weft__free(to->heap);
  *to = *inner(s);
  *inner(s) = (struct scope){0};
  return 0;
}

void weft_scope_leave(weft_scope *s) {
  int r = weft_scope_exit(s, 0);
  if (r < 0) report(s, r);
}
