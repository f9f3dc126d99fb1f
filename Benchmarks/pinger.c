// Measures how long a sidecar is busy with something else: the time from a short message until its
// answer, over and over, in a process of its own, so that nothing of the bench holds it up.
//
//     pinger http PORT PID       GET /-/healthy on one connection
//     pinger events PATH PID     a frame of one event until its acknowledgement, on 32 sessions
//                                that take turns: a session that has just sent is looked at two
//                                milliseconds later by design, one that was at rest at once
//
// At the end of its standard input it prints nanoseconds: how many pings, the median, the 99th
// hundredth, the longest, and the longest without the time in which process PID was ready to run
// and had no core, as the kernel counts that (/proc/PID/schedstat): that part is the machine's.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PINGS 4000000
#define SESSIONS 32
static uint32_t times[PINGS];
static int schedstat;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Nanoseconds that the process was ready to run and did not.
static uint64_t waited(void) {
  char text[96];
  ssize_t count = pread(schedstat, text, sizeof text - 1, 0);
  text[count > 0 ? count : 0] = 0;
  const char *second = strchr(text, ' ');
  return second ? strtoull(second, NULL, 10) : 0;
}

static int connect_to(int is_http, const char *where) {
  struct sockaddr_in web = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un unix_path = {.sun_family = AF_UNIX};
  int fd = socket(is_http ? AF_INET : AF_UNIX, SOCK_STREAM, 0), one = 1;
  if (is_http) {
    web.sin_port = htons((uint16_t)atoi(where));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&web, sizeof web)) return -1;
  } else {
    strncpy(unix_path.sun_path, where, sizeof unix_path.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&unix_path, sizeof unix_path)) return -1;
  }
  return fd;
}

static void frame(int fd, const char *text) {
  char bytes[256];
  uint32_t length = (uint32_t)strlen(text);
  memcpy(bytes, &length, 4);
  memcpy(bytes + 4, text, length);
  if (send(fd, bytes, length + 4, MSG_NOSIGNAL) != (ssize_t)length + 4) exit(1);
}

// Reads the frame `_ack|n`.
static void acknowledged(int fd, unsigned n) {
  char bytes[4096], expected[32];
  size_t used = 0, length = (size_t)sprintf(expected, "_ack|%u", n);
  while (used < length + 4) {
    ssize_t got = recv(fd, bytes + used, sizeof bytes - used, 0);
    if (got <= 0) exit(1);
    used += (size_t)got;
  }
  if (used != length + 4 || memcmp(bytes + 4, expected, length)) exit(1);
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  int is_http = strcmp(arguments[1], "http") == 0, fds[SESSIONS], sessions = is_http ? 1 : SESSIONS;
  unsigned numbers[SESSIONS] = {0};
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%s/schedstat", arguments[3]);
  schedstat = open(path, O_RDONLY);
  // Where it may, this process runs whenever it can.
  struct sched_param first = {.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO, &first);
  memset(times, 1, sizeof times);
  mlockall(MCL_CURRENT);
  for (int i = 0; i < sessions; i++) {
    if ((fds[i] = connect_to(is_http, arguments[2])) < 0) return 1;
    if (is_http) continue;
    snprintf(text, sizeof text, "_session|%024x%08x", (unsigned)getpid(), i + 1);
    frame(fds[i], text);
    acknowledged(fds[i], 0);
  }
  // The sessions' first frames shall be forgotten too.
  struct timespec rest = {.tv_nsec = 20000000};
  nanosleep(&rest, NULL);
  uint64_t longest_own = 0;
  uint32_t pings = 0;
  struct pollfd end = {.fd = 0, .events = POLLIN};
  for (int i = 0; pings < PINGS && poll(&end, 1, 0) == 0; i = (i + 1) % sessions) {
    // A session comes back after 6 ms, when nobody looks at it by the clock any more.
    struct timespec pause = {.tv_nsec = 190000};
    nanosleep(&pause, NULL);
    uint64_t waiting = waited(), start = now();
    if (is_http) {
      static const char request[] = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
      if (send(fds[i], request, sizeof request - 1, MSG_NOSIGNAL) < 0) return 1;
      if (recv(fds[i], text, sizeof text, 0) <= 0) return 1;
    } else {
      snprintf(text, sizeof text, "_seq|%u\nbench.ping:1|c", ++numbers[i]);
      frame(fds[i], text);
      acknowledged(fds[i], numbers[i]);
    }
    uint64_t took = now() - start, other = waited() - waiting;
    times[pings++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
    uint64_t own = took > other ? took - other : 0;
    if (own > longest_own) longest_own = own;
  }
  if (pings == 0) return 1;
  qsort(times, pings, sizeof times[0], by_size);
  uint32_t hundredth = times[(uint64_t)pings * 99 / 100];
  printf("%u %u %u %u %llu\n", pings, times[pings / 2], hundredth, times[pings - 1],
         (unsigned long long)longest_own);
  return 0;
}
