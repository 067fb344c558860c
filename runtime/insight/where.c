#include "insight/where.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *file_part(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

void weft__where_symbol(const void *address, char *buf, size_t size) {
  Dl_info info;
  if (!address || !dladdr(address, &info) || !info.dli_fname) {
    snprintf(buf, size, "%p", (void *)(uintptr_t)address);
    return;
  }
  if (info.dli_sname) {
    size_t offset = (size_t)((const char *)address - (const char *)info.dli_saddr);
    snprintf(buf, size, offset ? "%s+0x%zx" : "%s", info.dli_sname, offset);
    return;
  }
  snprintf(buf, size, "%s+0x%zx", file_part(info.dli_fname),
           (size_t)((const char *)address - (const char *)info.dli_fbase));
}

void weft__where(const void *address, bool returned_to, char *buf, size_t size) {
  (void)returned_to;
  weft__where_symbol(address, buf, size);
}
