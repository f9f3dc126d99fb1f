// Sockets with a path: non-blocking, close-on-exec.
#include "Call.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static socklen_t unix_address(const char *path, struct sockaddr_un *out) {
  memset(out, 0, sizeof *out);
  out->sun_family = AF_UNIX;
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof out->sun_path) return 0;
  memcpy(out->sun_path, path, length + 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

int cl_unix_path_limit(void) { return (int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1; }

static int open_socket(const char *path, int is_datagram, struct sockaddr_un *where, socklen_t *length) {
  *length = unix_address(path, where);
  if (*length == 0) return -ENAMETOOLONG;
  FAULT("socket");
  return RESULT(socket(AF_UNIX, (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCKET_FLAGS, 0));
}

int cl_listen_unix(const char *path, int is_datagram, uint32_t mode, int64_t group, int backlog) {
  struct sockaddr_un where;
  socklen_t length;
  int fd = open_socket(path, is_datagram, &where, &length);
  if (fd < 0) return fd;
  FAULT_CLOSING(fd, "bind");
  if (bind(fd, (struct sockaddr *)&where, length) < 0) return failed(fd);
  if (chmod(path, (mode_t)mode) < 0) return failed(fd);
  if (group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0) return failed(fd);
  if (!is_datagram && listen(fd, backlog) < 0) return failed(fd);
  return fd;
}

int cl_connect_unix(const char *path, int is_datagram) {
  struct sockaddr_un where;
  socklen_t length;
  int fd = open_socket(path, is_datagram, &where, &length);
  if (fd < 0) return fd;
  FAULT_CLOSING(fd, "connect");
  if (connect(fd, (struct sockaddr *)&where, length) < 0) return failed(fd);
  return fd;
}
