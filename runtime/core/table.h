/* The running runtimes of the process, so that a weft_runtime value can outlive the run it names. */
#ifndef WEFT_CORE_TABLE_H
#define WEFT_CORE_TABLE_H

struct weft__runtime;

/* Gives rt its id and lets it be found. */
void weft__table_add(struct weft__runtime *rt);
void weft__table_remove(struct weft__runtime *rt);

#endif
