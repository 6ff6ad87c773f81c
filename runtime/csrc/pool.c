/* Threads that wait for work. Plain pthreads and one condition: a call hands out about a millisecond of work, so the tens of
 * microseconds that waking takes don't call for spinning between calls, which would steal the cores that the engine needs
 * next. */
#define _GNU_SOURCE
#include "pool.h"
#include "segedge.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { DEFAULT_THREADS = 4 };
/* Of waiting awake: 30 to 100 microseconds. */
enum { MAX_SPINS = 2000 };

static struct {
  pthread_mutex_t owner; /* held by the call that has the pool */
  pthread_mutex_t lock;  /* guards what follows */
  pthread_cond_t work, idle;
  size_t workers;     /* threads that exist */
  size_t wanted;      /* workers that may still join the job */
  size_t joined;      /* workers that ever joined the job */
  atomic_size_t busy; /* that still run it; changed with the lock */
  se_piece run;
  void *context;
  size_t pieces;
  atomic_size_t next; /* first piece that nobody has taken */
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .idle = PTHREAD_COND_INITIALIZER};

static atomic_size_t chosen_threads;

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void run_pieces(size_t slot) {
  for (size_t piece; (piece = atomic_fetch_add(&pool.next, 1)) < pool.pieces;) pool.run(pool.context, piece, slot);
}

static void *work(void *unused) {
  pthread_mutex_lock(&pool.lock);
  for (;;) {
    while (pool.wanted == 0) pthread_cond_wait(&pool.work, &pool.lock);
    pool.wanted--;
    pool.busy++;
    const size_t slot = ++pool.joined;
    pthread_mutex_unlock(&pool.lock);
    run_pieces(slot);
    pthread_mutex_lock(&pool.lock);
    if (--pool.busy == 0) pthread_cond_signal(&pool.idle);
  }
  return unused;
}

/* A fork while another thread has the pool waits until it is free: the child then inherits it in a known state. */
static void before_fork(void) {
  pthread_mutex_lock(&pool.owner);
  pthread_mutex_lock(&pool.lock);
}

static void in_parent(void) {
  pthread_mutex_unlock(&pool.lock);
  pthread_mutex_unlock(&pool.owner);
}

/* Only the thread that forked lives on in the child. */
static void in_child(void) {
  pthread_mutex_init(&pool.owner, NULL);
  pthread_mutex_init(&pool.lock, NULL);
  pthread_cond_init(&pool.work, NULL);
  pthread_cond_init(&pool.idle, NULL);
  pool.workers = pool.wanted = pool.joined = 0;
  atomic_store(&pool.busy, 0);
}

static void handle_forks(void) {
  pthread_atfork(before_fork, in_parent, in_child);
}

/* Called with the lock. Where the system gives no more threads, fewer do the work. */
static void start_workers(size_t count) {
  sigset_t all, before;
  sigfillset(&all); /* signals are for the program's own threads; a new thread inherits the mask */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (pool.workers < count) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0) break;
    pthread_detach(thread);
    pool.workers++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void se_pool_run(se_piece run, void *context, size_t pieces, size_t threads) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, handle_forks); /* before the pool is taken: a fork just now must not inherit it locked */
  const size_t helpers = (pieces < threads ? pieces : threads) - 1;
  if (threads < 2 || pieces < 2 || pthread_mutex_trylock(&pool.owner) != 0) {
    for (size_t piece = 0; piece < pieces; piece++) run(context, piece, 0);
    return;
  }
  pthread_mutex_lock(&pool.lock);
  start_workers(helpers);
  pool.run = run;
  pool.context = context;
  pool.pieces = pieces;
  atomic_store(&pool.next, 0);
  pool.joined = 0;
  pool.wanted = helpers;
  pthread_mutex_unlock(&pool.lock);
  for (size_t i = 0; i < helpers; i++) pthread_cond_signal(&pool.work);
  run_pieces(0);
  pthread_mutex_lock(&pool.lock);
  pool.wanted = 0; /* who has not woken yet sleeps on */
  pthread_mutex_unlock(&pool.lock);
  /* The others are within a piece of their end, which is sooner than this thread would be asleep and awake again. */
  for (int turn = 0; turn < MAX_SPINS && atomic_load_explicit(&pool.busy, memory_order_relaxed); turn++) relax();
  pthread_mutex_lock(&pool.lock);
  while (pool.busy) pthread_cond_wait(&pool.idle, &pool.lock);
  pthread_mutex_unlock(&pool.lock);
  pthread_mutex_unlock(&pool.owner);
}

static size_t cores(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return (size_t)CPU_COUNT(&set);
#endif
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (size_t)online : 1;
}

size_t se_threads(void) {
  const size_t chosen = atomic_load(&chosen_threads);
  if (chosen) return chosen;
  const char *text = getenv("SEG_EDGE_THREADS");
  const long wish = text ? strtol(text, NULL, 10) : 0;
  if (wish > 0) return wish < SE_MAX_THREADS ? (size_t)wish : SE_MAX_THREADS;
  const size_t available = cores();
  return available < DEFAULT_THREADS ? available : DEFAULT_THREADS;
}

void se_set_threads(size_t threads) {
  atomic_store(&chosen_threads, threads < SE_MAX_THREADS ? threads : SE_MAX_THREADS);
}
