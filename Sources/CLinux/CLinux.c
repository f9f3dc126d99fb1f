#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#define _TIME_BITS 64
#include "CLinux.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// -- Planned faults (debug builds): CLINUX_FAULT="<n>:<errno>" makes the n-th faultable call of the
// process fail with that errno; CLINUX_FAULT_REPORT=<file> gets a line that says which call it was.
#ifdef CLINUX_FAULTS
static long fault_countdown;
static int fault_errno;

static int fault_due(const char *call) {
  if (__atomic_load_n(&fault_errno, __ATOMIC_RELAXED) == 0) return 0;
  if (__atomic_sub_fetch(&fault_countdown, 1, __ATOMIC_RELAXED) != 0) return 0;
  const char *report = getenv("CLINUX_FAULT_REPORT");
  if (report) {
    int fd = open(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
      char line[128] = "fired ";
      strncat(line, call, 100);
      strcat(line, "\n");
      ssize_t ignored = write(fd, line, strlen(line));
      (void)ignored;
      close(fd);
    }
  }
  return fault_errno;
}

__attribute__((constructor)) static void plan_fault(void) {
  const char *plan = getenv("CLINUX_FAULT");
  if (!plan) return;
  char *rest;
  fault_countdown = strtol(plan, &rest, 10);
  if (*rest == ':') fault_errno = (int)strtol(rest + 1, NULL, 10);
}
#define FAULT(call) do { int code = fault_due(call); if (code) { errno = code; return -code; } } while (0)
#define FAULT_NULL(call) do { int code = fault_due(call); if (code) { errno = code; return NULL; } } while (0)
#else
#define FAULT(call) do { } while (0)
#define FAULT_NULL(call) do { } while (0)
#endif

#define REPEAT(type, expression) ({ type r; do { r = (type)(expression); } while (r < 0 && errno == EINTR); \
  r < 0 ? (type)-errno : r; })
#define RESULT(expression) ({ int r = (int)(expression); r < 0 ? -errno : r; })

// Closes `fd` without losing the error that led there.
static int failed(int fd) {
  int code = errno;
  if (fd >= 0) close(fd);
  return -code;
}

// -- Descriptors

int64_t cl_read(int fd, void *bytes, size_t count) { FAULT("read"); return REPEAT(int64_t, read(fd, bytes, count)); }
int64_t cl_write(int fd, const void *bytes, size_t count) {
  FAULT("write");
  return REPEAT(int64_t, write(fd, bytes, count));
}
int64_t cl_pread(int fd, void *bytes, size_t count, int64_t offset) {
  FAULT("pread");
  return REPEAT(int64_t, pread(fd, bytes, count, offset));
}
// Linux closes the descriptor even when close is interrupted, so it is not repeated.
int cl_close(int fd) { return RESULT(close(fd)); }
int cl_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -errno : RESULT(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

// -- Files

int cl_open(const char *path, int flags, uint32_t mode) {
  FAULT("open");
  int how = O_CLOEXEC | ((flags & 24) ? O_RDONLY : O_RDWR);
  if (flags & 1) how |= O_CREAT;
  if (flags & 2) how |= O_TRUNC;
  if (flags & 4) how |= O_EXCL;
  if (flags & 16) how |= O_DIRECTORY;
  return REPEAT(int, open(path, how, (mode_t)mode));
}
int64_t cl_file_size(int fd) {
  FAULT("fstat");
  struct stat status;
  return fstat(fd, &status) < 0 ? -errno : (int64_t)status.st_size;
}
int cl_file_resize(int fd, int64_t size) { FAULT("ftruncate"); return REPEAT(int, ftruncate(fd, size)); }
int cl_file_allocate(int fd, int64_t offset, int64_t size) {
  FAULT("fallocate");
  int result = REPEAT(int, fallocate(fd, 0, offset, size));
  if (result != -EOPNOTSUPP) return result;
  return -posix_fallocate(fd, offset, size);
}
int cl_file_lock(int fd) { FAULT("flock"); return REPEAT(int, flock(fd, LOCK_EX | LOCK_NB)); }
int cl_rename(const char *source, const char *target) { FAULT("rename"); return RESULT(rename(source, target)); }
int cl_unlink(const char *path) { FAULT("unlink"); return RESULT(unlink(path)); }
int cl_make_directory(const char *path, uint32_t mode) { FAULT("mkdir"); return RESULT(mkdir(path, (mode_t)mode)); }
int cl_is_writable_directory(const char *path) { return access(path, W_OK | X_OK) == 0; }
int64_t cl_inode(const char *path) {
  struct stat status;
  return stat(path, &status) < 0 ? -errno : (int64_t)status.st_ino;
}
void *cl_map_shared(int fd, uint64_t size) {
  FAULT_NULL("mmap");
  void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return base == MAP_FAILED ? NULL : base;
}
void *cl_map_anonymous(uint64_t size) {
  void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return base == MAP_FAILED ? NULL : base;
}
void *cl_map_anonymous_shared(uint64_t size) {
  FAULT_NULL("mmap");
  int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
  void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, flags, -1, 0);
  return base == MAP_FAILED ? NULL : base;
}
int cl_unmap(void *base, uint64_t size) { return RESULT(munmap(base, (size_t)size)); }
int cl_last_error(void) { return errno; }

