// SPDX-License-Identifier: Apache-2.0
// The rows of config.def at run time: which keys there are, where each one's value goes, and which
// known name is nearest to a misspelt one.
#ifndef PRECIS_CORE_CONFIG_TABLE_H
#define PRECIS_CORE_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum config_section {
    CONFIG_ROOT,
    CONFIG_KAFKA,
    CONFIG_HTTP,
    CONFIG_LOG,
    CONFIG_WORKER,
    CONFIG_DOCUMENTS,
    CONFIG_PACKING,
    CONFIG_RETRY,
    CONFIG_RETENTION,
    CONFIG_PROVIDER,
    CONFIG_MODEL,
    CONFIG_AGENT,
    CONFIG_TOOL,
    CONFIG_TENANT,
    CONFIG_RULE,
    CONFIG_SECTION_COUNT,
    CONFIG_KEY = CONFIG_SECTION_COUNT // in a provider, not at the root
};

enum config_kind {
    CONFIG_TEXT,
    CONFIG_WORD,
    CONFIG_DECIMAL,
    CONFIG_DATE,
    CONFIG_JSON,
    CONFIG_SECRET,
    CONFIG_INTEGER,
    CONFIG_DURATION,
    CONFIG_SIZE,
    CONFIG_FLAG,
    CONFIG_LIST,
    CONFIG_SECRETS,
    CONFIG_PAIRS,
    CONFIG_COMMANDS,
    CONFIG_KEYS,
    CONFIG_LEVEL,
    CONFIG_ANSWER,
    CONFIG_LIMIT_FIELD,
    CONFIG_REASONING,
    CONFIG_LATER,
};

enum config_flag {
    CONFIG_NEEDED = 1,
    CONFIG_FOREVER = 2,
    CONFIG_NONE = 4,
};

struct config_field {
    enum config_section section;
    enum config_kind kind;
    size_t offset; // in the section's struct
    const char *path;
    const char *preset; // the default as text, NULL for none
    int64_t min, max;
    const char *unit; // choices of words and enums: "a|b|c*"
    unsigned flags;
    const char *help;
};

struct config_section_info {
    const char *key; // in the file; "" for the root
    bool many;       // a map of named entries, an array in struct config
    size_t offset;   // of the struct, or of the pointer to the array
    size_t count_offset;
    size_t size; // of one struct
    const char *help;
};

const struct config_section_info *config_section_info(enum config_section section);
// The section's rows, in the order of config.def.
const struct config_field *config_fields(enum config_section section, size_t *out_count);
// The row with this path, or NULL.
const struct config_field *config_field_find(enum config_section section, const char *path);
// Whether the path is a mapping that holds rows ("limits"), without being one itself.
bool config_is_group(enum config_section section, const char *path);
// What a twin stands for ("qpm" in "limits" for "rpm"); NULL where the key is none.
const char *config_twin(enum config_section section, const char *parent, const char *key);
// The nth twin of the section; false past the last.
bool config_twin_nth(enum config_section section, size_t nth, const char **out_parent,
                     const char **out_key, const char **out_real);

// The nth distinct key that may stand in the mapping at `parent` ("" for the section itself; of the
// root also the names of the sections), into `out`; false past the last.
bool config_key_nth(enum config_section section, const char *parent, size_t nth, struct buf *out);
// The nearest of those keys, with twins: true and the key in `out` where one is near enough to be a
// slip of the pen.
bool config_key_nearest(enum config_section section, const char *parent, const char *key,
                        struct buf *out);
// The rule of nearness: at most a third of the longer one's bytes differ (Levenshtein, a swap of
// neighbours counts as one). The distance, or -1 where it is farther, or over 64 bytes long.
int config_distance(const char *a, const char *b);

// The member of an object that the row describes.
void *config_member(void *object, const struct config_field *field);
const void *config_member_const(const void *object, const struct config_field *field);

// The nth choice of "a|b|c*", its length in *out_len; NULL past the last. A later one ends before
// its star, and *out_later is set.
const char *config_choice(const char *choices, size_t nth, size_t *out_len, bool *out_later);

#endif
