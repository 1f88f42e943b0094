// SPDX-License-Identifier: Apache-2.0
// The table of message fields (job_fields.def) as data: what the decoder walks, what schemas and
// documentation are made from.
#ifndef PRECIS_CORE_JOB_FIELDS_H
#define PRECIS_CORE_JOB_FIELDS_H

#include <stddef.h>
#include <stdint.h>

enum field_set {
    FIELD_SET_JOB,
    FIELD_SET_SEAL,
    FIELD_SET_DOCUMENT,
    FIELD_SET_SUMMARIZE,
    FIELD_SET_KEY_POINTS,
    FIELD_SET_AFTER,
    FIELD_SET_COUNT
};

enum field_type {
    FIELD_NAME,
    FIELD_TAG,
    FIELD_TEXT,
    FIELD_STRING,
    FIELD_SHA256,
    FIELD_INTEGER,
    FIELD_SMALL,
    FIELD_NUMBER,
    FIELD_BOOL,
    FIELD_CHOICE,
    FIELD_FLAG,
    FIELD_TIME,
    FIELD_MONEY,
    FIELD_LABELS,
    FIELD_SCHEMA,
    FIELD_MEMBERS,
    FIELD_URL,
    FIELD_LATER
};

// The default of a field that must be there; no JSON, so that it cannot be a default.
#define FIELD_REQUIRED "!"
// The place of a field that struct job_spec has no member for.
#define FIELD_NOWHERE     SIZE_MAX
#define LABEL_NAME_CHARS  100
#define LABEL_VALUE_CHARS 1000

struct field {
    enum field_set set;
    const char *name;
    enum field_type type;
    size_t place; // offset in struct job_spec, or FIELD_NOWHERE
    int64_t low, high;
    const char *fallback; // JSON, FIELD_REQUIRED, or NULL
    const char *words;    // of CHOICE and FLAG, with a space between
    const char *help;
};

// Row `index`, in the table's order; NULL past the end.
const struct field *job_field_at(size_t index);
// NULL: no such field in the set.
const struct field *job_field_find(enum field_set set, const char *name);
// The field that a person most likely meant by an unknown `name` in `set`: one of the same set with
// a similar name, else one of another set with this very name. NULL: none.
const struct field *job_field_guess(enum field_set set, const char *name);
// What stands before the names of the set in a message: "", "summarize.", "summarize.key_points.".
const char *job_field_path(enum field_set set);
// The number of the word (0..) among `words`; -1 where it is none of them.
int job_field_word(const char *words, const char *word);

#endif
