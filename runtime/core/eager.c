#include "core/eager.h"

#include "core/park.h"
#include "core/strand.h"

bool weft__start_eagerly(struct weft__worker *w, struct weft__task *cur, struct weft__task *t) {
  t->odd &= (uint8_t)~WEFT__EAGER;
  /* What is pinned to a worker does not run on its reserve. */
  if (!cur || (w->reserve && (t->odd & WEFT__PINNED))) return false;
  /* In the turn of its spawner if they share a strand, else in one of its own. */
  if ((t->odd & WEFT__STRAND) && cur->strand != t->strand && !weft__strand_enter(t->strand, t))
    return true;
  uint64_t word = weft__load_relaxed_u64(&t->word);
  if (!weft__claim_start(&t->word, weft__word_key(word), false)) return false;
  t->odd |= WEFT__FRESH;
  w->eager = t;
  weft__make_way(cur);
  return true;
}
