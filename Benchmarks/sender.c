// Sends the bench's lines as fast as the receiver takes them.
//
//     sender stream|dgram PATH LINES BYTES    LINES in all, in frames or datagrams of BYTES at most
//     sender udp PORT LINES BYTES             the same to 127.0.0.1, without tags
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PACKETS 64
static char packets[PACKETS][70000];
static size_t sizes[PACKETS], counts[PACKETS];

int main(int count, char **arguments) {
  if (count != 5) return 2;
  int is_stream = strcmp(arguments[1], "stream") == 0, is_udp = strcmp(arguments[1], "udp") == 0;
  const char *form = is_udp
    ? "app.requests.%u:1|c" : "app.requests:1|c|#endpoint:/path/%u,method:GET,status:200";
  long left = atol(arguments[3]);
  size_t limit = (size_t)atol(arguments[4]);
  unsigned series = 0;
  for (int i = 0; i < PACKETS; i++) {
    size_t head = is_stream ? 4 : 0, at = head;
    while (counts[i] == 0 || at - head + 60 <= limit) {
      if (counts[i] > 0) packets[i][at++] = '\n';
      at += (size_t)sprintf(packets[i] + at, form, series++ % 200 + 100);
      counts[i]++;
    }
    uint32_t length = (uint32_t)(at - head);
    if (is_stream) memcpy(packets[i], &length, 4);
    sizes[i] = at;
  }
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  strncpy(path.sun_path, arguments[2], sizeof path.sun_path - 1);
  struct sockaddr_in port = {
    .sin_family = AF_INET,
    .sin_port = htons((uint16_t)atoi(arguments[2])),
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(is_udp ? AF_INET : AF_UNIX, is_stream ? SOCK_STREAM : SOCK_DGRAM, 0);
  void *address = is_udp ? (void *)&port : (void *)&path;
  if (fd < 0 || connect(fd, address, is_udp ? sizeof port : sizeof path)) return 1;
  long sent = 0;
  for (int i = 0; sent < left; i = (i + 1) % PACKETS) {
    for (size_t done = 0; done < sizes[i];) {
      ssize_t result = send(fd, packets[i] + done, sizes[i] - done, 0);
      if (result <= 0) return 1;
      done += (size_t)result;
    }
    sent += (long)counts[i];
  }
  printf("%ld\n", sent);
  return 0;
}
