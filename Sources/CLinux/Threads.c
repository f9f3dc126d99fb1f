// Threads: start one, wait for its end, exclude others, wake a sleeping one.
#include "Call.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

typedef struct start { void (*body)(void *); void *argument; } start;
static void *run_thread(void *pointer) {
  start copy = *(start *)pointer;
  free(pointer);
  copy.body(copy.argument);
  return NULL;
}
int cl_thread_start(void (*body)(void *), void *argument, uint64_t *thread) {
  FAULT("pthread_create");
  start *copy = malloc(sizeof *copy);
  if (!copy) return -ENOMEM;
  *copy = (start){.body = body, .argument = argument};
  pthread_t created;
  int code = pthread_create(&created, NULL, run_thread, copy);
  if (code != 0) {
    free(copy);
    return -code;
  }
  *thread = (uint64_t)(uintptr_t)created;
  return 0;
}
int cl_thread_join(uint64_t thread) { return -pthread_join((pthread_t)(uintptr_t)thread, NULL); }

void *cl_lock_create(void) {
  pthread_mutex_t *lock = malloc(sizeof *lock);
  if (lock) pthread_mutex_init(lock, NULL);
  return lock;
}
void cl_lock_destroy(void *lock) {
  pthread_mutex_destroy(lock);
  free(lock);
}
void cl_lock(void *lock) { pthread_mutex_lock(lock); }
void cl_unlock(void *lock) { pthread_mutex_unlock(lock); }

int cl_wake_create(void) {
  FAULT("eventfd");
  return RESULT(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}
void cl_wake(int wake) {
  uint64_t one = 1;
  ssize_t ignored = write(wake, &one, sizeof one);
  (void)ignored;
}
// Bit 0: cl_wake was called since. The others: the events of `fd`, shifted left by one.
int cl_wake_wait(int wake, int fd, int is_writable_wanted, int timeout_milliseconds) {
  struct pollfd both[2] = {
    {.fd = wake, .events = POLLIN}, {.fd = fd, .events = is_writable_wanted ? POLLOUT : 0}};
  if (poll(both, 2, timeout_milliseconds) <= 0) return 0;
  uint64_t count;
  int is_awake = both[0].revents && read(wake, &count, sizeof count) > 0;
  return (uint16_t)both[1].revents << 1 | is_awake;
}
