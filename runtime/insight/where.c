#include "insight/where.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "insight/module.h"

static const char *last_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void put_symbol(const char *name, uint64_t offset, char *buf, size_t size) {
  if (offset)
    snprintf(buf, size, "%s+0x%llx", name, (unsigned long long)offset);
  else
    snprintf(buf, size, "%s", name);
}

/* `address` is meant as it stands in the text; `at`, which may be one less, lies inside the function. */
static void symbol(const void *address, const char *at, char *buf, size_t size) {
  Dl_info info;
  uint64_t in_file, offset;
  const struct weft__module *m = weft__module_of(at, &in_file);
  const char *name = m ? weft__module_symbol(m, in_file, &offset) : NULL;
  uint64_t behind = (uint64_t)((const char *)address - at);
  if (name) {
    put_symbol(name, offset + behind, buf, size);
  } else if (!address || !dladdr(at, &info) || !info.dli_fname) {
    snprintf(buf, size, "%p", (void *)(uintptr_t)address);
  } else if (info.dli_sname) {
    put_symbol(info.dli_sname, (uintptr_t)address - (uintptr_t)info.dli_saddr, buf, size);
  } else {
    put_symbol(last_part(info.dli_fname), (uintptr_t)address - (uintptr_t)info.dli_fbase, buf,
               size);
  }
}

void weft__where_symbol(const void *address, char *buf, size_t size) {
  symbol(address, address, buf, size);
}

void weft__where(const void *address, bool returned_to, char *buf, size_t size) {
  /* The call is before what it returns to, which may be another line, or another function. */
  const char *at = (const char *)address - (address && returned_to ? 1 : 0);
  symbol(address, at, buf, size);
  uint64_t in_file;
  unsigned line = 0;
  const struct weft__module *m = weft__module_of(at, &in_file);
  const char *file = m ? weft__module_line(m, in_file, &line) : NULL;
  size_t n = strlen(buf);
  if (file) snprintf(buf + n, size - n, " (%s:%u)", file, line);
}