// -- Sockets

#define SOCKET_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

typedef union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address;

// Addresses are numbers, or "localhost"; names are not looked up, so a static binary needs no resolver.
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

int cl_bind_tcp(const char *host, uint16_t port, int is_shared) {
  address where;
  socklen_t length = parse_address(host, port, &where);
  if (length == 0) return -EINVAL;
  FAULT("socket");
  int fd = socket(where.any.sa_family, SOCK_STREAM | SOCKET_FLAGS, 0);
  if (fd < 0) return -errno;
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // inherited by what is accepted
#ifdef CLINUX_FAULTS
  int planned = fault_due("bind");
  if (planned) { errno = planned; return failed(fd); }
#endif
  if (bind(fd, &where.any, length) < 0) return failed(fd);
  return fd;
}

int cl_listen(int fd, int backlog) { FAULT("listen"); return RESULT(listen(fd, backlog)); }

int cl_bind_udp(const char *host, uint16_t port) {
  address where;
  socklen_t length = parse_address(host, port, &where);
  if (length == 0) return -EINVAL;
  FAULT("socket");
  int fd = socket(where.any.sa_family, SOCK_DGRAM | SOCKET_FLAGS, 0);
  if (fd < 0) return -errno;
  if (bind(fd, &where.any, length) < 0) return failed(fd);
  return fd;
}

