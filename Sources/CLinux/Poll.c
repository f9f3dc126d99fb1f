// epoll.
#include "Call.h"

#include <sys/epoll.h>

int cl_poll_create(void) { FAULT("epoll_create1"); return RESULT(epoll_create1(EPOLL_CLOEXEC)); }
static int poll_control(int poll, int operation, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return RESULT(epoll_ctl(poll, operation, fd, &event));
}
int cl_poll_add(int poll, int fd, uint32_t events, uint64_t data) {
  FAULT("epoll_ctl");
  return poll_control(poll, EPOLL_CTL_ADD, fd, events, data);
}
int cl_poll_modify(int poll, int fd, uint32_t events, uint64_t data) {
  FAULT("epoll_ctl");
  return poll_control(poll, EPOLL_CTL_MOD, fd, events, data);
}
int cl_poll_remove(int poll, int fd) { return poll_control(poll, EPOLL_CTL_DEL, fd, 0, 0); }

#define MAXIMUM_EVENTS 256
int cl_poll_wait(int poll, cl_event *events, int count, int timeout_milliseconds) {
  FAULT("epoll_wait");
  struct epoll_event ready[MAXIMUM_EVENTS];
  int number = epoll_wait(poll, ready, count < MAXIMUM_EVENTS ? count : MAXIMUM_EVENTS, timeout_milliseconds);
  if (number < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < number; i++) {
    events[i].data = ready[i].data.u64;
    events[i].events = ready[i].events;
  }
  return number;
}
