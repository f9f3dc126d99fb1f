// epoll, and poll for descriptors whose writers come in floods.
#include "Call.h"

#include <poll.h>
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
int cl_poll_capacity(void) { return MAXIMUM_EVENTS + CL_BUSY_LIMIT; }
static int take_ready(int poll, cl_event *events, int timeout_milliseconds) {
  struct epoll_event ready[MAXIMUM_EVENTS];
  int number = epoll_wait(poll, ready, MAXIMUM_EVENTS, timeout_milliseconds);
  if (number < 0) return errno == EINTR ? 0 : -errno;
  for (int i = 0; i < number; i++) {
    events[i].data = ready[i].data.u64;
    events[i].events = ready[i].events;
  }
  return number;
}
int cl_is_readable(int fd) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, 1, 0) > 0;
}
static int wait_for_any(
  int epoll, const cl_busy *busy, int busy_count, cl_event *events, int timeout_milliseconds) {
  FAULT("epoll_wait");
  if (busy_count == 0) return take_ready(epoll, events, timeout_milliseconds);
  struct pollfd waiting[1 + CL_BUSY_LIMIT] = {{.fd = epoll, .events = POLLIN}};
  for (int i = 0; i < busy_count; i++)
    waiting[i + 1] = (struct pollfd){.fd = busy[i].fd, .events = POLLIN};
  int number = poll(waiting, (nfds_t)busy_count + 1, timeout_milliseconds);
  if (number <= 0) return number == 0 || errno == EINTR ? 0 : -errno;
  number = waiting[0].revents ? take_ready(epoll, events, 0) : 0;
  for (int i = 0; i < busy_count && number >= 0; i++) {
    // poll and epoll use the same bits.
    uint32_t told = (uint16_t)waiting[i + 1].revents;
    if (told) events[number++] = (cl_event){.data = busy[i].data, .events = told};
  }
  return number;
}
// The end of one turn of the loop and the start of the next, for a worker's parent.
int cl_poll_wait(
  int epoll, const cl_busy *busy, int busy_count, cl_event *events, int timeout_milliseconds) {
  cl_turn_rests();
  int number = wait_for_any(epoll, busy, busy_count, events, timeout_milliseconds);
  cl_turn_begins();
  return number;
}
