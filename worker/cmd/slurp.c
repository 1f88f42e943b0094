// SPDX-License-Identifier: Apache-2.0
// Whole files.
#include "cmd/slurp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool slurp_file(struct buf *out, const char *path, char *problem, size_t problem_bytes)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(problem, problem_bytes, "%s", strerror(errno));
        return false;
    }
    char piece[65536];
    size_t len;
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0 && buf_add(out, piece, len))
        ;
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed)
        snprintf(problem, problem_bytes, "%s", strerror(failed));
    else if (out->overflow)
        snprintf(problem, problem_bytes, "it has more than %zu bytes", out->cap);
    return !failed && !out->overflow;
}
