// SPDX-License-Identifier: Apache-2.0
// The files that a user names: files as they are, folders with everything below them, in the byte
// order of their names. In folders are passed over and counted: hidden ones (a name that begins
// with a dot) and what systems and office programs leave (Thumbs.db, desktop.ini, __MACOSX, the
// ~$… beside an open document). Links to files are followed, links to folders are not.
#ifndef PRECIS_CMD_WALK_H
#define PRECIS_CMD_WALK_H

#include <stddef.h>
#include <stdint.h>

struct walk_file {
    char *path; // to open it
    char *name; // relative to the folder that was given; of a file its last part
    int64_t bytes;
};

struct walk {
    struct walk_file *files;
    size_t count;
    size_t passed_over; // a folder counts as one
    // Called for what cannot be read; may be called during walk_add only.
    void (*problem)(void *context, const char *path, const char *why);
    void *context;
};

// Appends what `path` stands for.
void walk_add(struct walk *walk, const char *path);
// Appends a file that is not looked for.
void walk_add_file(struct walk *walk, const char *path, const char *name, int64_t bytes);
void walk_deinit(struct walk *walk);

#endif
