// Sockets with a path: non-blocking, close-on-exec.
#include "Call.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int is_abstract(const char *path) { return path[0] == '@'; }

static socklen_t unix_address(const char *path, struct sockaddr_un *out) {
  memset(out, 0, sizeof *out);
  out->sun_family = AF_UNIX;
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof out->sun_path) return 0;
  memcpy(out->sun_path, path, length + 1);
  // An abstract name begins with a 0 instead of the @, and ends with the address.
  if (is_abstract(path)) out->sun_path[0] = 0;
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract(path));
}

int cl_unix_path_limit(void) { return (int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1; }

static int open_socket(
  const char *path, int is_datagram, struct sockaddr_un *where, socklen_t *length) {
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
  if (!is_abstract(path)) {
    if (chmod(path, (mode_t)mode) < 0) return failed(fd);
    if (group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0) return failed(fd);
  }
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

int cl_socket_pair(int *source, int *target) {
  FAULT("socketpair");
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCKET_FLAGS, 0, ends) < 0) return -errno;
  *source = ends[0];
  *target = ends[1];
  return 0;
}

// One message: 16 bytes, and a control part with room for one descriptor.
typedef struct {
  uint64_t identity[2];
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct iovec part;
  struct msghdr message;
} carrier;

static void prepare(carrier *out) {
  memset(out, 0, sizeof *out);
  out->part.iov_base = out->identity;
  out->part.iov_len = sizeof out->identity;
  out->message.msg_iov = &out->part;
  out->message.msg_iovlen = 1;
  out->message.msg_control = out->control;
  out->message.msg_controllen = sizeof out->control;
}

int cl_send_descriptor(int source, int fd, uint64_t device, uint64_t number) {
  carrier each;
  prepare(&each);
  each.identity[0] = device;
  each.identity[1] = number;
  struct cmsghdr *head = CMSG_FIRSTHDR(&each.message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  return REPEAT(int, sendmsg(source, &each.message, MSG_NOSIGNAL)) < 0 ? -errno : 0;
}

int cl_look_from_first(int target) {
  int offset = 0;
  return RESULT(setsockopt(target, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset));
}
int cl_receive_descriptor(int target, int keeps, uint64_t *device, uint64_t *number) {
  carrier each;
  prepare(&each);
  int flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC | (keeps ? MSG_PEEK : 0);
  if (REPEAT(int, recvmsg(target, &each.message, flags)) < 0) return -errno;
  struct cmsghdr *head = CMSG_FIRSTHDR(&each.message);
  if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
    return -EBADMSG;
  int fd;
  memcpy(&fd, CMSG_DATA(head), sizeof fd);
  *device = each.identity[0];
  *number = each.identity[1];
  return fd;
}
