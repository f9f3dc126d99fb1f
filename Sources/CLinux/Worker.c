// A worker as seen by its parent and its successor, in shared memory: the state of its loop, and
// what it was applying when it crashed. Also mapped files that are truncated while in use, which is
// a signal instead of an error.
#include "Call.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SAVED_LIMIT (256 << 10)
#define POISON_LIMIT 8

typedef struct content { uint64_t digest, count; } content;
typedef struct board {
  uint32_t life;     // the worker's number: 1, 2, 3 …
  uint32_t turn;     // odd while its loop is in a turn, even while it rests
  uint32_t watched;  // the parent looks at `turn` now and then; 0: it sleeps
  uint32_t phase;
  int32_t parent;
  uint32_t crash_life;  // the worker that died of a fault of its own last
  uint32_t poison_count;
  uint64_t shared[4];
  content crash;  // what that worker was applying; its bytes are in `saved`, as far as they fit
  content poison[POISON_LIMIT];
  unsigned char saved[SAVED_LIMIT];
} board;

static board *own;  // of a worker; NULL in every other process
static volatile int is_careful, is_checking;
static const unsigned char *volatile flight_start;
static volatile size_t flight_count;

size_t cl_board_byte_count(void) { return sizeof(board); }
uint64_t cl_board_shared(void *at, int index, uint64_t amount) {
  return ((board *)at)->shared[index & 3] += amount;
}

// -- The loop, and the parent that watches it.

void cl_board_next(void *at) {
  board *b = at;
  b->life++;
  b->parent = getpid();
  // Its start counts as a turn, and the parent watches it.
  b->turn = b->watched = 1;
  b->phase = 0;
}
uint32_t cl_board_turn(const void *at) {
  return __atomic_load_n(&((const board *)at)->turn, __ATOMIC_SEQ_CST);
}
uint32_t cl_board_phase(const void *at) { return ((const board *)at)->phase; }
int cl_board_is_watched(const void *at) {
  return __atomic_load_n(&((const board *)at)->watched, __ATOMIC_SEQ_CST) != 0;
}
void cl_board_watch(void *at, int is_watched) {
  __atomic_store_n(&((board *)at)->watched, (uint32_t)is_watched, __ATOMIC_SEQ_CST);
}
void cl_phase(uint32_t phase) { if (own) own->phase = phase; }
void cl_turn_rests(void) {
  if (own && own->turn & 1) __atomic_store_n(&own->turn, own->turn + 1, __ATOMIC_SEQ_CST);
}
void cl_turn_begins(void) {
  if (!own || own->turn & 1) return;
  // First store the turn, then check `watched`; the parent does the reverse (see `cl_board_watch`),
  // so one of the two sees the other's store.
  __atomic_store_n(&own->turn, own->turn + 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&own->watched, __ATOMIC_SEQ_CST)) return;
  __atomic_store_n(&own->watched, 1, __ATOMIC_SEQ_CST);
  // Its parent waits for this signal anyway, and a spurious one is harmless to others.
  if (getppid() == own->parent) kill(own->parent, SIGCHLD);
}

// -- What is being applied.

static uint64_t digest(const unsigned char *bytes, size_t count) {
  uint64_t sum = 0xcbf29ce484222325u;  // FNV-1a
  for (size_t i = 0; i < count; i++) sum = (sum ^ bytes[i]) * 0x100000001b3u;
  return sum;
}
static int is_poison(const unsigned char *bytes, size_t count) {
  for (uint32_t i = 0; i < own->poison_count && i < POISON_LIMIT; i++)
    if (own->poison[i].count == count && own->poison[i].digest == digest(bytes, count)) return 1;
  return 0;
}
// Nothing is kept where no worker comes after this process; tests run many at once. What is planned
// happens there too.
static int has_successor(void) {
#ifdef CLINUX_FAULTS
  if (getenv("CLINUX_CRASH") || getenv("CLINUX_HANG")) return 1;
#endif
  return own != NULL;
}
int cl_flight_begin(const void *bytes, size_t count) {
  if (!has_successor()) return 1;
  if (is_checking && is_poison(bytes, count)) return 0;
  flight_start = bytes;
  flight_count = count;
  return 1;
}
int cl_flight_is_careful(void) { return is_careful; }

