// The process: its arguments, environment and limits, and random bytes.
#include "Call.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

static int argument_count;
static char **arguments;
#ifdef __GLIBC__
// This C library passes them.
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
  argument_count = count;
  arguments = values;
}
#else
// The kernel puts argc, argv, a null and the environment one after the other (System V ABI,
// "Process Initialization"), so a static program finds the arguments from the environment, without
// /proc. A pointer is never as small as a count, so the first word that counts the words after it
// is argc.
extern char **environ;
__attribute__((constructor)) static void keep_arguments(void) {
  if (!environ) return;
  char **end = environ - 1;
  for (intptr_t count = 0; count < 1 << 20; count++) {
    if ((intptr_t)end[-1 - count] != count) continue;
    argument_count = (int)count;
    arguments = end - count;
    return;
  }
}
#endif
int cl_argument_count(void) { return argument_count; }
char **cl_arguments(void) { return arguments; }
const char *cl_argument(int index) { return index < argument_count ? arguments[index] : NULL; }
const char *cl_environment(const char *name) { return getenv(name); }
extern char **environ;
const char *cl_environment_behind(const char *prefix, int *index, int *length) {
  size_t start = strlen(prefix);
  for (; environ && environ[*index]; ++*index) {
    const char *found = environ[*index];
    if (strncmp(found, prefix, start) != 0) continue;
    *length = (int)strcspn(found + start, "=");
    ++*index;
    return found + start;
  }
  return NULL;
}
int cl_process_id(void) { return getpid(); }
_Noreturn void cl_exit(int code) { _exit(code); }
int cl_processor_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

int cl_random(void *bytes, size_t count) {
  FAULT("getrandom");
  return REPEAT(ssize_t, getrandom(bytes, count, 0)) == (ssize_t)count ? 0 : -EIO;
}
// The Swift runtime seeds its hashes with this; some C libraries lack it.
__attribute__((weak)) void arc4random_buf(void *bytes, size_t count) {
  char *target = bytes;
  while (count > 0) {
    ssize_t got = getrandom(target, count < 256 ? count : 256, 0);
    if (got < 0 && errno != EINTR) return;
    if (got > 0) { target += got; count -= (size_t)got; }
  }
}

int64_t cl_open_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur > 1 << 30 ? 1 << 30 : (int64_t)limit.rlim_cur;
}
int64_t cl_page_size(void) { return sysconf(_SC_PAGESIZE); }
int cl_count_open_files(void) {
  DIR *folder = opendir("/proc/self/fd");
  if (!folder) return -errno;
  int count = -1;  // the folder's own descriptor is not counted
  for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}
