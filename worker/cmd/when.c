// SPDX-License-Identifier: Apache-2.0
// Times and lengths of options.
#include "cmd/when.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time_text.h"

#define LENGTH_DIGITS 6

static bool read_length(const char *text, int64_t *out_ms)
{
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    int64_t ms = strcmp(unit, "h") == 0   ? 3600000
                 : strcmp(unit, "m") == 0 ? 60000
                 : strcmp(unit, "s") == 0 ? 1000
                                          : 0;
    if (digits == 0 || digits > LENGTH_DIGITS || ms == 0)
        return false;
    *out_ms = strtoll(text, NULL, 10) * ms;
    return true;
}

bool when_read(const char *text, int64_t now_ms, int64_t *out_unix_ms)
{
    int64_t length_ms;
    if (!read_length(text, &length_ms))
        return time_text_parse(text, out_unix_ms);
    *out_unix_ms = now_ms + length_ms;
    return true;
}

int64_t when_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
