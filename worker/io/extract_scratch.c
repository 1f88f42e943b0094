// SPDX-License-Identifier: Apache-2.0
// A directory that comes and goes.
#include "io/extract_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIRECTORIES 16

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

bool scratch_make(const char *directory, const char *suffix, const void *bytes, size_t len,
                  char *out_file, size_t out_bytes)
{
    if (mkdir(directory, 0700) != 0)
        return false;
    snprintf(out_file, out_bytes, "%s/document%s", directory, suffix);
    int fd = open(out_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool fine = fd >= 0 && write_all(fd, bytes, len);
    int error = errno;
    if (fd >= 0 && close(fd) != 0 && fine) {
        error = errno;
        fine = false;
    }
    if (!fine)
        scratch_remove(directory);
    errno = error;
    return fine;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    remove(path);
    return 0;
}

void scratch_remove(const char *directory)
{
    if (rmdir(directory) == 0 || errno == ENOENT)
        return;
    nftw(directory, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
