/* What a task waits for, as a word for those who look at it (descriptions, the call graph). */
#ifndef WEFT_CORE_WAITKIND_H
#define WEFT_CORE_WAITKIND_H

/* One static object per kind of thing: comparing addresses tells the kind. */
struct weft__wait_kind {
  const char *name; /* "a lock" */
};

/* Kinds whose object says more than its address. */
extern const struct weft__wait_kind weft__waits_task;  /* a struct weft__task */
extern const struct weft__wait_kind weft__waits_group; /* the struct weft__owner of the children */
/* Locks. The first eight bytes of the object are a word that holds the address of the task that has it, if
 * one has; the low three bits are the lock's own. It is read by a copy that the kernel makes: the lock
 * lives while somebody waits for it, and whoever reads checks afterwards that the wait has lasted. */
extern const struct weft__wait_kind weft__waits_lock;
extern const struct weft__wait_kind weft__waits_to_read;
extern const struct weft__wait_kind weft__waits_to_write;
extern const struct weft__wait_kind weft__waits_time; /* object NULL, as below */
extern const struct weft__wait_kind weft__waits_job;
extern const struct weft__wait_kind weft__waits_fd;

#endif
