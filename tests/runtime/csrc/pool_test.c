/* The pool where random calls don't get: after a fork, where the system gives no threads, and while another call has it.
 * Exits with 1 and one line at the first wrong picture; a hang is ended by the alarm. */
#include "fuzz_input.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they need memory of their own */
#define TAKE_MEMORY
#endif

enum { H = 512, W = 513, CLASSES = 3, THREADS = 4, CALLERS = 4, TIMES = 20 };

static float logits[CLASSES * 8 * 8];
static uint8_t expected[H * W];
static void *workspace; /* allocated before memory is taken away */

static se_paint_job job_to(uint8_t *mask) {
  return (se_paint_job){.logits = logits, .classes = CLASSES, .h = 8, .w = 8, .dst_h = H, .dst_w = W, .mask = mask};
}

static void paint(uint8_t *mask, void *memory, const char *when) {
  const se_paint_job job = job_to(mask);
  memset(mask, 255, H * W);
  se_paint(se_kernels_get(NULL), &job, THREADS, memory);
  FUZZ_CHECK(memcmp(mask, expected, H * W) == 0, "a wrong mask %s", when);
}

static void in_child(void (*test)(void)) {
  int status;
  fflush(NULL);
  const pid_t child = fork();
  FUZZ_CHECK(child >= 0, "fork failed");
  if (child == 0) {
    alarm(60); /* a parent's alarm doesn't pass to its child */
    test();
#ifdef TAKE_MEMORY
    exit(0); /* so that its lines are counted */
#else
    _exit(0); /* what other threads held at the fork would pass for leaks */
#endif
  }
  FUZZ_CHECK(waitpid(child, &status, 0) == child && status == 0, "the child ended with status %d", status);
}

static void after_fork(void) {
  static uint8_t mask[H * W];
  paint(mask, workspace, "after fork");
}

#ifdef TAKE_MEMORY
static void without_memory(void) {
  static uint8_t mask[H * W];
  struct rlimit limit, none;
  getrlimit(RLIMIT_AS, &limit);
  none = limit;
  none.rlim_cur = 0; /* no stack for a thread */
  FUZZ_CHECK(setrlimit(RLIMIT_AS, &none) == 0, "setrlimit failed");
  paint(mask, workspace, "without threads");
  setrlimit(RLIMIT_AS, &limit);
  paint(mask, workspace, "with threads again");
}
#endif

static void *call_often(void *unused) {
  const se_paint_job job = job_to(NULL);
  uint8_t *mask = fuzz_block(H * W);
  void *memory = fuzz_block(se_paint_workspace(&job, THREADS));
  for (int i = 0; i < TIMES; i++) paint(mask, memory, "beside other callers");
  free(memory);
  free(mask);
  return unused;
}

static void *fork_often(void *unused) {
  for (int i = 0; i < 5; i++) in_child(after_fork);
  return unused;
}

int main(void) {
  alarm(240);
  for (size_t i = 0; i < sizeof logits / sizeof logits[0]; i++) logits[i] = (float)(i * 7919 % 101);
  const se_paint_job job = job_to(expected);
  workspace = fuzz_block(se_paint_workspace(&job, THREADS));
  se_paint(se_kernels_get("scalar"), &job, 1, workspace);
  static uint8_t mask[H * W];
  paint(mask, workspace, "at first");
  in_child(after_fork);
#ifdef TAKE_MEMORY
  in_child(without_memory);
#endif
  pthread_t callers[CALLERS + 1];
  for (int i = 0; i < CALLERS; i++) pthread_create(callers + i, NULL, call_often, NULL);
  pthread_create(callers + CALLERS, NULL, fork_often, NULL);
  for (int i = 0; i <= CALLERS; i++) pthread_join(callers[i], NULL);
  free(workspace);
  printf("pool_test: the same masks after fork, without threads and beside %d callers\n", CALLERS);
  return 0;
}
