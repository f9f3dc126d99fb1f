// Signals, by which a parent also waits for its worker.
#include "Call.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static void parent_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
  sigaddset(set, SIGCHLD);
}

// Signals become bytes in a pipe. A signalfd would do, but user-mode emulators lose signals sent to
// it.
static int signal_pipe[2] = {-1, -1};
static int end_seconds, more_seconds;
static char end_line[160];
static void end_late(int number) {
  (void)number;
  ssize_t ignored = write(2, end_line, strlen(end_line));
  (void)ignored;
  _exit(1);
}
void cl_end_within(int seconds, int more, const char *line) {
  strncpy(end_line, line, sizeof end_line - 1);
  end_seconds = seconds;
  more_seconds = more;
}
static void keep_signal(int number) {
  int code = errno;
  if (end_seconds && number != SIGHUP) {
    signal(SIGALRM, end_late);
    alarm((unsigned)(end_seconds + (number == SIGTERM ? more_seconds : 0)));
    more_seconds = 0;  // a further one is waited for no longer
  }
  unsigned char byte = (unsigned char)number;
  ssize_t ignored = write(signal_pipe[1], &byte, 1);
  (void)ignored;
  errno = code;
}
int cl_signal_descriptor(const int *signals, int count) {
  FAULT("pipe2");
  if (pipe2(signal_pipe, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
  struct sigaction action = {.sa_handler = keep_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < count; i++)
    if (sigaction(signals[i], &action, NULL) < 0) return -errno;
  // A worker inherits them blocked, so none is lost before this line.
  sigset_t set;
  parent_signals(&set);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  return signal_pipe[0];
}
int cl_signal_read(int fd) {
  unsigned char byte;
  return read(fd, &byte, 1) == 1 ? byte : -EAGAIN;
}
// A signal that arrives before anything can receive it waits, instead of ending the process by
// default.
void cl_hold_signals(int is_held) {
  sigset_t set;
  parent_signals(&set);
  sigdelset(&set, SIGCHLD);
  sigprocmask(is_held ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}
int cl_ignore_broken_pipes(void) { return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -errno : 0; }

// A parent and its worker.

int cl_parent_begin(void) {
  sigset_t set;
  parent_signals(&set);
  return RESULT(sigprocmask(SIG_BLOCK, &set, NULL));
}
int cl_parent_fork(void) {
  FAULT("fork");
  pid_t parent = getpid();
  pid_t child = fork();
  if (child != 0) return child < 0 ? -errno : child;
  // A parent that ended before this line sends no signal, so check.
  prctl(PR_SET_PDEATHSIG, SIGINT);  // ends a worker at once, even while it lingers after SIGTERM
  if (getppid() != parent) _exit(1);
  return 0;  // its signals wait until it takes them by cl_signal_descriptor
}
// The worker's change of state, if any: 2 it exited, 3 it was killed, 4 it was stopped, 5 it
// continues; `code` says how.
static int reap(int worker, int *code) {
  int status;
  pid_t ended;
  while ((ended = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
    if (ended != worker) continue;
    if (WIFCONTINUED(status)) return 5;
    if (WIFSTOPPED(status)) {
      *code = WSTOPSIG(status);
      return 4;
    }
    *code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return WIFSIGNALED(status) ? 3 : 2;
  }
  return 0;
}
int cl_parent_wait(int worker, int64_t timeout_milliseconds, int *code) {
  sigset_t set;
  parent_signals(&set);
  int64_t wait = timeout_milliseconds < 0 ? 0 : timeout_milliseconds;
  struct timespec time = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};
  int news = reap(worker, code);  // one SIGCHLD may stand for many ends
  if (news) return news;
  int number = timeout_milliseconds < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &time);
  if (number == SIGCHLD) return reap(worker, code);
  if (number <= 0) return 0;
  *code = number;
  return 1;
}
int cl_kill(int process, int number) { return RESULT(kill(process, number)); }
