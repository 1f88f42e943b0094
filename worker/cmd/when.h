// SPDX-License-Identifier: Apache-2.0
// Points in time as people give them to options: a time, or a length from now.
#ifndef PRECIS_CMD_WHEN_H
#define PRECIS_CMD_WHEN_H

#include <stdbool.h>
#include <stdint.h>

// How both are written, for sentences about a wrong one.
#define WHEN_FORMS "a time (2026-11-23T09:00:00Z) or a length from now (2h, 90m, 45s)"

// Unix ms of "2026-11-23T09:00:00+01:00", or of "2h", "90m", "45s" from `now_ms` on. False: it is
// neither, or a length of more than six digits.
bool when_read(const char *text, int64_t now_ms, int64_t *out_unix_ms);
// The clock of this machine.
int64_t when_now_ms(void);

#endif
