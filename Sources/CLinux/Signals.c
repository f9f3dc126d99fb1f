// Signals, and the parent that waits for its worker by them.
#include "Call.h"

#include <fcntl.h>
#include <signal.h>
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

// Signals become bytes in a pipe. A signalfd would do, but user-mode emulators lose what is sent to it.
static int signal_pipe[2] = {-1, -1};
static void keep_signal(int number) {
  int code = errno;
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
  // A worker inherits them blocked, so that none is lost before this line.
  sigset_t set;
  parent_signals(&set);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  return signal_pipe[0];
}
int cl_signal_read(int fd) {
  unsigned char byte;
  return read(fd, &byte, 1) == 1 ? byte : -EAGAIN;
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
  // A parent that is gone before this line cannot tell us, so we look.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  return 0;  // its signals wait until it takes them by cl_signal_descriptor
}
// What has ended, if anything: 2 the worker exited, 3 it was killed; `code` says how.
static int reap(int worker, int *code) {
  int status;
  pid_t ended;
  while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
    if (ended != worker) continue;
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
