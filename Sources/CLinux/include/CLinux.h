// System calls as Swift can call them: plain scalars in, a result or -errno out.
//
// No struct or macro of the C library crosses this header. Swift needs no feature-test macros, the
// 32-bit layouts (64-bit offsets and times on arm/v7) stay in CLinux.c, and the package has no
// unsafe flags, so others can depend on it. Every call repeats on EINTR where that is right.
#pragma once
#include <stddef.h>
#include <stdint.h>
