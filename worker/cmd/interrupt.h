// SPDX-License-Identifier: Apache-2.0
// Ctrl-C (and TERM) for commands that wait: a flag instead of an end in the middle of something.
#ifndef PRECIS_CMD_INTERRUPT_H
#define PRECIS_CMD_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

// From now on INT and TERM only set the flag; a second one ends the process as usual.
void interrupt_watch(void);
// What such a second one writes to stdout before the end: to leave a terminal as it was. NULL:
// nothing.
void interrupt_leave_with(const char *text);
bool interrupt_came(void);
// Sleeps, or until the signal comes.
void interrupt_sleep_ms(int64_t ms);

#endif
