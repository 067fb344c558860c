#include "offload/area.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weft/errors.h>

#include "base/check.h"
#include "base/sys.h"

int weft__area_map(struct weft__area *a, unsigned slots, size_t max_payload) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t payload;
  size_t stride;
  size_t total;
  if (__builtin_add_overflow(max_payload, page - 1, &payload)) return WEFT_EINVAL;
  payload &= ~(page - 1);
  if (__builtin_mul_overflow(payload, (size_t)2, &stride) ||
      __builtin_add_overflow(stride, page, &stride) ||
      __builtin_mul_overflow(stride, (size_t)slots, &total) || total > PTRDIFF_MAX) {
    return WEFT_EINVAL;
  }
  void *base;
  int r = weft__sys_mmap(NULL, total, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &base);
  if (r < 0) return r;
  *a = (struct weft__area){
      .base = base, .page = page, .payload = payload, .stride = stride, .slots = slots};
  return 0;
}

void weft__area_unmap(struct weft__area *a) {
  if (a->base) weft__sys_munmap(a->base, a->stride * a->slots);
  a->base = NULL;
}

void weft__area_withhold(const struct weft__area *a) {
  /* Where the kernel cannot do this, other children keep pages alive longer: no other harm. */
  (void)weft__sys_madvise(a->base, a->stride * a->slots, MADV_DONTFORK);
}

int weft__area_keep(const struct weft__area *a, unsigned slot) {
  WEFT__ASSERT(slot < a->slots);
  size_t before = slot * a->stride;
  size_t after = (a->slots - slot - 1) * a->stride;
  int r = before == 0 ? 0 : weft__sys_munmap(a->base, before);
  if (r < 0 || after == 0) return r;
  return weft__sys_munmap(a->base + before + a->stride, after);
}
