// Calls for a socket of any kind: accept, receive, send, options.
#include "Call.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

int cl_accept(int fd) {
  FAULT("accept");
  return REPEAT(int, accept4(fd, NULL, NULL, SOCKET_FLAGS));
}
void cl_peer_address(int fd, uint64_t *high, uint64_t *low) {
  union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } where;
  socklen_t length = sizeof where;
  *high = *low = 0;
  memset(&where, 0, sizeof where);
  if (getpeername(fd, &where.any, &length) < 0) return;
  if (where.any.sa_family == AF_INET) {
    // IPv4 in IPv6: ::ffff:0:0/96.
    unsigned char bytes[8] = {0, 0, 0xff, 0xff};
    memcpy(bytes + 4, &where.v4.sin_addr.s_addr, 4);
    memcpy(low, bytes, 8);
  } else if (where.any.sa_family == AF_INET6) {
    memcpy(high, where.v6.sin6_addr.s6_addr, 8);
    memcpy(low, where.v6.sin6_addr.s6_addr + 8, 8);
  }
}
uint64_t cl_peer(int fd) {
  uint64_t high, low;
  cl_peer_address(fd, &high, &low);
  return high ? high : low;
}
int64_t cl_receive(int fd, void *bytes, size_t count) {
  FAULT("recv");
  return REPEAT(int64_t, recv(fd, bytes, count, MSG_DONTWAIT));
}
int64_t cl_send(int fd, const void *bytes, size_t count) {
  FAULT("send");
  return REPEAT(int64_t, send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}
int64_t cl_readable_byte_count(int fd) {
  FAULT("ioctl");
  int count = 0;
  return ioctl(fd, FIONREAD, &count) < 0 ? -errno : count;
}
int64_t cl_unacknowledged_byte_count(int fd) {
  FAULT("ioctl");
  int count = 0;
  return ioctl(fd, TIOCOUTQ, &count) < 0 ? -errno : count;  // SIOCOUTQ by its other name
}
int64_t cl_grow_receive_buffer(int fd, int byte_count) {
  // The first needs CAP_NET_ADMIN; the second is limited by net.core.rmem_max.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &byte_count, sizeof byte_count) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &byte_count, sizeof byte_count);
  int granted = 0;
  socklen_t size = sizeof granted;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &size) < 0) return -errno;
  return granted / 2;  // the kernel doubles it for its own overhead
}
void cl_grow_send_buffer(int fd, int byte_count) {
  int granted = 0;
  socklen_t size = sizeof granted;
  if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &granted, &size) == 0 && granted / 2 >= byte_count)
    return;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &byte_count, sizeof byte_count);
}
int64_t cl_socket_drops(int fd) {
  uint32_t numbers[9] = {0};  // SK_MEMINFO_VARS; the last is SK_MEMINFO_DROPS
  socklen_t size = sizeof numbers;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &size) < 0) return -errno;
  return numbers[8];
}
int cl_set_timeouts(int fd, int64_t milliseconds) {
  // Blocking calls with a time limit, for the short-lived commands.
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) return -errno;
  struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) return -errno;
  return RESULT(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
}
int cl_shutdown_write(int fd) { return RESULT(shutdown(fd, SHUT_WR)); }
