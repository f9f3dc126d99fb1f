#include "CSidecarCanary.h"

#include <limits.h>
#include <stdlib.h>

int canary_overflow(int amount) { return INT_MAX + amount; }

int canary_read_beyond(int byte_count) {
  volatile char *bytes = malloc((size_t)byte_count);
  int found = bytes[byte_count];
  free((void *)bytes);
  return found;
}