#ifdef CLINUX_FAULTS
// CLINUX_CRASH="<signal>:<text>" kills a worker by that signal once it has applied input with the
// text.
static void crash_if_planned(void) {
  const char *plan = getenv("CLINUX_CRASH");
  char *text;
  if (!plan || flight_count == 0) return;
  int number = (int)strtol(plan, &text, 10);
  if (*text == ':' && memmem((const void *)flight_start, flight_count, text + 1, strlen(text + 1)))
    raise(number);
}
// CLINUX_HANG=<text>: the same, but the worker hangs.
static void hang_if_planned(void) {
  const char *text = getenv("CLINUX_HANG");
  if (!text || flight_count == 0) return;
  if (memmem((const void *)flight_start, flight_count, text, strlen(text))) for (;;) pause();
}
#endif
void cl_flight_end(void) {
  if (!has_successor()) return;
#ifdef CLINUX_FAULTS
  crash_if_planned();
  hang_if_planned();
#endif
  flight_count = 0;
}

// The input that killed both this worker and the one before it: a plain line may be a part of what
// one read returned.
static void keep_flight(void) {
  const unsigned char *bytes = flight_start;
  content now = {.count = flight_count};
  uint32_t before = own->crash_life;
  own->crash_life = 0;
  if (now.count == 0) return;
  now.digest = digest(bytes, now.count);
  size_t saved = own->crash.count < SAVED_LIMIT ? own->crash.count : SAVED_LIMIT;
  int is_same = now.count == own->crash.count && now.digest == own->crash.digest;
  int is_next = before && before + 1 == own->life;
  if (is_next && (is_same || memmem(own->saved, saved, bytes, now.count))) {
    own->poison[own->poison_count % POISON_LIMIT] = now;
    own->poison_count++;
  }
  own->crash = now;
  memcpy(own->saved, bytes, now.count < SAVED_LIMIT ? now.count : SAVED_LIMIT);
  own->crash_life = own->life;
}

// -- Faults and their signals.

#define FILE_LIMIT 2
static struct { const char *base; size_t size; char line[1200]; } files[FILE_LIMIT];

void cl_file_cut_line(int index, const void *base, uint64_t size, const char *line) {
  if (index < 0 || index >= FILE_LIMIT) return;
  files[index].size = 0;
  strncpy(files[index].line, line, sizeof files[index].line - 1);
  files[index].base = base;
  files[index].size = (size_t)size;
}
// Whether the fault is in a mapped file; if so, reports it.
static int is_cut_file(const char *at) {
  for (int i = 0; i < FILE_LIMIT; i++) {
    if (at < files[i].base || at >= files[i].base + files[i].size) continue;
    ssize_t ignored = write(2, files[i].line, strlen(files[i].line));
    (void)ignored;
    return 1;
  }
  return 0;
}
static void faulted(int number, siginfo_t *info, void *context) {
  (void)context;
  int is_cut = number == SIGBUS && is_cut_file(info->si_addr);
  if (is_cut && !own) _exit(1);
  if (own && !is_cut) keep_flight();
  // It dies of the signal all the same, which tells its parent the reason.
  signal(number, SIG_DFL);
  raise(number);
}

int cl_worker_begin(void *at) {
  static char stack[32 << 10];  // where a stack that has overflowed is no use
  own = at;
  if (own) {
    is_checking = own->poison_count > 0;
    is_careful = is_checking || (own->crash_life && own->crash_life + 1 == own->life);
  }
  stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  if (sigaltstack(&other, NULL) < 0) return -errno;
  static const int numbers[] = {SIGBUS, SIGILL, SIGTRAP, SIGSEGV, SIGFPE, SIGABRT};
  struct sigaction action = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  int count = own ? (int)(sizeof numbers / sizeof *numbers) : 1;
  for (int i = 0; i < count; i++)
    if (sigaction(numbers[i], &action, NULL) < 0) return -errno;
  return 0;
}
