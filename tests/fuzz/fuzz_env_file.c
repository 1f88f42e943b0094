// SPDX-License-Identifier: Apache-2.0
// An --env-file: names and values, or the line of a mistake that quotes none of them.
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/secrets.h"

static void check(const char *path, bool has_secret)
{
    struct secrets *secrets = secrets_new();
    struct expansion value;
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    if (!secrets_read_env_file(secrets, path, &why))
        FUZZ_CHECK(strncmp(buf_str(&why), path, strlen(path)) == 0 &&
                   !(has_secret && strstr(buf_str(&why), "topsecret")));
    else if (secrets_expand(secrets, "<${env:FUZZ_A:-none}${env:FUZZ_B:-}>", &value, &why))
        expansion_deinit(&value);
    secrets_free(secrets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char path[40];
    int fd = memfd_create("env", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    check(path, memmem(data, len, "topsecret", 9) != NULL);
    close(fd);
    return 0;
}
