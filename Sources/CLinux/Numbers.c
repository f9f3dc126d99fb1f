// Numbers written as text.
#include "Call.h"

#include <stdlib.h>
#include <string.h>

double cl_parse_whole_double(const char *text, size_t count) {
  char copy[512];
  if (count == 0 || count >= sizeof copy) return __builtin_nan("");
  memcpy(copy, text, count);
  copy[count] = 0;
  char *end;
  double value = strtod(copy, &end);
  return end == copy + count ? value : __builtin_nan("");
}
