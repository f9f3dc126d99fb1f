// System calls as Swift can call them: plain scalars in, a result or -errno out.
//
// No struct or macro of the C library crosses this header. So Swift needs no feature-test macros,
// the 32-bit layouts (64-bit offsets and times on arm/v7) stay in the .c files, and the package needs
// no unsafe flags, which lets other packages depend on it. Calls repeat on EINTR. What the .c files
// share is in Call.h.
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
// As cl_open with 1, of a regular file only: -EISDIR or -EINVAL where something else is.
int cl_open_regular(const char *path, uint32_t mode);
// Of `path` without following a link, or of `fd` where that is NULL.
int cl_file_identity(const char *path, int fd, uint64_t *device, uint64_t *number);
int cl_file_allocate(int fd, int64_t offset, int64_t size);
// Has btrfs write into an empty file where it lies; others do so by themselves.
void cl_file_overwrite_in_place(int fd);
int cl_file_sync(int fd);   // what is mapped of it, too, is on its disk then
int64_t cl_read_link(const char *path, char *target, size_t size);
// How many names in `folder` begin with `prefix`; the least or the greatest of them is put to `name`.
int cl_count_names(const char *folder, const char *prefix, int is_greatest, char *name, size_t size);
int cl_file_lock(int fd);
int cl_rename(const char *source, const char *target);
int cl_rename_new(const char *source, const char *target);   // -EEXIST where there is a target
int cl_unlink(const char *path);
// Removes a socket's file or a link, if there is one; -EADDRINUSE where something else is.
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
// A descriptor in a message of a pair of sockets, with a file's identity; `keeps` leaves it there, and
// has the next look see the message behind it where `cl_look_from_first` has worked.
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
int64_t cl_unacknowledged_byte_count(int fd);   // of a TCP stream; the end of our side counts as one
int64_t cl_readable_byte_count(int fd);   // of a stream, not received yet
int64_t cl_grow_receive_buffer(int fd, int byte_count);   // what the kernel grants
void cl_grow_send_buffer(int fd, int byte_count);
int64_t cl_socket_drops(int fd);   // datagrams dropped for want of room
int cl_set_timeouts(int fd, int64_t milliseconds);
int cl_shutdown_write(int fd);
// The inbox: many datagrams a call, in memory that a forked successor shares. `head` is laid out by
// `prepare`; a length's top bit is set when the datagram was longer than `stride` (MSG_TRUNC).
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
// Waits for what `poll` watches and for a byte on `busy`, of which there are CL_BUSY_LIMIT at most.
#define CL_BUSY_LIMIT 16
typedef struct cl_busy { uint64_t data; int32_t fd; uint32_t padding; } cl_busy;
int cl_poll_wait(int poll, const cl_busy *busy, int busy_count, cl_event *events, int timeout_milliseconds);
int cl_poll_capacity(void);

// -- Time
uint64_t cl_monotonic_nanoseconds(void);
uint64_t cl_realtime_nanoseconds(void);

// -- Process
int cl_argument_count(void);
const char *cl_argument(int index);
char **cl_arguments(void);
const char *cl_environment(const char *name);
// The next variable from index on that begins with prefix: its name behind that, and how long it is.
const char *cl_environment_behind(const char *prefix, int *index, int *length);
int cl_process_id(void);
_Noreturn void cl_exit(int code);
int cl_processor_count(void);
void cl_hold_signals(int is_held);   // those of `cl_signal_descriptor`, which lets them through again
int cl_signal_descriptor(const int *signals, int count);
// Of SIGTERM or SIGINT, or else with the line and 1; of the first SIGTERM so many seconds more.
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

// -- A terminal. Its size is columns << 16 | rows, or -errno where `fd` is none. A key is its byte, or `j`,
// `k`, `J`, `K` for down, up and a page of each; 0 when the time is over or the size has changed, -1 when
// a signal or the terminal's end asks to stop.
int cl_terminal_size(int fd);
int cl_screen_begin(void);
void cl_screen_end(void);
int cl_screen_key(int timeout_milliseconds);

// -- A parent and its worker. `wait`: 1 a signal, 2 the worker exited, 3 it was killed, 4 it was
// stopped, 5 it goes on, 0 nothing of these.
int cl_parent_begin(void);
int cl_parent_fork(void);
int cl_parent_wait(int worker, int64_t timeout_milliseconds, int *code);
int cl_kill(int process, int number);
// A command of the last `count` words, behind --; its number, 0 without --. Then its exit code.
int cl_child_start(int count);
int cl_child_wait(int child);
// The board: memory that both share. `next` before each fork; `cl_worker_begin` in the worker, or with
// NULL in a process without a parent, has faults told (a file that is cut) and kept (what is applied).
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
// The bytes that are being applied, from `begin` to `end`; `begin` says 0 where two workers in a row
// have died of them. A careful worker says so of parts as small as there are.
int cl_flight_begin(const void *bytes, size_t count);
void cl_flight_end(void);
int cl_flight_is_careful(void);
// What to write to standard error when the mapped file `index` (0 or 1) is cut short while in use.
void cl_file_cut_line(int index, const void *base, uint64_t size, const char *line);

// -- Threads
int cl_thread_start(void (*body)(void *), void *argument, uint64_t *thread);
int cl_thread_join(uint64_t thread);
void *cl_lock_create(void);   // NULL without memory
void cl_lock_destroy(void *lock);
void cl_lock(void *lock);
void cl_unlock(void *lock);
// A descriptor to wake a thread by, and that thread's sleep: bit 0 of the answer is `cl_wake`, the
// others are what `fd` (-1 for none) is ready for, one to the left.
int cl_wake_create(void);
void cl_wake(int wake);
int cl_wake_wait(int wake, int fd, int is_writable_wanted, int timeout_milliseconds);

// -- Numbers
double cl_parse_whole_double(const char *text, size_t count);  // NaN unless all of it is a number

// -- Memory order. A process that is killed leaves its stores in program order; these keep the
// compiler from changing that order, and one 32-bit store from being torn.
static inline void cl_compiler_barrier(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
static inline void cl_store_32(void *address, uint32_t value) {
  __atomic_store_n((uint32_t *)address, value, __ATOMIC_RELEASE);
}
