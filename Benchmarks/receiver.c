// The peer of the bench: receives StatsD lines, takes them apart and adds them up by series, and
// nothing else. No rules, no state file, no limits, no page.
//
//     receiver stream PATH    frames: 4-byte little-endian length, then lines
//     receiver dgram PATH     datagrams of lines, 64 a call
//     receiver udp PORT       the same over UDP, on 127.0.0.1
//
// Prints the sum of all counters at the end of its standard input.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SLOTS 65536
typedef struct slot { uint64_t hash; uint32_t key, length; double value; } slot;
static slot slots[SLOTS];
static char keys[1 << 24];
static uint32_t keys_used;

static uint64_t hash(const char *bytes, size_t count) {
  uint64_t h = count * 0x9e3779b97f4a7c15u, word;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    memcpy(&word, bytes + i, 8);
    h = (h ^ word) * 0xd6e8feb86659fd93u;
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
  }
  word = 0;
  memcpy(&word, bytes + i, count - i);
  h = (h ^ word) * 0xd6e8feb86659fd93u;
  return (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
}

// name:value|type[|@rate][|#tags]: the key is name and tags.
static void line(const char *start, const char *end) {
  const char *colon = memchr(start, ':', (size_t)(end - start));
  if (!colon || colon == start) return;
  const char *bar = colon + 1;
  double value = 0;
  while (bar < end && *bar >= '0' && *bar <= '9') value = value * 10 + (*bar++ - '0');
  if (bar == end || *bar != '|' || bar == colon + 1) return;
  const char *type = bar + 1, *tags = end;
  double rate = 1;
  bar = memchr(type, '|', (size_t)(end - type));
  while (bar) {
    const char *field = bar + 1;
    bar = memchr(field, '|', (size_t)(end - field));
    const char *stop = bar ? bar : end;
    if (*field == '#') { tags = field + 1; if (stop != end) end = stop; }
    if (*field == '@') rate = strtod(field + 1, NULL);
  }
  size_t name_count = (size_t)(colon - start), tags_count = (size_t)(end - tags);
  size_t count = name_count + tags_count;
  uint64_t h = hash(start, name_count) ^ hash(tags, tags_count) * 3;
  for (size_t i = h >> 40;; i = (i + 1) & (SLOTS - 1)) {
    slot *s = &slots[i & (SLOTS - 1)];
    if (s->length == 0) {
      if (keys_used + count > sizeof keys) return;
      *s = (slot){.hash = h, .key = keys_used, .length = (uint32_t)count};
      memcpy(keys + keys_used, start, name_count);
      memcpy(keys + keys_used + name_count, tags, tags_count);
      keys_used += count;
    }
    if (s->hash == h && s->length == count && !memcmp(keys + s->key, start, name_count) &&
        !memcmp(keys + s->key + name_count, tags, tags_count)) {
      s->value += value / rate;
      return;
    }
  }
}

static void lines(const char *start, const char *end) {
  while (start < end) {
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    if (!stop) stop = end;
    line(start, stop);
    start = stop + 1;
  }
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  int is_stream = strcmp(arguments[1], "stream") == 0;
  int is_udp = strcmp(arguments[1], "udp") == 0, size = 4 << 20;
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  strncpy(path.sun_path, arguments[2], sizeof path.sun_path - 1);
  struct sockaddr_in port = {
    .sin_family = AF_INET,
    .sin_port = htons((uint16_t)atoi(arguments[2])),
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (!is_udp) unlink(arguments[2]);
  int fd = socket(is_udp ? AF_INET : AF_UNIX, is_stream ? SOCK_STREAM : SOCK_DGRAM, 0);
  void *address = is_udp ? (void *)&port : (void *)&path;
  if (fd < 0 || bind(fd, address, is_udp ? sizeof port : sizeof path)) return 1;
  if (is_stream && listen(fd, 16)) return 1;
  if (is_udp) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  static char buffer[64 * 65536];
  struct pollfd waiting[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  int source = is_stream ? -1 : fd;
  size_t used = 0;
  while (poll(waiting, 2, -1) > 0) {
    if (waiting[0].revents) {
      if (source < 0) {
        source = waiting[0].fd = accept(fd, NULL, NULL);
      } else if (is_stream) {
        ssize_t got = recv(source, buffer + used, 65536, MSG_DONTWAIT);
        if (got <= 0) { close(source); source = -1; waiting[0].fd = fd; used = 0; continue; }
        used += (size_t)got;
        size_t at = 0;
        uint32_t length;
        while (used - at >= 4 && (memcpy(&length, buffer + at, 4), used - at - 4 >= length)) {
          lines(buffer + at + 4, buffer + at + 4 + length);
          at += 4 + length;
        }
        memmove(buffer, buffer + at, used - at);
        used -= at;
      } else {
        struct mmsghdr messages[64];
        struct iovec parts[64];
        for (int i = 0; i < 64; i++) {
          parts[i] = (struct iovec){buffer + i * 65536, 65536};
          messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
        }
        int got = recvmmsg(fd, messages, 64, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++)
          lines(buffer + i * 65536, buffer + i * 65536 + messages[i].msg_len);
      }
    }
    if (waiting[1].revents && !waiting[0].revents) break;
  }
  double sum = 0;
  for (int i = 0; i < SLOTS; i++) sum += slots[i].value;
  printf("%.0f\n", sum);
  return 0;
}
