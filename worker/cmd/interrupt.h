// SPDX-License-Identifier: Apache-2.0
// Ctrl-C (and TERM) for commands that wait: a flag instead of an end in the middle of something.
#ifndef PRECIS_CMD_INTERRUPT_H
#define PRECIS_CMD_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

// From now on INT and TERM only set the flag; a second one ends the process as usual.
void interrupt_watch(void);
bool interrupt_came(void);
// Sleeps, or until the signal comes.
void interrupt_sleep_ms(int64_t ms);

#endif
