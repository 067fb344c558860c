/* The fault handler and its stacks. See overflow.h. */
#include "base/overflow.h"
#include "base/sim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <weft/errors.h>

#include "base/sys.h"

enum { SIGNALS = 2 };
static const int signals[SIGNALS] = {SIGSEGV, SIGBUS};

/* Written by install while no handler of ours is in place, read by the handler. */
static struct sigaction before[SIGNALS];
static weft__overflow_fn hook;

/* The alternate stack made here for this thread, or NULL. Never used across a switch. */
static _Thread_local void *own_stack;
static _Thread_local size_t own_stack_bytes;

static const void *stack_pointer(const void *context) {
#if defined(__x86_64__)
  const ucontext_t *u = context;
  return (const void *)u->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
  const ucontext_t *u = context;
  return (const void *)u->uc_mcontext.sp;
#else
  (void)context;
  return NULL;
#endif
}

/* Whether the fault is an access to a guard; tells the hook if so. */
static bool report(const siginfo_t *info, const void *context) {
  /* Sent by a process: there is no address. */
  if (info->si_code <= 0) return false;
  bool in_guard = false;
  struct weft__overflow o = {.address = info->si_addr};
  o.stack = weft__stack_find(o.address, &in_guard);
  if (o.stack == NULL || !in_guard) return false;
  const void *sp = stack_pointer(context);
  bool sp_in_guard;
  o.by_owner = sp == NULL || weft__stack_find(sp, &sp_in_guard) == o.stack;
  hook(&o);
  return true;
}

/* The process ends by the default action: the faulting instruction is executed again when the
 * handler returns; a signal that was sent is sent again. */
static void die(int sig, const siginfo_t *info) {
  struct sigaction by_default = {.sa_handler = SIG_DFL};
  sigemptyset(&by_default.sa_mask);
  (void)sigaction(sig, &by_default, NULL);
  if (info->si_code <= 0) (void)raise(sig);
}

/* As the kernel would have called it. False when there is no function to call. */
static bool call_previous(const struct sigaction *previous, int sig, siginfo_t *info,
                          void *context) {
  bool with_info = (previous->sa_flags & SA_SIGINFO) != 0;
  if (!with_info && (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN))
    return false;
  (void)pthread_sigmask(SIG_BLOCK, &previous->sa_mask, NULL);
  if (with_info)
    previous->sa_sigaction(sig, info, context);
  else
    previous->sa_handler(sig);
  return true;
}

static void on_fault(int sig, siginfo_t *info, void *context) {
  int saved = errno;
  bool overflow = report(info, context);
  weft__sim_tell_seed();
  bool handled = call_previous(&before[sig == SIGSEGV ? 0 : 1], sig, info, context);
  if (overflow || !handled) die(sig, info);
  errno = saved;
}

static bool is_ours(const struct sigaction *a) {
  return (a->sa_flags & SA_SIGINFO) != 0 && a->sa_sigaction == on_fault;
}

int weft__overflow_install(weft__overflow_fn fn) {
  struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&ours.sa_mask);
  hook = fn;
  for (int i = 0; i < SIGNALS; i++) {
    struct sigaction now;
    if (sigaction(signals[i], NULL, &now) != 0) return -errno;
    /* Left over when somebody wrapped ours and took the wrapper away after uninstall. */
    if (!is_ours(&now)) before[i] = now;
    if (sigaction(signals[i], &ours, NULL) != 0) return -errno;
  }
  return 0;
}

void weft__overflow_uninstall(void) {
  for (int i = 0; i < SIGNALS; i++) {
    struct sigaction now;
    if (sigaction(signals[i], NULL, &now) == 0 && is_ours(&now))
      (void)sigaction(signals[i], &before[i], NULL);
  }
}

int weft__overflow_thread_init(void) {
  stack_t now;
  int r = weft__sys_sigaltstack(NULL, &now);
  if (r < 0) return r;
  if ((now.ss_flags & SS_DISABLE) == 0) return 0;
  /* Room for the signal frame (2.7 KiB, more with wider vector registers), the hook, and a handler
   * of the program's or a sanitizer's that prints a backtrace. Pages are used only if it comes to
   * that. */
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t frame = (size_t)sysconf(_SC_MINSIGSTKSZ);
  size_t bytes = (frame + ((size_t)64 << 10) * WEFT__STACK_SCALE + 2 * page - 1) & ~(page - 1);
  void *lo;
  if (weft__sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0, &lo) < 0)
    return WEFT_ENOMEM;
  stack_t ours = {.ss_sp = (char *)lo + page, .ss_size = bytes - page};
  r = weft__sys_mprotect(lo, page, PROT_NONE);
  if (r == 0) r = weft__sys_sigaltstack(&ours, NULL);
  if (r < 0) {
    (void)weft__sys_munmap(lo, bytes);
    return WEFT_ENOMEM;
  }
  own_stack = lo;
  own_stack_bytes = bytes;
  return 0;
}

void weft__overflow_thread_fini(void) {
  if (own_stack == NULL) return;
  stack_t now;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (weft__sys_sigaltstack(NULL, &now) == 0 && now.ss_sp == (char *)own_stack + page) {
    stack_t none = {.ss_flags = SS_DISABLE};
    (void)weft__sys_sigaltstack(&none, NULL);
  }
  (void)weft__sys_munmap(own_stack, own_stack_bytes);
  own_stack = NULL;
}
