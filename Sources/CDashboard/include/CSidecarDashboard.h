// Bytes that the program carries for browsers; they live as long as it does.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct {
  const uint8_t *bytes;
  size_t count;
} cd_bytes;

// The page, a member of gzip; unpacked, it has less than 60,000 bytes.
cd_bytes cd_page(void);

// What its Content-Security-Policy says of its one script and its one style: their hashes.
cd_bytes cd_policy(void);
