// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of a directory, once each.
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

#include "base/buf.h"

static bool read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    char block[4096];
    size_t got;
    while ((got = fread(block, 1, sizeof(block), file)) > 0)
        buf_add(out, block, got);
    fclose(file);
    return true;
}

static bool replay(const char *directory, const char *name)
{
    struct buf path OWN_BUF, content OWN_BUF;
    buf_init(&path, 0);
    buf_init(&content, 0);
    buf_printf(&path, "%s/%s", directory, name);
    if (!read_file(buf_str(&path), &content))
        return false;
    // An exact copy, so that a read past the end is seen.
    uint8_t *copy = malloc(content.len ? content.len : 1);
    if (!copy)
        return false;
    memcpy(copy, buf_str(&content), content.len);
    LLVMFuzzerTestOneInput(copy, content.len);
    free(copy);
    return true;
}

int main(int argc, char **argv)
{
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    if (!directory) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    size_t replayed = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            replayed += replay(argv[1], entry->d_name);
    closedir(directory);
    printf("%zu inputs\n", replayed);
    return replayed ? 0 : 1;
}