int cl_connect_tcp(const char *host, uint16_t port, int64_t timeout_milliseconds) {
  address where;
  socklen_t length = parse_address(host, port, &where);
  if (length == 0) return -EINVAL;
  FAULT("socket");
  int fd = socket(where.any.sa_family, SOCK_STREAM | SOCKET_FLAGS, 0);
  if (fd < 0) return -errno;
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

static socklen_t unix_address(const char *path, struct sockaddr_un *out) {
  memset(out, 0, sizeof *out);
  out->sun_family = AF_UNIX;
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof out->sun_path) return 0;
  memcpy(out->sun_path, path, length + 1);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

int cl_unix_path_limit(void) { return (int)sizeof(((struct sockaddr_un *)0)->sun_path) - 1; }

int cl_listen_unix(const char *path, int is_datagram, uint32_t mode, int64_t group, int backlog) {
  struct sockaddr_un where;
  socklen_t length = unix_address(path, &where);
  if (length == 0) return -ENAMETOOLONG;
  FAULT("socket");
  int fd = socket(AF_UNIX, (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCKET_FLAGS, 0);
  if (fd < 0) return -errno;
#ifdef CLINUX_FAULTS
  int planned = fault_due("bind");
  if (planned) { errno = planned; return failed(fd); }
#endif
  if (bind(fd, (struct sockaddr *)&where, length) < 0) return failed(fd);
  if (chmod(path, (mode_t)mode) < 0) return failed(fd);
  if (group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0) return failed(fd);
  if (!is_datagram && listen(fd, backlog) < 0) return failed(fd);
  return fd;
}

int cl_connect_unix(const char *path, int is_datagram) {
  struct sockaddr_un where;
  socklen_t length = unix_address(path, &where);
  if (length == 0) return -ENAMETOOLONG;
  FAULT("socket");
  int fd = socket(AF_UNIX, (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCKET_FLAGS, 0);
  if (fd < 0) return -errno;
#ifdef CLINUX_FAULTS
  int planned = fault_due("connect");
  if (planned) { errno = planned; return failed(fd); }
#endif
  if (connect(fd, (struct sockaddr *)&where, length) < 0) return failed(fd);
  return fd;
}

int cl_accept(int fd) { FAULT("accept"); return REPEAT(int, accept4(fd, NULL, NULL, SOCKET_FLAGS)); }
int64_t cl_receive(int fd, void *bytes, size_t count) {
  FAULT("recv");
  return REPEAT(int64_t, recv(fd, bytes, count, MSG_DONTWAIT));
}
int64_t cl_send(int fd, const void *bytes, size_t count) {
  FAULT("send");
  return REPEAT(int64_t, send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}
int cl_set_receive_buffer(int fd, int byte_count) {
  return RESULT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &byte_count, sizeof byte_count));
}
int64_t cl_grow_receive_buffer(int fd, int byte_count) {
  // The first needs CAP_NET_ADMIN; the second is cut to net.core.rmem_max.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &byte_count, sizeof byte_count) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &byte_count, sizeof byte_count);
  int granted = 0;
  socklen_t size = sizeof granted;
  if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &size) < 0) return -errno;
  return granted / 2;  // the kernel doubles it for its own overhead
}
int64_t cl_socket_drops(int fd) {
  uint32_t numbers[9] = {0};  // SK_MEMINFO_VARS; the last is SK_MEMINFO_DROPS
  socklen_t size = sizeof numbers;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, numbers, &size) < 0) return -errno;
  return numbers[8];
}
int cl_set_send_buffer(int fd, int byte_count) {
  return RESULT(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &byte_count, sizeof byte_count));
}
int cl_set_timeouts(int fd, int64_t milliseconds) {
  // Blocking calls with a limit, for the short-lived commands.
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) return -errno;
  struct timeval limit = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) return -errno;
  return RESULT(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
}
int cl_shutdown_write(int fd) { return RESULT(shutdown(fd, SHUT_WR)); }

// The inbox is memory that outlives the process that receives into it: `lengths` of the messages are
// written by the kernel, so a successor sees what was handed over even to one that was killed.
#define MAXIMUM_DATAGRAMS 64
#define NOT_RECEIVED 0xffffffffu
typedef struct inbox {
  uint64_t number;  // of the batch; 1, 2, 3 …
  uint64_t shared[4];
  int32_t source;
  int32_t used;  // messages that the last batch has filled
  struct iovec parts[MAXIMUM_DATAGRAMS];
  struct mmsghdr messages[MAXIMUM_DATAGRAMS];
} inbox;
int cl_inbox_capacity(void) { return MAXIMUM_DATAGRAMS; }
size_t cl_inbox_head_byte_count(void) { return sizeof(inbox); }
void cl_inbox_prepare(void *head, void *slab, size_t stride) {
  inbox *box = head;
  for (int i = 0; i < MAXIMUM_DATAGRAMS; i++) {
    box->parts[i] = (struct iovec){.iov_base = (char *)slab + stride * (size_t)i, .iov_len = stride};
    box->messages[i].msg_hdr = (struct msghdr){.msg_iov = &box->parts[i], .msg_iovlen = 1};
    box->messages[i].msg_len = NOT_RECEIVED;
  }
}
int cl_inbox_received(const void *head) {
  int count = 0;
  while (count < MAXIMUM_DATAGRAMS && ((const inbox *)head)->messages[count].msg_len != NOT_RECEIVED) count++;
  return count;
}
int cl_inbox_receive(void *head, int fd, int source) {
  FAULT("recvmmsg");
  inbox *box = head;
  // A predecessor may have died before it could say how many there are, so the lengths say it.
  for (int i = 0; i < MAXIMUM_DATAGRAMS && box->messages[i].msg_len != NOT_RECEIVED; i++) {
    box->messages[i].msg_len = NOT_RECEIVED;
    box->messages[i].msg_hdr.msg_flags = 0;
  }
  box->source = source;
  // A process that is killed leaves its stores in program order; the compiler must not change it.
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&box->number, box->number + 1, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  return REPEAT(int, recvmmsg(fd, box->messages, MAXIMUM_DATAGRAMS, MSG_DONTWAIT, NULL));
}
uint32_t cl_inbox_length(const void *head, int index) {
  const struct mmsghdr *message = &((const inbox *)head)->messages[index];
  return message->msg_len | ((message->msg_hdr.msg_flags & MSG_TRUNC) ? 0x80000000u : 0);
}
uint64_t cl_inbox_number(const void *head) { return ((const inbox *)head)->number; }
int cl_inbox_source(const void *head) { return ((const inbox *)head)->source; }
uint64_t cl_inbox_shared(void *head, int index, uint64_t amount) {
  return ((inbox *)head)->shared[index & 3] += amount;
}

