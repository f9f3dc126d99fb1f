// The container's memory limit.
#include "Call.h"

#include <fcntl.h>
#include <string.h>

static size_t read_text(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t count = REPEAT(ssize_t, read(fd, text, size - 1));
  close(fd);
  size_t length = count > 0 ? (size_t)count : 0;
  text[length] = 0;
  return length;
}

// The number in `folder`/path/`file` if it is lower than `least`; 0 is no limit.
static int64_t lower(
  int64_t least, const char *folder, const char *path, size_t length, const char *file) {
  char name[1024], digits[32];
  if (strlen(folder) + length + strlen(file) + 1 > sizeof name) return least;
  strcpy(name, folder);
  strncat(name, path, length);
  strcat(name, file);
  if (!read_text(name, digits, sizeof digits) || digits[0] < '0' || digits[0] > '9') return least;
  int64_t limit = 0;
  const char *digit = digits;
  for (; *digit >= '0' && *digit <= '9' && limit < INT64_C(1) << 52; digit++)
    limit = limit * 10 + (*digit - '0');
  // `max`, or the largest number, is no limit.
  if (limit >= INT64_C(1) << 50) return least;
  return least == 0 || limit < least ? limit : least;
}

// Each line of /proc/self/cgroup is `hierarchy:controllers:path`; version 2 has no controllers. In
// a container the path may be the host's, which does not exist there, so check the root as well.
int64_t cl_memory_limit(void) {
  static char text[8192];
  int64_t least = 0;
  if (!read_text("/proc/self/cgroup", text, sizeof text)) return 0;
  for (char *line = text; *line;) {
    size_t length = strcspn(line, "\n");
    char *controllers = memchr(line, ':', length);
    size_t rest = controllers ? length - (size_t)(controllers + 1 - line) : 0;
    char *path = controllers ? memchr(controllers + 1, ':', rest) : NULL;
    if (path) {
      size_t count = length - (size_t)(path + 1 - line);
      if (path == controllers + 1) {
        least = lower(least, "/sys/fs/cgroup", path + 1, count, "/memory.max");
        least = lower(least, "/sys/fs/cgroup", "", 0, "/memory.max");
      } else if (path - controllers - 1 == 6 && memcmp(controllers + 1, "memory", 6) == 0) {
        least = lower(least, "/sys/fs/cgroup/memory", path + 1, count, "/memory.limit_in_bytes");
        least = lower(least, "/sys/fs/cgroup/memory", "", 0, "/memory.limit_in_bytes");
      }
    }
    line += length;
    if (*line) line++;
  }
  return least;
}
