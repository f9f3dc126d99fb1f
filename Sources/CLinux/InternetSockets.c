// TCP and UDP: non-blocking, close-on-exec.
#include "Call.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

typedef union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address;

// Addresses are numeric, or "localhost"; names are not looked up, so a static binary needs no
// resolver.
static socklen_t parse_address(const char *host, uint16_t port, address *out) {
  memset(out, 0, sizeof *out);
  if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
  if (host[0] == 0 || strcmp(host, "*") == 0) host = "0.0.0.0";
  if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    return sizeof out->v4;
  }
  if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    return sizeof out->v6;
  }
  return 0;
}

// A socket of the address's family, and the address.
static int open_socket(
  const char *host, uint16_t port, int kind, address *where, socklen_t *length) {
  *length = parse_address(host, port, where);
  if (*length == 0) return -EINVAL;
  FAULT("socket");
  return RESULT(socket(where->any.sa_family, kind | SOCKET_FLAGS, 0));
}

int cl_bind_tcp(const char *host, uint16_t port, int is_shared) {
  address where;
  socklen_t length;
  int fd = open_socket(host, port, SOCK_STREAM, &where, &length);
  if (fd < 0) return fd;
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by what is accepted
  FAULT_CLOSING(fd, "bind");
  if (bind(fd, &where.any, length) < 0) return failed(fd);
  return fd;
}

int cl_share_port(int fd) {
  int on = 1;
  return RESULT(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
}

int cl_listen(int fd, int backlog) { FAULT("listen"); return RESULT(listen(fd, backlog)); }

int cl_bind_udp(const char *host, uint16_t port) {
  address where;
  socklen_t length;
  int fd = open_socket(host, port, SOCK_DGRAM, &where, &length);
  if (fd < 0) return fd;
  if (bind(fd, &where.any, length) < 0) return failed(fd);
  return fd;
}

int cl_connect_tcp(const char *host, uint16_t port, int64_t timeout_milliseconds) {
  address where;
  socklen_t length;
  int fd = open_socket(host, port, SOCK_STREAM, &where, &length);
  if (fd < 0) return fd;
  if (connect(fd, &where.any, length) < 0) {
    if (errno != EINPROGRESS) return failed(fd);
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int ready = REPEAT(int, poll(&waiting, 1, (int)timeout_milliseconds));
    int code = ready == 0 ? ETIMEDOUT : 0;
    socklen_t size = sizeof code;
    if (ready > 0) getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
    if (code != 0) { errno = code; return failed(fd); }
  }
  return fd;
}

int cl_local_port(int fd) {
  address where;
  socklen_t length = sizeof where;
  if (getsockname(fd, &where.any, &length) < 0) return -errno;
  return ntohs(where.any.sa_family == AF_INET6 ? where.v6.sin6_port : where.v4.sin_port);
}
