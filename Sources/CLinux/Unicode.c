// Names and words are bytes: two texts are equal where their bytes are. Swift's String compares by
// canonical equivalence, whose tables are 46 KB of a static program. The release form is linked with
// these functions in place of the tables: they say of every character that it has no other form.
//
// The signatures are the standard library's own (SwiftShims, UnicodeData.h).
#include <stdint.h>

#ifdef CLINUX_WITHOUT_UNICODE_TABLES

const uint8_t *const _swift_stdlib_nfd_decompositions = 0;

// In bits 3 and up the class of a combining mark; in the others whether a character has another form.
uint16_t _swift_stdlib_getNormData(uint32_t scalar) {
  (void)scalar;
  return 0;
}

// The character in the lower bits; another one than was asked for says that there is none.
uint32_t _swift_stdlib_getDecompositionEntry(uint32_t scalar) {
  (void)scalar;
  return 0;
}

// The character that two make together; the greatest number says that there is none.
uint32_t _swift_stdlib_getComposition(uint32_t x, uint32_t y) {
  (void)x;
  (void)y;
  return UINT32_MAX;
}

#endif
