// SPDX-License-Identifier: Apache-2.0
// A program between two pipes.
//
// SIGTERM (the worker has died, see extract_child.c) is let in only while we wait, so that the
// private directory is removed before we end. Between us and the program stands a keeper, which
// waits for it and tells how it ended: where we have left our PID namespace, the keeper is the
// first process of the new one, and when it ends, so does all that the program has started. (The
// program itself should not be that process: signals mean something else there.)
#include "io/extract_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "io/extract_kind.h"
#include "io/extract_scratch.h"

#define PATH_BYTES 4200

// ------------------------------------------------------------------------------- words

// The word with each {in} replaced.
static char *expand(const char *word, const char *file)
{
    struct buf out;
    buf_init(&out, 0);
    for (const char *at; (at = strstr(word, "{in}")) != NULL; word = at + 4) {
        buf_add(&out, word, (size_t)(at - word));
        buf_add_str(&out, file);
    }
    buf_add_str(&out, word);
    return buf_take(&out);
}

static char **expand_all(char *const *argv, const char *file)
{
    size_t count = 0;
    while (argv[count])
        count++;
    char **words = own_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        words[i] = expand(argv[i], file);
    return words;
}

static void words_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

// ------------------------------------------------------------------------------- the process

struct process {
    pid_t pid;
    int output, complaints; // to read from
    int news;               // to read struct news from
};

// What the keeper and, where it could not become the program, the process tell.
struct news {
    bool exec; // value is errno of exec; else the status of waitpid
    int value;
};

static void tell(int to, bool exec, int value)
{
    struct news news;
    memset(&news, 0, sizeof(news)); // padding goes through the pipe, too
    news.exec = exec;
    news.value = value;
    ssize_t done = write(to, &news, sizeof(news));
    (void)done; // who does not hear it takes it that we were killed
}

// In the new process; ends as the program, or tells errno.
static _Noreturn void become(char *const *words, const char *scratch, const int ends[3])
{
    sigset_t none;
    sigemptyset(&none);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in >= 0 && dup2(in, 0) == 0 && dup2(ends[0], 1) == 1 && dup2(ends[1], 2) == 2 &&
        setenv("HOME", scratch, 1) == 0 && setenv("TMPDIR", scratch, 1) == 0 && chdir(scratch) == 0)
        execvp(words[0], words);
    tell(ends[2], true, errno);
    _exit(127);
}

static _Noreturn void keep(char *const *words, const char *scratch, const int ends[3])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid_t pid = fork(), done = -1;
    int status = 0;
    if (pid == 0)
        become(words, scratch, ends);
    if (pid < 0) {
        tell(ends[2], true, errno);
        _exit(1);
    }
    close(ends[0]); // the program's alone
    close(ends[1]);
    while (done != pid) { // others are orphans that were left to us
        done = waitpid(-1, &status, 0);
        if (done < 0 && errno != EINTR)
            _exit(1);
    }
    tell(ends[2], false, status);
    _exit(0);
}

static void close_pair(const int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static bool start(char *const *words, const char *scratch, struct process *out)
{
    int output[2] = {-1, -1}, complaints[2] = {-1, -1}, news[2] = {-1, -1};
    pid_t pid = -1;
    if (pipe2(output, O_CLOEXEC) == 0 && pipe2(complaints, O_CLOEXEC) == 0 &&
        pipe2(news, O_CLOEXEC) == 0)
        pid = fork();
    if (pid == 0)
        keep(words, scratch, (const int[]){output[1], complaints[1], news[1]});
    int error = errno;
    if (pid < 0) {
        close_pair(output);
        close_pair(complaints);
        close_pair(news);
        errno = error;
        return false;
    }
    close(output[1]);
    close(complaints[1]);
    close(news[1]);
    *out = (struct process){pid, output[0], complaints[0], news[0]};
    return true;
}

// What is left of complaints past the cap is thrown away.
static bool take(int fd, struct buf *out, bool *out_over)
{
    char piece[65536];
    ssize_t len = read(fd, piece, sizeof(piece));
    if (len < 0 && errno == EINTR)
        return true;
    if (len <= 0)
        return false;
    size_t room = out->cap - out->len, fits = (size_t)len < room ? (size_t)len : room;
    buf_add(out, piece, fits);
    if (fits < (size_t)len && out_over)
        *out_over = true;
    return true;
}

static volatile sig_atomic_t *told_to_end(void)
{
    static volatile sig_atomic_t told;
    return &told;
}

static void on_term(int number)
{
    (void)number;
    *told_to_end() = 1;
}

// Until the program has closed both or ended, has written too much, or we shall end. What it has
// started and left behind may hold both open: what was written before its end is there by then.
static void listen_to(const struct process *process, struct run_end *end)
{
    struct pollfd fds[3] = {{process->output, POLLIN, 0},
                            {process->complaints, POLLIN, 0},
                            {pidfd_open(process->pid, 0), POLLIN, 0}};
    int ended = fds[2].fd;
    sigset_t open_mask;
    sigemptyset(&open_mask);
    while (!end->over && (fds[0].fd >= 0 || fds[1].fd >= 0) && !*told_to_end()) {
        if (ppoll(fds, 3, NULL, &open_mask) < 0)
            continue; // a signal
        if (fds[2].revents && !fds[0].revents && !fds[1].revents)
            break;
        if (fds[0].revents && !take(fds[0].fd, &end->output, &end->over))
            fds[0].fd = -1;
        if (fds[1].revents && !take(fds[1].fd, &end->complaints, NULL))
            fds[1].fd = -1;
    }
    if (ended >= 0)
        close(ended);
}

// Once the keeper has ended, all that was told is in the pipe.
static void take_news(const struct process *process, struct run_end *end)
{
    struct news news;
    while (read(process->news, &news, sizeof(news)) == (ssize_t)sizeof(news)) {
        if (news.exec)
            end->exec_error = news.value;
        else
            end->status = news.value;
    }
}

static void run_process(struct process *process, struct run_end *end)
{
    listen_to(process, end);
    if (end->over || *told_to_end())
        kill(process->pid, SIGKILL);
    while (waitpid(process->pid, &end->status, 0) < 0 && errno == EINTR)
        ;
    fcntl(process->news, F_SETFL, O_NONBLOCK); // what the program left behind may hold it open
    take_news(process, end);
    close(process->output);
    close(process->complaints);
    close(process->news);
}

bool extract_run(const struct extract_ask *ask, const struct run *run, struct run_end *end)
{
    char file[PATH_BYTES], suffix[16];
    struct process process;
    struct sigaction action = {.sa_handler = on_term}, before;
    sigset_t term, mask;
    extract_suffix(run->media_type, suffix, sizeof(suffix));
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &mask);
    sigaction(SIGTERM, &action, &before);
    bool fine = scratch_make(ask->scratch, suffix, run->bytes, run->len, file, sizeof(file));
    if (fine) {
        char **words = expand_all(run->argv, file);
        fine = start(words, ask->scratch, &process);
        words_free(words);
        if (fine)
            run_process(&process, end);
        int error = errno;
        scratch_remove(ask->scratch);
        errno = error;
    }
    sigaction(SIGTERM, &before, NULL);
    if (*told_to_end())
        _exit(1);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return fine;
}
