/* What the files of weft-peer share: its command line, and clocks. */
#ifndef WEFT_PEER_H
#define WEFT_PEER_H

#include <stdint.h>
#include <time.h>

/* The value of key=value, or the other. */
long argument(const char *key, long otherwise);
const char *argument_text(const char *key);

uint64_t clock_ns(clockid_t clock);
uint64_t now(void);

/* A benchmark whose calls fail has no figures: a negative code ends the program. */
void must(int r, const char *what);

/* Workloads that are servers (servers.c): main tasks, which run until the program is killed. */
int echo_server(void *unused);
int source_server(void *unused);

#endif
