/* Counts the primes below a limit in 64 tasks. Each task is plain CPU work without an await; the
 * workers share the tasks out among themselves, so with two of them it takes about half as long:
 *
 *   time WEFT_WORKERS=1 ./primes
 *   time ./primes
 */
#include <stdio.h>
#include <weft.h>

enum { LIMIT = 1000000, PARTS = 64 };

struct part {
  int from, to; /* the numbers [from, to) */
  int found;
};

static int is_prime(int n) {
  if (n < 2) return 0;
  for (int d = 2; d <= n / d; d++)
    if (n % d == 0) return 0;
  return 1;
}

static int count_part(void *arg) {
  struct part *p = arg;
  int found = 0;
  for (int n = p->from; n < p->to; n++) found += is_prime(n);
  p->found = found; /* written once: neighbours in the array are other workers' */
  return 0;
}

static int count_primes(void *arg) {
  struct part parts[PARTS];
  weft_group g = WEFT_GROUP_INIT;
  int r, sum = 0;
  (void)arg;
  for (int i = 0; i < PARTS; i++) {
    parts[i] = (struct part){.from = LIMIT / PARTS * i, .to = LIMIT / PARTS * (i + 1)};
    weft_group_spawn(&g, count_part, &parts[i], NULL);
  }
  if ((r = weft_group_join(&g)) < 0) return r;
  for (int i = 0; i < PARTS; i++) sum += parts[i].found;
  printf("%d primes below %d\n", sum, LIMIT);
  printf("workers: %d\n", weft_worker_count());
  return 0;
}

int main(void) {
  int r = weft_run(count_primes, NULL, NULL);
  if (r < 0) fprintf(stderr, "primes: %s\n", weft_strerror(r));
  return r < 0;
}