// -- epoll

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
int cl_event_descriptor(void) { FAULT("eventfd"); return RESULT(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

// -- Time

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
uint64_t cl_monotonic_nanoseconds(void) { return nanoseconds(CLOCK_MONOTONIC); }
uint64_t cl_realtime_nanoseconds(void) { return nanoseconds(CLOCK_REALTIME); }
uint64_t cl_thread_cpu_nanoseconds(void) { return nanoseconds(CLOCK_THREAD_CPUTIME_ID); }
uint64_t cl_process_cpu_nanoseconds(void) { return nanoseconds(CLOCK_PROCESS_CPUTIME_ID); }
int cl_sleep_milliseconds(int64_t milliseconds) {
  struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
  return RESULT(nanosleep(&time, NULL));
}

// -- Process

static int argument_count;
static char **arguments;
// The kernel lays argc, argv, a null and the environment one after the other (System V ABI, "Process
// Initialization"), so the arguments are found from the environment, on every C library and without
// /proc. A pointer is never as small as a count, so the first word that counts the ones behind it is argc.
extern char **environ;
__attribute__((constructor)) static void keep_arguments(void) {
  if (!environ) return;
  char **end = environ - 1;
  for (intptr_t count = 0; count < 1 << 20; count++) {
    if ((intptr_t)end[-1 - count] != count) continue;
    argument_count = (int)count;
    arguments = end - count;
    return;
  }
}
int cl_argument_count(void) { return argument_count; }
const char *cl_argument(int index) { return index < argument_count ? arguments[index] : NULL; }
const char *cl_environment(const char *name) { return getenv(name); }
int cl_process_id(void) { return getpid(); }
_Noreturn void cl_exit(int code) { _exit(code); }
int cl_processor_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) < 0) return 1;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}
static void parent_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
  sigaddset(set, SIGCHLD);
}
// Signals become bytes in a pipe. A signalfd would do, but user-mode emulators lose what is sent to it.
static int signal_pipe[2] = {-1, -1};
static void keep_signal(int number) {
  int code = errno;
  unsigned char byte = (unsigned char)number;
  ssize_t ignored = write(signal_pipe[1], &byte, 1);
  (void)ignored;
  errno = code;
}
int cl_signal_descriptor(const int *signals, int count) {
  FAULT("pipe2");
  if (pipe2(signal_pipe, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
  struct sigaction action = {.sa_handler = keep_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < count; i++)
    if (sigaction(signals[i], &action, NULL) < 0) return -errno;
  // A worker inherits them blocked, so that none is lost before this line.
  sigset_t set;
  parent_signals(&set);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  return signal_pipe[0];
}
int cl_signal_read(int fd) {
  unsigned char byte;
  return read(fd, &byte, 1) == 1 ? byte : -EAGAIN;
}
int cl_ignore_broken_pipes(void) { return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -errno : 0; }

// -- A parent and its worker

int cl_parent_begin(void) {
  sigset_t set;
  parent_signals(&set);
  return RESULT(sigprocmask(SIG_BLOCK, &set, NULL));
}
int cl_parent_fork(void) {
  FAULT("fork");
  pid_t parent = getpid();
  pid_t child = fork();
  if (child != 0) return child < 0 ? -errno : child;
  // A parent that is gone before this line cannot tell us, so we look.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  return 0;  // its signals wait until it takes them by cl_signal_descriptor
}
// What has ended, if anything: 2 the worker exited, 3 it was killed; `code` says how.
static int reap(int worker, int *code) {
  int status;
  pid_t ended;
  while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
    if (ended != worker) continue;
    *code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return WIFSIGNALED(status) ? 3 : 2;
  }
  return 0;
}
int cl_parent_wait(int worker, int64_t timeout_milliseconds, int *code) {
  sigset_t set;
  parent_signals(&set);
  int64_t wait = timeout_milliseconds < 0 ? 0 : timeout_milliseconds;
  struct timespec time = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};
  int news = reap(worker, code);  // one SIGCHLD may stand for many ends
  if (news) return news;
  int number = timeout_milliseconds < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &time);
  if (number == SIGCHLD) return reap(worker, code);
  if (number <= 0) return 0;
  *code = number;
  return 1;
}
int cl_kill(int process, int number) { return RESULT(kill(process, number)); }

