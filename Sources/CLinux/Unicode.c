// Names and words are bytes: two texts are equal if their bytes are. Swift's String compares by
// canonical equivalence, whose tables take 46 KB of a static program. The release build is linked
// with these functions instead of the tables: they say that no character has another form.
//
// The signatures are the standard library's own (SwiftShims, UnicodeData.h).
#include <stdint.h>

#ifdef CLINUX_WITHOUT_UNICODE_TABLES

const uint8_t *const _swift_stdlib_nfd_decompositions = 0;

// Bits 3 and up are the class of a combining mark; the others say whether a character has another
// form.
uint16_t _swift_stdlib_getNormData(uint32_t scalar) {
  (void)scalar;
  return 0;
}

// The character is in the lower bits; a different one from the argument means that there is none.
uint32_t _swift_stdlib_getDecompositionEntry(uint32_t scalar) {
  (void)scalar;
  return 0;
}

// The character that two compose; the greatest number means that there is none.
uint32_t _swift_stdlib_getComposition(uint32_t x, uint32_t y) {
  (void)x;
  (void)y;
  return UINT32_MAX;
}

#endif
