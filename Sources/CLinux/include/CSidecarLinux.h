// System calls in a form that Swift can call: plain scalars in, a result or -errno out.
//
// No struct or macro of the C library crosses this header. So Swift needs no feature-test macros,
// the 32-bit layouts (64-bit offsets and times on arm/v7) stay in the .c files, and the package
// needs no unsafe flags, which lets other packages depend on it. Calls repeat on EINTR.
// Declarations shared by the .c files are in Call.h.
#pragma once
#include <stddef.h>
#include <stdint.h>

// -- Descriptors
int64_t cl_read(int fd, void *bytes, size_t count);
int64_t cl_write(int fd, const void *bytes, size_t count);
int cl_close(int fd);

// -- Files. `flags`: 1 create, 2 truncate, 4 exclusive, 8 read only, 16 directory.
int cl_open(const char *path, int flags, uint32_t mode);
int64_t cl_file_size(int fd);
// Like cl_open with 1, but only a regular file: -EISDIR or -EINVAL for anything else.
int cl_open_regular(const char *path, uint32_t mode);
// A file that no folder has; it goes with its descriptor.
int cl_open_memory(void);
// For `path` without following a link, or for `fd` if that is NULL.
int cl_file_identity(const char *path, int fd, uint64_t *device, uint64_t *number);
int cl_file_allocate(int fd, int64_t offset, int64_t size);
// Makes btrfs write an empty file in place; other file systems do so anyway.
void cl_file_overwrite_in_place(int fd);
int cl_file_sync(int fd);   // what is mapped of it, too, is on its disk then
int64_t cl_read_link(const char *path, char *target, size_t size);
// How many names in `folder` begin with `prefix`; stores the first or the last of them in `name`.
int cl_count_names(
  const char *folder, const char *prefix, int is_greatest, char *name, size_t size);
int cl_file_lock(int fd);
int cl_rename(const char *source, const char *target);
int cl_rename_new(const char *source, const char *target);   // -EEXIST where there is a target
int cl_unlink(const char *path);
// Removes a socket's file or a link, if there is one; -EADDRINUSE for anything else.
int cl_remove_socket(const char *path);
int cl_make_directory(const char *path, uint32_t mode);
int cl_is_writable_directory(const char *path);
void *cl_map_shared(int fd, uint64_t size);   // NULL when it fails; errno by cl_last_error
int cl_map_instead(void *base, uint64_t size, int fd);   // `fd` in place of what is mapped there
void *cl_map_anonymous_shared(uint64_t size);
int cl_unmap(void *base, uint64_t size);
void cl_touch(void *start, size_t count);  // has the kernel map the pages now
int cl_last_error(void);

// -- Sockets: non-blocking and close-on-exec, all of them.
int cl_bind_tcp(const char *host, uint16_t port, int is_shared);
int cl_share_port(int fd);
int cl_listen(int fd, int backlog);
int cl_bind_udp(const char *host, uint16_t port);
int cl_connect_tcp(const char *host, uint16_t port, int64_t timeout_milliseconds);
int cl_local_port(int fd);
int cl_listen_unix(const char *path, int is_datagram, uint32_t mode, int64_t group, int backlog);
int cl_connect_unix(const char *path, int is_datagram);
int cl_unix_path_limit(void);
// A descriptor in a message in a socket pair, with a file's identity; `keeps` leaves it there, and
// the next look sees the message after it if `cl_look_from_first` has worked.
int cl_socket_pair(int *source, int *target);
int cl_send_descriptor(int source, int fd, uint64_t device, uint64_t number);
int cl_look_from_first(int target);
int cl_receive_descriptor(int target, int keeps, uint64_t *device, uint64_t *number);
int cl_accept(int fd);
uint64_t cl_peer(int fd);   // a number for its address, of IPv6 the first 64 bits; 0 if not known
int cl_is_readable(int fd);   // or somebody waits to be accepted; 0 or 1
int64_t cl_receive(int fd, void *bytes, size_t count);
int64_t cl_send(int fd, const void *bytes, size_t count);
void cl_peer_address(int fd, uint64_t *high, uint64_t *low);   // as IPv6; zeros if not known
int64_t cl_unacknowledged_byte_count(int fd);   // of a TCP stream; our side's end counts as one
int64_t cl_readable_byte_count(int fd);   // of a stream, not received yet
int64_t cl_grow_receive_buffer(int fd, int byte_count);   // what the kernel grants
void cl_grow_send_buffer(int fd, int byte_count);
int64_t cl_socket_drops(int fd);   // datagrams dropped for want of room
int cl_set_timeouts(int fd, int64_t milliseconds);
int cl_shutdown_write(int fd);
// The inbox: many datagrams per call, in memory that a forked successor shares. `prepare` lays out
// `head`; a length's top bit is set if the datagram was longer than `stride` (MSG_TRUNC).
int cl_inbox_capacity(void);
size_t cl_inbox_head_byte_count(void);
void cl_inbox_prepare(void *head, void *slab, size_t stride);
int cl_inbox_receive(void *head, int fd, int source);
int cl_inbox_received(const void *head);
uint32_t cl_inbox_length(const void *head, int index);
uint64_t cl_inbox_number(const void *head);
int cl_inbox_source(const void *head);
uint64_t cl_inbox_shared(void *head, int index, uint64_t amount);

