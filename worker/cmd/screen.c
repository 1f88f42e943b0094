// SPDX-License-Identifier: Apache-2.0
// Text and numbers for people.
#include "cmd/screen.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "core/visible.h"

#define PLAIN_COLUMNS 100
#define PLAIN_LINES   40

bool screen_is_terminal(FILE *file)
{
    return isatty(fileno(file)) != 0;
}

size_t screen_columns(FILE *file)
{
    struct winsize size;
    if (ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    const char *named = getenv("COLUMNS"); // for files and pipes
    long columns = named ? strtol(named, NULL, 10) : 0;
    return columns >= 20 && columns <= 1000 ? (size_t)columns : PLAIN_COLUMNS;
}

size_t screen_lines(FILE *file)
{
    struct winsize size;
    bool known = ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_row >= 4;
    return known ? size.ws_row : PLAIN_LINES;
}

static bool has_colour(FILE *file)
{
    const char *none = getenv("NO_COLOR");
    const char *kind = getenv("TERM");
    return file && screen_is_terminal(file) && !(none && *none) &&
           !(kind && strcmp(kind, "dumb") == 0);
}

const char *screen_on(FILE *file, enum screen_style style)
{
    static const char *const codes[] = {
        [SCREEN_PLAIN] = "",        [SCREEN_BOLD] = "\x1b[1m",  [SCREEN_DIM] = "\x1b[2m",
        [SCREEN_GOOD] = "\x1b[32m", [SCREEN_WARN] = "\x1b[33m", [SCREEN_BAD] = "\x1b[31m",
    };
    return has_colour(file) ? codes[style] : "";
}

const char *screen_off(FILE *file, enum screen_style style)
{
    return style != SCREEN_PLAIN && has_colour(file) ? "\x1b[0m" : "";
}

enum screen_style screen_style_of_state(const char *state)
{
    static const struct {
        const char *state;
        enum screen_style style;
    } styles[] = {
        {"done", SCREEN_GOOD},    {"ok", SCREEN_GOOD},        {"ended", SCREEN_GOOD},
        {"failed", SCREEN_BAD},   {"in_doubt", SCREEN_BAD},   {"cancelled", SCREEN_DIM},
        {"waiting", SCREEN_WARN}, {"throttled", SCREEN_WARN},
    };
    for (size_t i = 0; state && i < sizeof(styles) / sizeof(styles[0]); i++)
        if (strcmp(styles[i].state, state) == 0)
            return styles[i].style;
    return SCREEN_PLAIN;
}

// ------------------------------------------------------------------------------- text

void screen_add_text(struct buf *out, const char *text)
{
    if (text)
        visible_copy(out, text, strlen(text));
    else
        buf_add_char(out, '-');
}

void screen_add_line(struct buf *out, const char *text)
{
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    screen_add_text(&clean, text);
    bool space = false;
    size_t start = out->len;
    for (size_t i = 0; i < clean.len; i++) {
        if (strchr(" \t\r\n", clean.data[i])) {
            space = out->len > start;
            continue;
        }
        if (space)
            buf_add_char(out, ' ');
        space = false;
        buf_add_char(out, clean.data[i]);
    }
}

const char *screen_suggestion(const char *error, const char *suggestion)
{
    return suggestion && error && strstr(error, suggestion) ? NULL : suggestion;
}

static void add_escape(struct buf *out, uint32_t c)
{
    if (c > 0xffff)
        buf_printf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
                   (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
    else
        buf_printf(out, "\\u%04x", (unsigned)c);
}

void screen_add_json(struct buf *out, const char *json)
{
    size_t len = strlen(json), bytes;
    for (size_t i = 0; i < len; i += bytes) {
        uint32_t c = visible_decode(json + i, len - i, &bytes);
        if (c != '\n' && visible_is_hidden(c))
            add_escape(out, c);
        else
            buf_add(out, json + i, bytes);
    }
}

size_t screen_width(const char *text, size_t len)
{
    size_t width = 0, bytes;
    for (size_t i = 0; i < len; i += bytes)
        width +=
            (size_t)utf8proc_charwidth((utf8proc_int32_t)visible_decode(text + i, len - i, &bytes));
    return width;
}

// The bytes of a style at `text`; 0: there is none.
static size_t style_bytes(const char *text, size_t len)
{
    if (len < 3 || text[0] != '\x1b' || text[1] != '[')
        return 0;
    size_t digits = strspn(text + 2, "0123456789;");
    return 2 + digits < len && text[2 + digits] == 'm' ? digits + 3 : 0;
}

void screen_add_clipped(struct buf *out, const char *line, size_t len, size_t cells)
{
    size_t used = 0, bytes;
    bool styled = false;
    for (size_t i = 0; i < len; i += bytes) {
        size_t style = style_bytes(line + i, len - i);
        bytes = style;
        if (style == 0) {
            visible_decode(line + i, len - i, &bytes);
            used += screen_width(line + i, bytes);
        }
        styled = styled || style > 0;
        if (used > cells)
            break;
        buf_add(out, line + i, bytes);
    }
    if (styled)
        buf_add_str(out, "\x1b[0m");
}

// ------------------------------------------------------------------------------- numbers

void screen_add_count(struct buf *out, const char *digits)
{
    if (!digits) {
        buf_add_char(out, '-');
        return;
    }
    size_t len = strspn(digits, "0123456789");
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buf_add_char(out, ',');
        buf_add_char(out, digits[i]);
    }
    buf_add_str(out, digits + len);
}

void screen_add_money(struct buf *out, const char *usd)
{
    if (!usd)
        buf_add_char(out, '-');
    else
        buf_printf(out, "$%s", usd);
}

void screen_add_duration_ms(struct buf *out, int64_t ms)
{
    int64_t s = (ms + 500) / 1000;
    if (ms < 1000)
        buf_printf(out, "%" PRId64 " ms", ms);
    else if (ms < 60000)
        buf_printf(out, "%.1f s", (double)ms / 1000);
    else if (s < 3600)
        buf_printf(out, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        buf_printf(out, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
}

void screen_add_duration(struct buf *out, const char *ms)
{
    double value = ms ? strtod(ms, NULL) : -1;
    if (value >= 0 && value < 1e15)
        screen_add_duration_ms(out, (int64_t)llround(value));
    else
        buf_add_char(out, '-');
}

void screen_add_bytes(struct buf *out, int64_t bytes)
{
    if (bytes < 1000)
        buf_printf(out, "%" PRId64 " bytes", bytes);
    else if (bytes < 1000000)
        buf_printf(out, "%.1f kB", (double)bytes / 1e3);
    else
        buf_printf(out, "%.1f MB", (double)bytes / 1e6);
}

// ------------------------------------------------------------------------------- progress

void screen_progress(const char *format, ...)
{
    if (!screen_is_terminal(stderr))
        return;
    va_list args;
    va_start(args, format);
    fputs("\r", stderr);
    vfprintf(stderr, format, args);
    fputs("\x1b[K", stderr);
    fflush(stderr);
    va_end(args);
}

void screen_progress_end(void)
{
    if (screen_is_terminal(stderr))
        fputs("\r\x1b[K", stderr);
}
