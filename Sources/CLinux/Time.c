// Clocks in nanoseconds, and sleep.
#include "Call.h"

#include <time.h>

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
uint64_t cl_monotonic_nanoseconds(void) { return nanoseconds(CLOCK_MONOTONIC); }
uint64_t cl_realtime_nanoseconds(void) { return nanoseconds(CLOCK_REALTIME); }
uint64_t cl_process_cpu_nanoseconds(void) { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }
int cl_sleep_milliseconds(int64_t milliseconds) {
  struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
  return RESULT(nanosleep(&time, NULL));
}
