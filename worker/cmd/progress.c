// SPDX-License-Identifier: Apache-2.0
// A line that is drawn over itself.
#include "cmd/progress.h"

#include <inttypes.h>
#include <time.h>

#include "cmd/screen.h"

#define REDRAW_MS   100
#define SETTLE_MS   1500 // before that a rate says nothing
#define BAR_MOST    30
#define BAR_LEAST   8
#define LEFT_MOST_S (100 * 3600)

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_init(struct progress *progress, const char *unit, int64_t total, int64_t total_bytes,
                   int64_t first)
{
    *progress = (struct progress){.unit = unit,
                                  .total = total,
                                  .total_bytes = total_bytes,
                                  .first = first,
                                  .began_ms = monotonic_ms()};
}

// ------------------------------------------------------------------------------- the line

static void add_count(struct buf *out, int64_t number)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, number);
    screen_add_count(out, digits);
}

static void add_counts(struct buf *out, const struct progress *progress, int64_t done,
                       int64_t done_bytes)
{
    add_count(out, done);
    if (progress->total > 0) {
        buf_add_str(out, " of ");
        add_count(out, progress->total);
    }
    buf_printf(out, " %s", progress->unit);
    if (done_bytes > 0 || progress->total_bytes > 0) {
        buf_add_str(out, ", ");
        screen_add_bytes(out, done_bytes);
    }
    if (progress->total_bytes > 0) {
        buf_add_str(out, " of ");
        screen_add_bytes(out, progress->total_bytes);
    }
}

// By bytes where they are known: documents differ in size by a factor of thousands.
static double share_of(const struct progress *progress, int64_t done, int64_t done_bytes)
{
    double share = progress->total_bytes > 0 ? (double)done_bytes / (double)progress->total_bytes
                   : progress->total > 0     ? (double)done / (double)progress->total
                                             : 0;
    return share > 1 ? 1 : share;
}

static void add_rate(struct buf *out, const struct progress *progress, int64_t done, double share,
                     int64_t elapsed_ms)
{
    int64_t news = done - progress->first;
    if (elapsed_ms < SETTLE_MS || news <= 0)
        return;
    double rate = (double)news * 1000 / (double)elapsed_ms;
    buf_printf(out, rate < 10 ? ", %.1f/s" : ", %.0f/s", rate);
    double began = progress->total > 0 && progress->total_bytes == 0
                       ? (double)progress->first / (double)progress->total
                       : 0;
    if (share <= began || share >= 1)
        return;
    double left_ms = (double)elapsed_ms * (1 - share) / (share - began);
    if (left_ms > (double)LEFT_MOST_S * 1000)
        return;
    int64_t left_s = (int64_t)(left_ms / 1000) + 1;
    buf_add_str(out, ", ");
    if (left_s < 60)
        buf_printf(out, "%" PRId64 " s", left_s); // no tenths: it is a guess
    else
        screen_add_duration_ms(out, left_s * 1000);
    buf_add_str(out, " left");
}

static void add_bar(struct buf *out, double share, int cells)
{
    int full = (int)(share * cells);
    buf_add_char(out, '[');
    for (int i = 0; i < cells; i++)
        buf_add_char(out, i < full ? '#' : '.');
    buf_add_str(out, "] ");
}

void progress_write(struct buf *out, const struct progress *progress, int64_t done,
                    int64_t done_bytes, const char *more, int64_t elapsed_ms, int columns)
{
    struct buf words OWN_BUF;
    buf_init(&words, 0);
    double share = share_of(progress, done, done_bytes);
    add_counts(&words, progress, done, done_bytes);
    add_rate(&words, progress, done, share, elapsed_ms);
    buf_add_str(&words, more);
    // The last column stays free: some terminals go to the next line when it is written.
    int room = columns - 1 - (int)words.len - 3;
    bool known = progress->total > 0 || progress->total_bytes > 0;
    if (known && room >= BAR_LEAST)
        add_bar(out, share, room < BAR_MOST ? room : BAR_MOST);
    size_t most = columns > 1 ? (size_t)columns - 1 : 0;
    buf_add(out, buf_str(&words), words.len < most ? words.len : most);
}

void progress_show(struct progress *progress, int64_t done, int64_t done_bytes, const char *more)
{
    int64_t now_ms = monotonic_ms();
    if (!screen_is_terminal(stderr) || now_ms - progress->drawn_ms < REDRAW_MS)
        return;
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    progress_write(&line, progress, done, done_bytes, more, now_ms - progress->began_ms,
                   (int)screen_columns(stderr));
    progress->drawn_ms = now_ms;
    screen_progress("%s", buf_str(&line));
}
