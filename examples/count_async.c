/* Three tasks say "One", sleep, and say "Two". One after the other they would sleep three times;
 * together they sleep once, because a sleeping task holds nobody up. The same program in asyncio:
 *
 *   async def count():
 *       print("One")
 *       await asyncio.sleep(0.2)
 *       print("Two")
 *
 *   async def main():
 *       await asyncio.gather(count(), count(), count())
 */
#include <stdio.h>
#include <weft.h>

static int count(void *arg) {
  int r;
  (void)arg;
  puts("One");
  if ((r = weft_sleep(weft_ms(200))) < 0) return r;
  puts("Two");
  return 0;
}

static int count_three_times(void *arg) {
  weft_group g = WEFT_GROUP_INIT;
  (void)arg;
  for (int i = 0; i < 3; i++) weft_group_spawn(&g, count, NULL, NULL);
  return weft_group_join(&g);
}

int main(void) {
  weft_ns start = weft_now();
  int r = weft_run(count_three_times, NULL, NULL);
  weft_ns took = weft_now() - start;
  if (r < 0) {
    fprintf(stderr, "count_async: %s\n", weft_strerror(r));
    return 1;
  }
  fprintf(stderr, "took %.2f s\n", (double)took / 1e9);
  puts(took < weft_ms(600) ? "The three slept together." : "The three slept one after the other.");
  return 0;
}
