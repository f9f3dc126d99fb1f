// Planted mistakes: a fuzz run in which these go unnoticed proves nothing.
#pragma once
// Adds to the largest int: undefined, and a trap under -fsanitize=undefined.
int canary_overflow(int amount);
// Reads the byte behind an allocation of so many: AddressSanitizer ends the process.
int canary_read_beyond(int byte_count);
