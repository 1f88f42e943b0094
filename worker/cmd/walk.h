// SPDX-License-Identifier: Apache-2.0
// The files that a user names: files as they are, folders with everything below them, in the byte
// order of their names. Hidden ones (a name that begins with a dot) are passed over in folders;
// links to files are followed, links to folders are not.
#ifndef PRECIS_CMD_WALK_H
#define PRECIS_CMD_WALK_H

#include <stddef.h>

struct walk_file {
    char *path; // to open it
    char *name; // relative to the folder that was given; of a file its last part
};

struct walk {
    struct walk_file *files;
    size_t count;
    // Called for what cannot be read; may be called during walk_add only.
    void (*problem)(void *context, const char *path, const char *why);
    void *context;
};

// Appends what `path` stands for.
void walk_add(struct walk *walk, const char *path);
void walk_deinit(struct walk *walk);

#endif
