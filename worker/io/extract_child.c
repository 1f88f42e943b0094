// SPDX-License-Identifier: Apache-2.0
// The process around one document: its limits, its walls, one question in and one answer out.
//
// The worker starts us as the leader of a session of our own, so that one kill reaches everything
// that we start. On top of that:
// - If the worker dies, so do we (SIGTERM by PR_SET_PDEATHSIG).
// - Nothing can be gained by exec (no_new_privs), nothing is dumped, and when memory is short the
//   kernel takes us before the worker.
// - CPU time, address space and the size of files are limited, for us and for what we start.
// - Once the bytes are here we need no network: we leave it by a user and network namespace of our
//   own, with a PID namespace that ends with its first process. Where the machine refuses
//   namespaces (some containers do), we go on without.
#include "io/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/extract_frame.h"
#include "io/extract_url.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static void close_other_files(void)
{
    if (close_range(3, ~0U, 0) == 0)
        return;
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
}

static void prefer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t done = write(fd, "1000", 4);
    (void)done; // without it the worker is as likely a victim as we are, no more
    close(fd);
}

static void limit(__rlimit_resource_t resource, rlim_t most)
{
    struct rlimit old, wanted = {most, most};
    if (getrlimit(resource, &old) == 0 && old.rlim_max != RLIM_INFINITY && old.rlim_max < most)
        wanted = (struct rlimit){old.rlim_max, old.rlim_max};
    setrlimit(resource, &wanted);
}

static void limit_by(const struct extract_ask *ask)
{
    limit(RLIMIT_CPU, (rlim_t)(ask->timeout_ms / 1000 + 1));
    limit(RLIMIT_FSIZE, (rlim_t)ask->memory_bytes);
#ifndef SANITIZED // whose shadow memory is terabytes
    limit(RLIMIT_AS, (rlim_t)ask->memory_bytes);
#endif
}

static void sandbox_enter(void)
{
    static const int ways[] = {
#ifndef SANITIZED // whose leak checker is a thread that must see us
        CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC,
        CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC,
#endif
        CLONE_NEWUSER | CLONE_NEWNET,
        CLONE_NEWNET,
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (unshare(ways[i]) == 0)
            return;
}

static void prepare(void)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    signal(SIGPIPE, SIG_DFL); // the worker has let go of us
    signal(SIGTERM, SIG_DFL);
    limit(RLIMIT_CORE, 0);
    close_other_files();
    prefer_for_oom();
}

// All that comes, up to its end.
static bool read_all(int fd, struct buf *out)
{
    char piece[65536];
    for (;;) {
        ssize_t len = read(fd, piece, sizeof(piece));
        if (len < 0 && errno == EINTR)
            continue;
        if (len <= 0)
            return len == 0;
        if (!buf_add(out, piece, (size_t)len))
            return false;
    }
}

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, bytes, len);
        if (done < 0 && errno != EINTR)
            return false;
        bytes += done > 0 ? done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

// The document of a URL, with what its place says about it.
static void answer_url(const struct extract_ask *ask, struct extract_answer *answer)
{
    struct fetched fetched;
    fetched_init(&fetched, (size_t)ask->max_bytes);
    if (url_fetch(ask, &fetched, answer)) {
        struct extract_ask told = *ask;
        told.name = ask->name ? ask->name : fetched.name;
        told.media_type = ask->media_type ? ask->media_type : fetched.media_type;
        sandbox_enter();
        extract_document(&told, buf_str(&fetched.bytes), fetched.bytes.len, answer);
    }
    fetched_deinit(&fetched);
}

static int answer_ask(const struct extract_ask *ask, const struct frame *frame, int out)
{
    struct extract_answer answer;
    struct buf reply OWN_BUF;
    buf_init(&reply, 0);
    limit_by(ask);
    extract_answer_init(&answer, (size_t)ask->max_text_bytes);
    if (ask->url) {
        answer_url(ask, &answer);
    } else {
        sandbox_enter();
        extract_document(ask, frame->body, frame->body_len, &answer);
    }
    frame_add_answer(&reply, &answer);
    extract_answer_deinit(&answer);
    return write_all(out, buf_str(&reply), reply.len) ? 0 : 1;
}

int extract_child(int in, int out)
{
    struct buf question OWN_BUF;
    struct extract_ask ask = {0};
    struct frame frame;
    prepare();
    buf_init(&question, 0);
    if (!read_all(in, &question) || question.len == 0 ||
        frame_read(buf_str(&question), question.len, SIZE_MAX - FRAME_HEAD_BYTES, &frame) !=
            FRAME_WHOLE)
        return 2;
    int code = frame_parse_ask(&frame, &ask) ? answer_ask(&ask, &frame, out) : 2;
    extract_ask_deinit(&ask);
    return code;
}