// -- epoll
typedef struct cl_event { uint64_t data; uint32_t events; uint32_t padding; } cl_event;
#define CL_READABLE 0x001u
#define CL_WRITABLE 0x004u
#define CL_ERROR 0x008u
#define CL_HANGUP 0x010u
int cl_poll_create(void);
int cl_poll_add(int poll, int fd, uint32_t events, uint64_t data);
int cl_poll_modify(int poll, int fd, uint32_t events, uint64_t data);
int cl_poll_remove(int poll, int fd);
// Waits for the events of `poll` and for a byte on any of `busy`, at most CL_BUSY_LIMIT
// descriptors.
#define CL_BUSY_LIMIT 16
typedef struct cl_busy { uint64_t data; int32_t fd; uint32_t padding; } cl_busy;
int cl_poll_wait(
  int poll, const cl_busy *busy, int busy_count, cl_event *events, int timeout_milliseconds);
int cl_poll_capacity(void);

// -- Time
uint64_t cl_monotonic_nanoseconds(void);
uint64_t cl_realtime_nanoseconds(void);

// -- Process
int cl_argument_count(void);
const char *cl_argument(int index);
char **cl_arguments(void);
const char *cl_environment(const char *name);
// The next variable from index on that begins with prefix: its name after the prefix, and its
// length.
const char *cl_environment_behind(const char *prefix, int *index, int *length);
int cl_process_id(void);
_Noreturn void cl_exit(int code);
int cl_processor_count(void);
void cl_hold_signals(int is_held);   // those that `cl_signal_descriptor` lets through again
int cl_signal_descriptor(const int *signals, int count);
// By SIGTERM or SIGINT, or else with the line and code 1; the first SIGTERM waits this many seconds
// more.
void cl_end_within(int seconds, int more_seconds, const char *line);
int cl_signal_read(int fd);   // the signal's number, or -errno
int cl_ignore_broken_pipes(void);
int cl_random(void *bytes, size_t count);
int64_t cl_open_file_limit(void);   // raises the soft limit to the hard one and returns it
uint64_t cl_process_cpu_nanoseconds(void);
int64_t cl_page_size(void);
int cl_count_open_files(void);
int64_t cl_memory_limit(void);   // of the container, in bytes; 0 where it has none
const char *cl_error_name(int code);
const char *cl_error_text(int code);
int cl_sleep_milliseconds(int64_t milliseconds);

// -- A terminal. Its size is columns << 16 | rows, or -errno if `fd` is not a terminal. A key is
// its byte, or `j`, `k`, `J`, `K` for down, up, page down and page up; 0 if the time is over or the
// size has changed, -1 if a signal or the terminal's end asks to stop.
int cl_terminal_size(int fd);
int cl_screen_begin(void);
void cl_screen_end(void);
int cl_screen_key(int timeout_milliseconds);

// -- A parent and its worker. `wait`: 1 a signal, 2 the worker exited, 3 it was killed, 4 it was
// stopped, 5 it continues, 0 none of these.
int cl_parent_begin(void);
int cl_parent_fork(void);
int cl_parent_wait(int worker, int64_t timeout_milliseconds, int *code);
int cl_kill(int process, int number);
// Starts a command from the last `count` words, after --; returns its number, 0 without --. Then
// its exit code.
int cl_child_start(int count);
int cl_child_wait(int child);
// The board: memory that both share. Call `next` before each fork; `cl_worker_begin` in the worker,
// or with NULL in a process without a parent, reports faults (a truncated file) and records them
// (the input being applied).
size_t cl_board_byte_count(void);
uint64_t cl_board_shared(void *board, int index, uint64_t amount);
void cl_board_next(void *board);
uint32_t cl_board_turn(const void *board);
uint32_t cl_board_phase(const void *board);
int cl_board_is_watched(const void *board);
void cl_board_watch(void *board, int is_watched);
int cl_worker_begin(void *board);
void cl_phase(uint32_t phase);
void cl_turn_rests(void);
void cl_turn_begins(void);
// The bytes being applied, from `begin` to `end`; `begin` returns 0 if two workers in a row have
// died of them. A careful worker calls them for the smallest possible parts.
int cl_flight_begin(const void *bytes, size_t count);
void cl_flight_end(void);
int cl_flight_is_careful(void);
// The text for standard error if the mapped file `index` (0 or 1) is truncated while in use.
void cl_file_cut_line(int index, const void *base, uint64_t size, const char *line);

// -- Threads
int cl_thread_start(void (*body)(void *), void *argument, uint64_t *thread);
int cl_thread_join(uint64_t thread);
void *cl_lock_create(void);   // NULL without memory
void cl_lock_destroy(void *lock);
void cl_lock(void *lock);
void cl_unlock(void *lock);
// A descriptor to wake a thread by, and that thread's sleep: bit 0 of the result is `cl_wake`, the
// others are the events of `fd` (-1 for none), shifted left by one.
int cl_wake_create(void);
void cl_wake(int wake);
int cl_wake_wait(int wake, int fd, int is_writable_wanted, int timeout_milliseconds);

// -- Numbers
double cl_parse_whole_double(const char *text, size_t count);  // NaN unless all of it is a number

// -- Memory order. A killed process leaves its stores in program order; these keep the compiler
// from changing that order, and a 32-bit store from being torn.
static inline void cl_compiler_barrier(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
static inline void cl_store_32(void *address, uint32_t value) {
  __atomic_store_n((uint32_t *)address, value, __ATOMIC_RELEASE);
}
