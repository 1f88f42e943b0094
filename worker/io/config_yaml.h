// SPDX-License-Identifier: Apache-2.0
// Reads precis.yaml: the file, its expansions, every mistake in it with file, line and column.
#ifndef PRECIS_IO_CONFIG_YAML_H
#define PRECIS_IO_CONFIG_YAML_H

#include <stddef.h>

#include "core/config.h"
#include "core/config_error.h"
#include "io/secrets.h"

#define CONFIG_FILE_MAX_BYTES 1000000

struct config_source {
    const char *path;        // --config; NULL: $PRECIS_CONFIG, ./precis.yaml,
                             // /etc/precis/precis.yaml
    const char *env_file;    // --env-file; NULL: none
    const char *text;        // instead of a file's content (path is then only its name); NULL: read
    struct secrets *secrets; // kept over reloads, so that ${env:} keeps its first value; NULL: a
                             // fresh one for this load
};

// The checked configuration, or NULL with at least one mistake in `out_errors` (which begins zeroed
// and is the caller's to deinit). Reads files and runs ${exec:…} programs: it may block.
struct config *config_load(const struct config_source *source, struct config_errors *out_errors);

// The file that config_load would read, heap; NULL where there is none.
char *config_find_file(const char *option);

#endif
