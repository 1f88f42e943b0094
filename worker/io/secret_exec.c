// SPDX-License-Identifier: Apache-2.0
// One program, its output and its end, within a time limit.
#include "io/secret_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"

#define WORDS_MAX 64
// Its own words may hold secrets, so they are not shown.
#define BY_HAND "Run the command by hand, as the user of precis, to see what it says"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void secret_exec_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++)
        free(argv[i]);
    free(argv);
}

// Copies one word, with its quotes resolved; NULL: a quote is not closed.
static const char *split_word(const char *at, struct buf *word)
{
    while (*at && !strchr(" \t", *at)) {
        if (*at != '\'' && *at != '"') {
            buf_add_char(word, *at++);
            continue;
        }
        const char *end = strchr(at + 1, *at);
        if (end == NULL)
            return NULL;
        buf_add(word, at + 1, (size_t)(end - at - 1));
        at = end + 1;
    }
    return at;
}

char **secret_exec_split(const char *command)
{
    char **argv = own_array(WORDS_MAX + 1, sizeof(char *));
    size_t count = 0;
    const char *at = command + strspn(command, " \t");
    while (at && *at && count < WORDS_MAX) {
        struct buf word OWN_BUF;
        buf_init(&word, 0);
        at = split_word(at, &word);
        if (at) {
            argv[count++] = own_strdup(buf_str(&word));
            at += strspn(at, " \t");
        }
    }
    if (at && *at == '\0' && count > 0)
        return argv;
    secret_exec_free(argv);
    return NULL;
}

// The program as leader of its own process group, with default signals; -1: errno says why.
static pid_t start(char *const *argv, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t pid = -1;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int failed = posix_spawnp(&pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    errno = failed;
    return failed ? -1 : pid;
}

enum read_end { READ_END, READ_LATE, READ_FULL };

// Takes the output until it is closed, the time is over or the cap is reached.
static enum read_end take_output(int fd, int64_t until_ms, struct buf *out)
{
    char piece[4096];
    for (;;) {
        int64_t left = until_ms - now_ms();
        struct pollfd wait = {fd, POLLIN, 0};
        if (left <= 0)
            return READ_LATE;
        int ready = poll(&wait, 1, (int)left);
        if (ready <= 0)
            continue; // a signal, or the time is over
        ssize_t len = read(fd, piece, sizeof(piece));
        if (len < 0 && errno == EINTR)
            continue;
        if (len <= 0)
            return READ_END;
        bool fits = buf_add(out, piece, (size_t)len);
        explicit_bzero(piece, sizeof(piece));
        if (!fits)
            return READ_FULL;
    }
}

// Waits for the end, in steps: a program may close its output and go on. False: still there. The
// process stays a zombie, so that its number, which is also its group's, is nobody else's yet.
static bool wait_end(pid_t pid, int64_t until_ms)
{
    for (;;) {
        siginfo_t info = {0};
        int failed = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
        if (failed == 0 && info.si_pid == pid)
            return true;
        if (now_ms() >= until_ms || (failed != 0 && errno != EINTR))
            return false;
        poll(NULL, 0, 5);
    }
}

// Drops the line ends behind the value; false where it is not one line.
static bool one_line(char *const *argv, struct buf *output, struct buf *why)
{
    while (output->len > 0 &&
           (output->data[output->len - 1] == '\n' || output->data[output->len - 1] == '\r'))
        output->data[--output->len] = '\0';
    if (output->len == 0)
        buf_printf(why, "`%s` of ${exec:…} printed nothing. " BY_HAND, argv[0]);
    else if (memchr(output->data, '\n', output->len))
        buf_printf(why,
                   "`%s` of ${exec:…} printed several lines. Let it print the value alone, in one "
                   "line",
                   argv[0]);
    return why->len == 0;
}

static bool run(char *const *argv, int limit_ms, int fds[2], struct buf *output, struct buf *why)
{
    int64_t until_ms = now_ms() + limit_ms;
    int status = 0;
    pid_t pid = start(argv, fds[1]);
    close(fds[1]);
    if (pid < 0) {
        buf_printf(why, "`%s` of ${exec:…} cannot be started: %s", argv[0], strerror(errno));
        return false;
    }
    enum read_end end = take_output(fds[0], until_ms, output);
    bool ended = end == READ_END && wait_end(pid, until_ms);
    kill(-pid, SIGKILL); // also what it may have left behind in its group
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (end == READ_FULL)
        buf_printf(why, "`%s` of ${exec:…} wrote over %zu bytes", argv[0], output->cap);
    else if (!ended)
        buf_printf(why, "`%s` of ${exec:…} took over %d s and was stopped. " BY_HAND, argv[0],
                   limit_ms / 1000);
    else if (!WIFEXITED(status))
        buf_printf(why, "`%s` of ${exec:…} was ended by a signal", argv[0]);
    else if (WEXITSTATUS(status) != 0)
        buf_printf(why, "`%s` of ${exec:…} ended with status %d. " BY_HAND, argv[0],
                   WEXITSTATUS(status));
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0 && one_line(argv, output, why);
}

bool secret_exec(const char *command, int limit_ms, struct buf *out_output, struct buf *why)
{
    int fds[2];
    char **argv = secret_exec_split(command);
    if (argv == NULL) {
        buf_add_str(why, "${exec:…} needs a program, at most 64 words, and closed quotes");
        return false;
    }
    bool fine = false;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        buf_printf(why, "no pipe for ${exec:…}: %s", strerror(errno));
    } else {
        fine = run(argv, limit_ms, fds, out_output, why);
        close(fds[0]);
    }
    secret_exec_free(argv);
    return fine;
}
