/* What a task waits for, as a word for those who look at it (descriptions, the call graph). */
#ifndef WEFT_CORE_WAITKIND_H
#define WEFT_CORE_WAITKIND_H

/* One static object per kind of thing: comparing addresses tells the kind. */
struct weft__wait_kind {
  const char *name; /* "a lock" */
};

#endif
