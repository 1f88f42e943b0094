// SPDX-License-Identifier: Apache-2.0
// The flag that Ctrl-C sets.
#include "cmd/interrupt.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static const char *volatile last_words;

// The first one sets the flag; the second one ends the process as usual.
static void on_signal(int number)
{
    if (came) {
        const char *words = last_words;
        if (words && write(STDOUT_FILENO, words, strlen(words)) < 0)
            words = NULL;
        signal(number, SIG_DFL);
        raise(number);
    }
    came = 1;
}

void interrupt_leave_with(const char *text)
{
    last_words = text;
}

void interrupt_watch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_came(void)
{
    return came != 0;
}

void interrupt_sleep_ms(int64_t ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (!came)
        nanosleep(&rest, NULL);
}
