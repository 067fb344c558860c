/* For memory without which a program cannot go on: it ends when there is none. */
#ifndef CONTRAST_NEED_H
#define CONTRAST_NEED_H

#include <stdio.h>
#include <stdlib.h>

static inline void *need(void *memory) {
  if (!memory) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return memory;
}

#endif
