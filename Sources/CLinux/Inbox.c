// The inbox is memory that outlives the process that receives into it: the kernel writes the
// `lengths` of the messages, so a successor sees what even a killed process had received.
#include "Call.h"

#include <string.h>
#include <sys/socket.h>

#define MAXIMUM_DATAGRAMS 64
#define NOT_RECEIVED 0xffffffffu
typedef struct inbox {
  uint64_t number;  // of the batch; 1, 2, 3 …
  uint64_t shared[4];
  int32_t source;
  struct iovec parts[MAXIMUM_DATAGRAMS];
  struct mmsghdr messages[MAXIMUM_DATAGRAMS];
} inbox;
int cl_inbox_capacity(void) { return MAXIMUM_DATAGRAMS; }
size_t cl_inbox_head_byte_count(void) { return sizeof(inbox); }
void cl_inbox_prepare(void *head, void *slab, size_t stride) {
  inbox *box = head;
  for (int i = 0; i < MAXIMUM_DATAGRAMS; i++) {
    box->parts[i] =
      (struct iovec){.iov_base = (char *)slab + stride * (size_t)i, .iov_len = stride};
    box->messages[i].msg_hdr = (struct msghdr){.msg_iov = &box->parts[i], .msg_iovlen = 1};
    box->messages[i].msg_len = NOT_RECEIVED;
  }
}
int cl_inbox_received(const void *head) {
  int count = 0;
  const inbox *box = head;
  while (count < MAXIMUM_DATAGRAMS && box->messages[count].msg_len != NOT_RECEIVED) count++;
  return count;
}
int cl_inbox_receive(void *head, int fd, int source) {
  FAULT("recvmmsg");
  inbox *box = head;
  // A predecessor may have died before it could store the count, so the lengths decide.
  for (int i = 0; i < MAXIMUM_DATAGRAMS && box->messages[i].msg_len != NOT_RECEIVED; i++) {
    box->messages[i].msg_len = NOT_RECEIVED;
    box->messages[i].msg_hdr.msg_flags = 0;
  }
  box->source = source;
  // A killed process leaves its stores in program order; the compiler must not change it.
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
