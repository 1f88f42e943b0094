// SPDX-License-Identifier: Apache-2.0
// Rights of the files that hold secrets.
#include "io/secret_files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "core/config_error.h"

// Can somebody who is neither the owner nor of the group get to it? `path` is absolute; it is cut
// off folder by folder.
static bool reachable(char *path)
{
    struct stat folder;
    for (char *slash = strrchr(path, '/'); slash && slash > path; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (stat(path, &folder) != 0 || !(folder.st_mode & S_IXOTH))
            return false;
    }
    return true;
}

static void check(const char *name, secret_files_tell *tell, void *context)
{
    struct stat stat_of;
    char *path OWN_FREE = realpath(name, NULL);
    if (path == NULL || stat(path, &stat_of) != 0 || !S_ISREG(stat_of.st_mode) ||
        strncmp(name, "/run/secrets/", 13) == 0)
        return;
    char *cut OWN_FREE = own_strdup(path);
    if (!(stat_of.st_mode & (S_IROTH | S_IWOTH)) || !reachable(cut))
        return;
    tell(context, path,
         stat_of.st_mode & S_IWOTH ? "can be changed by every user of this machine"
                                   : "can be read by every user of this machine");
}

static bool holds_secret(const struct config_origin *origin)
{
    const struct config_field *field = origin->field;
    return field->kind == CONFIG_SECRET || field->kind == CONFIG_SECRETS ||
           (field->section == CONFIG_ROOT && strcmp(field->path, "database") == 0);
}

void secret_files_check(const struct config *config, const char *env_file, secret_files_tell *tell,
                        void *context)
{
    if (env_file)
        check(env_file, tell, context);
    for (size_t i = 0; config->origins && i < config->origins->len; i++) {
        const struct config_origin *origin = &config->origins->items[i];
        if (holds_secret(origin) && strncmp(origin->from, "file ", 5) == 0)
            check(origin->from + 5, tell, context);
    }
}
