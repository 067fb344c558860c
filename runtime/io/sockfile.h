/* The file of a Unix socket that listens: made by bind, and to be removed by who made it, unless somebody
 * else's has taken its place meanwhile.
 */
#ifndef WEFT_IO_SOCKFILE_H
#define WEFT_IO_SOCKFILE_H

#include <stdbool.h>
#include <sys/types.h>

#include <weft/addr.h>

/* Zeroed: none. */
struct weft__sock_file {
  bool made;
  dev_t dev;
  ino_t ino;
};

/* The address could not be bound because its file is there. Removes it when it is a socket that nobody
 * listens on: 0; else WEFT_EADDRINUSE, or what the system says. */
int weft__sock_file_clear(const weft_addr *a);

/* The address has just been bound: remembers its file, and gives it these permissions unless mode is 0. 0 also
 * for addresses that have no file. */
int weft__sock_file_made(struct weft__sock_file *f, const weft_addr *a, unsigned mode);

/* Removes the file if it is still the one that was made. */
void weft__sock_file_remove(struct weft__sock_file *f, const weft_addr *a);

#endif
