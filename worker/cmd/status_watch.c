// SPDX-License-Identifier: Apache-2.0
// The loop of --watch.
#include "cmd/status_watch.h"

#include <string.h>
#include <time.h>

#include "cmd/interrupt.h"
#include "cmd/screen.h"

#define ENTER "\x1b[?1049h\x1b[?25l" // the alternate screen, no cursor
#define LEAVE "\x1b[?25h\x1b[?1049l"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void write_all(const struct buf *text)
{
    fwrite(buf_str(text), 1, text->len, stdout);
    fflush(stdout);
}

// The look from the upper left corner on; what stood there before is overwritten line by line.
static void draw(const struct buf *text)
{
    struct buf frame OWN_BUF;
    buf_init(&frame, 0);
    size_t lines = screen_lines(stdout), columns = screen_columns(stdout), line = 1;
    buf_add_str(&frame, "\x1b[H");
    for (const char *at = buf_str(text); *at && line < lines; line++) {
        size_t len = strcspn(at, "\n");
        screen_add_clipped(&frame, at, len, columns);
        buf_add_str(&frame, "\x1b[K\n");
        at += len + (at[len] == '\n');
    }
    buf_add_str(&frame, "\x1b[J");
    write_all(&frame);
}

static void put(const char *control)
{
    fputs(control, stdout);
    fflush(stdout);
}

static int code_of(const struct status_facts *facts)
{
    return facts->failed > 0 ? EXIT_JOBS_FAILED : EXIT_DONE;
}

// The last look stays in `last`.
static int watch(status_look_fn *look, void *context, int64_t interval_ms, struct buf *last)
{
    bool terminal = screen_is_terminal(stdout);
    for (;;) {
        struct status_facts facts;
        int64_t begun = now_ms();
        buf_clear(last);
        if (!look(context, terminal ? stdout : NULL, last, &facts))
            return EXIT_FAILED;
        if (terminal)
            draw(last);
        else
            write_all(last);
        if (facts.ended)
            return code_of(&facts);
        int64_t took = now_ms() - begun;
        interrupt_sleep_ms(4 * took > interval_ms ? 4 * took : interval_ms);
        if (interrupt_came())
            return EXIT_INTERRUPTED;
    }
}

int status_watch(status_look_fn *look, void *context, int64_t interval_ms)
{
    struct buf last OWN_BUF;
    buf_init(&last, 0);
    bool terminal = screen_is_terminal(stdout);
    interrupt_watch();
    if (terminal) {
        interrupt_leave_with(LEAVE);
        put(ENTER);
    }
    int code = watch(look, context, interval_ms, &last);
    if (terminal) {
        put(LEAVE);
        interrupt_leave_with(NULL);
    }
    struct status_facts facts;
    if (terminal && code == EXIT_FAILED) // what was said of it went with the alternate screen
        look(context, stdout, &last, &facts);
    else if (terminal)
        write_all(&last);
    return code;
}