int cl_random(void *bytes, size_t count) {
  FAULT("getrandom");
  return REPEAT(ssize_t, getrandom(bytes, count, 0)) == (ssize_t)count ? 0 : -EIO;
}
// The Swift runtime seeds its hashes with this; not every C library has it.
__attribute__((weak)) void arc4random_buf(void *bytes, size_t count) {
  char *target = bytes;
  while (count > 0) {
    ssize_t got = getrandom(target, count < 256 ? count : 256, 0);
    if (got < 0 && errno != EINTR) return;
    if (got > 0) { target += got; count -= (size_t)got; }
  }
}
int64_t cl_open_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur > 1 << 30 ? 1 << 30 : (int64_t)limit.rlim_cur;
}
int64_t cl_page_size(void) { return sysconf(_SC_PAGESIZE); }
int cl_count_open_files(void) {
  DIR *folder = opendir("/proc/self/fd");
  if (!folder) return -errno;
  int count = -1;  // the folder's own descriptor is not counted
  for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}
// Names for the errors that people meet; the C library has none that every C library has.
const char *cl_error_name(int code) {
#define NAME(error) case error: return #error
  switch (code) {
    NAME(EPERM); NAME(ENOENT); NAME(EINTR); NAME(EIO); NAME(EBADF); NAME(EAGAIN); NAME(ENOMEM); NAME(EACCES);
    NAME(EBUSY); NAME(EEXIST); NAME(ENODEV); NAME(ENOTDIR); NAME(EISDIR); NAME(EINVAL); NAME(ENFILE); NAME(EMFILE);
    NAME(EFBIG); NAME(ENOSPC); NAME(EROFS); NAME(EPIPE); NAME(ENAMETOOLONG); NAME(ENOSYS); NAME(ENOTEMPTY);
    NAME(ELOOP); NAME(EOVERFLOW); NAME(ENOTSOCK); NAME(EMSGSIZE); NAME(EPROTOTYPE); NAME(EOPNOTSUPP);
    NAME(EAFNOSUPPORT); NAME(EADDRINUSE); NAME(EADDRNOTAVAIL); NAME(ENETUNREACH); NAME(ECONNABORTED);
    NAME(ECONNRESET); NAME(ENOBUFS); NAME(EISCONN); NAME(ENOTCONN); NAME(ETIMEDOUT); NAME(ECONNREFUSED);
    NAME(EHOSTUNREACH); NAME(EALREADY); NAME(EINPROGRESS); NAME(EDQUOT);
  }
#undef NAME
  return "E?";
}
const char *cl_error_text(int code) { return strerror(code); }

// -- Threads

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

// -- Numbers

double cl_parse_double(const char *text, size_t count) {
  char copy[512];
  if (count >= sizeof copy) count = sizeof copy - 1;
  memcpy(copy, text, count);
  copy[count] = 0;
  return strtod(copy, NULL);
}
double cl_parse_whole_double(const char *text, size_t count) {
  char copy[512];
  if (count == 0 || count >= sizeof copy) return __builtin_nan("");
  memcpy(copy, text, count);
  copy[count] = 0;
  char *end;
  double value = strtod(copy, &end);
  return end == copy + count ? value : __builtin_nan("");
}
