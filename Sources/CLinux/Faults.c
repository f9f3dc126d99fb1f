// Planned faults (debug builds): CLINUX_FAULT="<n>:<errno>" makes the n-th fallible call of the
// process fail with that errno; CLINUX_FAULT_REPORT=<file> gets a line that says which call it was.
#include "Call.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#ifdef CLINUX_FAULTS
static long fault_countdown;
static int fault_errno;

int cl_fault_due(const char *call) {
  if (__atomic_load_n(&fault_errno, __ATOMIC_RELAXED) == 0) return 0;
  if (__atomic_sub_fetch(&fault_countdown, 1, __ATOMIC_RELAXED) != 0) return 0;
  const char *report = getenv("CLINUX_FAULT_REPORT");
  if (report) {
    int fd = open(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
      char line[128] = "fired ";
      strncat(line, call, 100);
      strcat(line, "\n");
      ssize_t ignored = write(fd, line, strlen(line));
      (void)ignored;
      close(fd);
    }
  }
  return fault_errno;
}

__attribute__((constructor)) static void plan_fault(void) {
  const char *plan = getenv("CLINUX_FAULT");
  if (!plan) return;
  char *rest;
  fault_countdown = strtol(plan, &rest, 10);
  if (*rest == ':') fault_errno = (int)strtol(rest + 1, NULL, 10);
}
#endif
