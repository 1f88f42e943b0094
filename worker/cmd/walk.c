// SPDX-License-Identifier: Apache-2.0
// Files of folders.
#include "cmd/walk.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

void walk_add_file(struct walk *walk, const char *path, const char *name, int64_t bytes)
{
    // Room is doubled whenever the count is a power of two.
    if ((walk->count & (walk->count - 1)) == 0)
        walk->files =
            own_grow(walk->files, walk->count ? walk->count * 2 : 1, sizeof(*walk->files));
    walk->files[walk->count++] = (struct walk_file){own_strdup(path), own_strdup(name), bytes};
}

// What stands behind the given folder and its slashes.
static const char *name_of(const FTSENT *entry, const char *given)
{
    if (entry->fts_level == 0)
        return entry->fts_name;
    const char *name = entry->fts_path + strlen(given);
    return name + strspn(name, "/");
}

static void take_link(struct walk *walk, const FTSENT *entry, const char *given)
{
    struct stat at;
    if (stat(entry->fts_accpath, &at) != 0)
        walk->problem(walk->context, entry->fts_path, "the link leads nowhere");
    else if (S_ISREG(at.st_mode))
        walk_add_file(walk, entry->fts_path, name_of(entry, given), at.st_size);
    else
        walk->problem(walk->context, entry->fts_path, "links to folders are not followed");
}

// What nobody put there as a document.
static bool is_left_by_a_system(const char *name)
{
    static const char *const names[] = {"Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX",
                                        "Icon\r"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return name[0] == '.' || strncmp(name, "~$", 2) == 0;
}

static void take_entry(struct walk *walk, FTS *tree, FTSENT *entry, const char *given)
{
    if (entry->fts_level > 0 && is_left_by_a_system(entry->fts_name)) {
        walk->passed_over++;
        fts_set(tree, entry, FTS_SKIP);
        return;
    }
    switch (entry->fts_info) {
    case FTS_F:
        walk_add_file(walk, entry->fts_path, name_of(entry, given), entry->fts_statp->st_size);
        return;
    case FTS_SL:
    case FTS_SLNONE:
        take_link(walk, entry, given);
        return;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        walk->problem(walk->context, entry->fts_path, strerror(entry->fts_errno));
        return;
    case FTS_DC:
    case FTS_DEFAULT:
        walk->problem(walk->context, entry->fts_path, "it is neither a file nor a folder");
        return;
    default:
        return;
    }
}

void walk_add(struct walk *walk, const char *path)
{
    char *given OWN_FREE = own_strdup(path);
    char *const roots[] = {given, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (!tree) {
        walk->problem(walk->context, path, strerror(errno));
        return;
    }
    FTSENT *entry;
    while ((entry = fts_read(tree)))
        if (entry->fts_info != FTS_DP)
            take_entry(walk, tree, entry, given);
    fts_close(tree);
}

void walk_deinit(struct walk *walk)
{
    for (size_t i = 0; i < walk->count; i++) {
        free(walk->files[i].path);
        free(walk->files[i].name);
    }
    free(walk->files);
    walk->files = NULL;
    walk->count = 0;
}
