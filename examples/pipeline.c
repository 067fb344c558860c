/* A pipeline: words from a source, lengths in between, a table at the end. The source is a generator, so
 * reading goes on only as fast as somebody takes; the scope closes it whichever way the program leaves.
 * The same in asyncio:
 *
 *   async def words(text):
 *       for word in text.split():
 *           await asyncio.sleep(0.001)
 *           yield word
 *
 *   async def main():
 *       async with aclosing(words(TEXT)) as source:
 *           lengths = [len(w) async for w in source if w != "the"]
 */
#include <stdio.h>
#include <string.h>
#include <weft.h>

static const char text[] = "the weft is the thread that crosses all the others";

struct word {
  const char *start;
  size_t length;
};

WEFT_GEN_TYPE(words, struct word);

static int split(words g, void *arg) {
  const char *at = arg;
  while (*(at += strspn(at, " "))) {
    struct word w = {at, strcspn(at, " ")};
    int r = weft_sleep(weft_ms(1)); /* as if it came over a network */
    if (r == 0) r = words_yield(g, &w);
    if (r < 0) {
      puts("the source is closed early");
      return r;
    }
    at += w.length;
  }
  return 0;
}

/* The length of every word but "the". */
static int measure(void *arg, const void *in, void *ret_item) {
  const struct word *w = in;
  (void)arg;
  if (w->length == 3 && memcmp(w->start, "the", 3) == 0) return 0;
  *(size_t *)ret_item = w->length;
  return 1;
}

/* Takes up to `limit` lengths (0: all). */
static int run_pipeline(size_t limit) {
  weft_scope s = WEFT_SCOPE_INIT;
  struct word w;
  words source;
  void *lengths;
  size_t n;

  int r = words_open(&source, split, (void *)(uintptr_t)text, &(weft_gen_opts){.name = "words"});
  if (r < 0) return r;
  weft_scope_defer(&s, weft_gen_close_fn, source.untyped);

  weft_transform lengths_of = {.from = weft_gen_iter(source.untyped), .fn = measure, .in = &w};
  r = weft_collect(weft_transform_iter(&lengths_of), sizeof(size_t), limit, &lengths, &n);
  if (r < 0) return weft_scope_exit(&s, r);

  printf("%zu words:", n);
  for (size_t i = 0; i < n; i++) printf(" %zu", ((size_t *)lengths)[i]);
  puts("");
  weft_collect_free(lengths);
  return weft_scope_exit(&s, 0);
}

static int run_twice(void *arg) {
  (void)arg;
  int r = run_pipeline(0);
  return r < 0 ? r : run_pipeline(2);
}

int main(void) {
  int r = weft_run(run_twice, NULL, NULL);
  if (r < 0) fprintf(stderr, "pipeline: %s\n", weft_strerror(r));
  return r < 0;
}
