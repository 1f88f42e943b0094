// SPDX-License-Identifier: Apache-2.0
// Templates: what a kind of document is to be asked, as a YAML file with a name and a version.
//
// A template is parameters of a job and nothing else: `precis submit` writes them into each
// message, so that workers need no file and a job means the same wherever it runs. Its label
// ("contract@1") goes along and stands in prompt_version. The built-in ones are the files of this
// folder, embedded at build; a user's own has the same form.
//
// A mistake has its line and column, and the nearest name where one was perhaps meant. Values are
// checked by the workers' own rules (job/fields.h), the schema by core/json_schema.h.
#ifndef PRECIS_TEMPLATES_TEMPLATE_H
#define PRECIS_TEMPLATES_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "core/config_error.h"

#define TEMPLATE_FILE_MAX_BYTES ((size_t)256 * 1024)
#define TEMPLATE_NAME_BYTES     100

// A built-in one.
struct template_file {
    const char *name;
    const char *text; // YAML, ended by a NUL that len does not count
    size_t len;
};
extern const struct template_file template_files[];
extern const size_t template_file_count;

struct job_template {
    char *name, *version; // without a version: the first 8 digits of the text's SHA-256
    char *label;          // "name@version"
    char *description;    // "" where there is none
    json_t *summarize;    // members of a message's `summarize`, `template` among them
};

// The YAML text behind a built-in template's name, or behind the path of a file: what has a slash
// in it or ends in .yaml or .yml. False: a mistake was added.
bool template_text(struct buf *out, const char *name_or_path, struct config_errors *errors);
// Reads such a text; `file` is how mistakes call it. False: mistakes were added, and `out` is
// empty. The caller clears `out` with template_deinit.
bool template_read(struct job_template *out, const char *file, const struct buf *text,
                   struct config_errors *errors);
// Both in one.
bool template_load(struct job_template *out, const char *name_or_path,
                   struct config_errors *errors);
void template_deinit(struct job_template *template);
// Whether a provider can be held to the answer's form: its schema, with the quotes that are asked
// for, keeps to what strict structured outputs accept. True too where it has none of its own.
bool template_is_strict(const struct job_template *template);

#endif
