// SPDX-License-Identifier: Apache-2.0
// URLs of documents: the scheme decides; file: is read here.
#include "io/extract_url.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

void fetched_init(struct fetched *fetched, size_t max_bytes)
{
    *fetched = (struct fetched){0};
    buf_init(&fetched->bytes, max_bytes);
}

void fetched_deinit(struct fetched *fetched)
{
    buf_deinit(&fetched->bytes);
    free(fetched->media_type);
    free(fetched->name);
}

// ------------------------------------------------------------------------------- file:

static bool refuse_file(struct extract_answer *answer)
{
    return extract_fail(answer, ERR_FORBIDDEN_URL,
                        "Name the folder of such files under documents.allow in the workers' "
                        "configuration, or send the file with `precis submit`.",
                        "The document's file: URL does not lead to a file below documents.allow");
}

// Is the path, free of links, one of the allowed folders or below it?
static bool is_below(char *const *folders, const char *path)
{
    char real[PATH_MAX];
    for (; folders && *folders; folders++) {
        if (!realpath(*folders, real))
            continue;
        size_t len = strlen(real);
        bool root = len == 1;
        if (strncmp(path, real, len) == 0 && (root || path[len] == '/' || path[len] == '\0'))
            return true;
    }
    return false;
}

// Where the handle really leads; false: the machine does not tell.
static bool path_of(int fd, char *out, size_t out_bytes)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, out, out_bytes - 1);
    if (len <= 0 || (size_t)len == out_bytes - 1)
        return false;
    out[len] = '\0';
    return out[0] == '/';
}

// A handle to read from what `fd` (O_PATH) stands for.
static int reopen(int fd)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static bool fail_large(const struct extract_ask *ask, struct extract_answer *answer)
{
    return extract_fail(answer, ERR_TOO_LARGE, NULL,
                        "The document has more than %lld bytes (documents.max_bytes)",
                        (long long)ask->max_bytes);
}

static bool read_file(const struct extract_ask *ask, int fd, struct fetched *out,
                      struct extract_answer *answer)
{
    char piece[65536];
    ssize_t len;
    while ((len = read(fd, piece, sizeof(piece))) > 0 || (len < 0 && errno == EINTR))
        if (len > 0 && !buf_add(&out->bytes, piece, (size_t)len))
            return fail_large(ask, answer);
    if (len < 0)
        return extract_fail(answer, ERR_UNREADABLE, "Look at the file and its folder.",
                            "The document's file cannot be read: %s", strerror(errno));
    return true;
}

static bool read_found(const struct extract_ask *ask, int found, struct fetched *out,
                       struct extract_answer *answer)
{
    struct stat about;
    char path[PATH_MAX];
    if (!path_of(found, path, sizeof(path)) || !is_below(ask->allow, path) ||
        fstat(found, &about) != 0 || !S_ISREG(about.st_mode))
        return refuse_file(answer);
    if (about.st_size > ask->max_bytes)
        return fail_large(ask, answer);
    int fd = reopen(found);
    if (fd < 0)
        return extract_fail(answer, ERR_UNREADABLE, "Let the workers' user read it.",
                            "The document's file cannot be opened: %s", strerror(errno));
    bool fine = read_file(ask, fd, out, answer);
    close(fd);
    return fine;
}

// Where the folder that the path names lies below an allowed one, it may be told that there is no
// such file.
static bool fail_missing(const struct extract_ask *ask, const char *path,
                         struct extract_answer *answer)
{
    int error = errno;
    char real[PATH_MAX];
    OWN_FREE char *folder = own_strdup(path);
    *strrchr(folder, '/') = '\0';
    if (!realpath(folder[0] ? folder : "/", real) || !is_below(ask->allow, real))
        return refuse_file(answer);
    return extract_fail(answer, ERR_UNREADABLE,
                        "Look whether the file is there, on the workers' machine, and whether "
                        "their user may read it.",
                        "The document's file cannot be opened: %s", strerror(error));
}

bool file_fetch(const struct extract_ask *ask, const char *path, struct fetched *out,
                struct extract_answer *answer)
{
    if (path[0] != '/')
        return refuse_file(answer);
    int found = open(path, O_PATH | O_CLOEXEC);
    if (found < 0)
        return fail_missing(ask, path, answer);
    bool fine = read_found(ask, found, out, answer);
    close(found);
    const char *slash = strrchr(path, '/');
    out->name = own_strdup(slash + 1);
    return fine;
}

// ------------------------------------------------------------------------------- URLs

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The path with %XX decoded; NULL: a bad escape, or NUL.
static char *decoded_path(const char *path)
{
    struct buf out;
    buf_init(&out, 0);
    for (; *path && *path != '?' && *path != '#'; path++) {
        int high = *path == '%' ? hex_of(path[1]) : -1, low = high < 0 ? -1 : hex_of(path[2]);
        if (*path == '%' && (low < 0 || high * 16 + low == 0)) {
            buf_deinit(&out);
            return NULL;
        }
        buf_add_char(&out, *path == '%' ? (char)(high * 16 + low) : *path);
        path += *path == '%' ? 2 : 0;
    }
    buf_add_str(&out, "");
    return buf_take(&out);
}

static bool fetch_file_url(const struct extract_ask *ask, const char *rest, struct fetched *out,
                           struct extract_answer *answer)
{
    if (strncmp(rest, "//", 2) == 0) {
        rest += 2;
        if (strncasecmp(rest, "localhost/", 10) == 0)
            rest += 9;
        if (rest[0] != '/')
            return refuse_file(answer); // another machine's file
    }
    OWN_FREE char *path = decoded_path(rest);
    return path ? file_fetch(ask, path, out, answer) : refuse_file(answer);
}

bool url_fetch(const struct extract_ask *ask, struct fetched *out, struct extract_answer *answer)
{
    if (strncasecmp(ask->url, "file:", 5) == 0)
        return fetch_file_url(ask, ask->url + 5, out, answer);
    if (strncasecmp(ask->url, "https:", 6) == 0)
        return https_fetch(ask, out, answer);
    return extract_fail(answer, ERR_FORBIDDEN_URL,
                        "Use file: (below documents.allow), https: (from documents.hosts), or send "
                        "the document with `precis submit`.",
                        "The document's URL has a scheme that is not read");
}
