// Runs a command beside us: it shares our standard streams, and we forward signals.
#include "Call.h"

#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

// All except those that concern us alone, and those by which a terminal stops both of us.
static void signals_to_pass(sigset_t *set) {
  static const int others[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP,
                               SIGABRT, SIGSYS,  SIGTSTP, SIGTTIN, SIGTTOU};
  sigfillset(set);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) sigdelset(set, others[i]);
}
int cl_child_start(int count) {
  int first = cl_argument_count() - count;
  if (first < 2 || strcmp(cl_argument(first - 1), "--") != 0) return 0;
  FAULT("fork");
  signal(SIGCHLD, SIG_DFL);
  sigset_t set, before;
  signals_to_pass(&set);
  sigprocmask(SIG_BLOCK, &set, &before);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&how, &before);
  char **words = cl_arguments() + first;
  pid_t child;
  int code = posix_spawnp(&child, words[0], NULL, &how, words, environ);
  return code ? -code : child;
}
int cl_child_wait(int child) {
  sigset_t set;
  signals_to_pass(&set);
  for (;;) {
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
      if (ended == child) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    siginfo_t news;
    int number = sigwaitinfo(&set, &news);
    // A terminal sends its signals to both of us.
    if (number > 0 && number != SIGCHLD && news.si_code != SI_KERNEL) kill(child, number);
  }
}
