// Shared by all calls here: the C library's extensions with 64-bit offsets and times, results as
// "value or -errno", and planned faults. Include it first in each file, since the macros must come
// before any header of the C library.
#pragma once
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#define _TIME_BITS 64
#include "CSidecarLinux.h"

#include <errno.h>
#include <unistd.h>

// Planned faults exist in debug builds only (Faults.c): each fallible call passes its name first.
#ifdef CLINUX_FAULTS
int cl_fault_due(const char *call);
#else
static inline int cl_fault_due(const char *call) { (void)call; return 0; }
#endif
#define FAULT_OR(call, result) \
  do { int code = cl_fault_due(call); if (code) { errno = code; return result; } } while (0)
#define FAULT(call) FAULT_OR(call, -code)
#define FAULT_NULL(call) FAULT_OR(call, NULL)
// The same if `fd` is open already.
#define FAULT_CLOSING(fd, call) FAULT_OR(call, failed(fd))

#define REPEAT(type, expression) \
  ({ type r; do { r = (type)(expression); } while (r < 0 && errno == EINTR); \
    r < 0 ? (type)-errno : r; })
#define RESULT(expression) ({ int r = (int)(expression); r < 0 ? -errno : r; })

// The flags for `socket` and `accept4`: nothing here blocks or outlives an exec.
#define SOCKET_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

// Closes `fd` without losing the original error.
static inline int failed(int fd) {
  int code = errno;
  if (fd >= 0) close(fd);
  return -code;
}
