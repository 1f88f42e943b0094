// SPDX-License-Identifier: Apache-2.0
// Showing something again and again.
//
// On a terminal: on the alternate screen, each look drawn over the one before in one write, clipped
// to the terminal's size; behind the end the last look stands on the ordinary screen. In a file or
// pipe: what each look appends, one after the other.
#ifndef PRECIS_CMD_STATUS_WATCH_H
#define PRECIS_CMD_STATUS_WATCH_H

#include <stdint.h>

#include "cmd/status_show.h"

// Appends a look, for a terminal `file`, or where that is NULL one line. False: it was said why.
typedef bool status_look_fn(void *context, FILE *file, struct buf *out,
                            struct status_facts *out_facts);

// Until the facts say ended (0, or 3 where something failed), a look fails (1) or Ctrl-C (130).
// Looks that take long are fewer: four fifths of the time is rest.
int status_watch(status_look_fn *look, void *context, int64_t interval_ms);

#endif
