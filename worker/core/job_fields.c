// SPDX-License-Identifier: Apache-2.0
// The table of message fields and the look-ups in it.
#include "core/job_fields.h"

#include <stdbool.h>
#include <string.h>

#include "base/check.h"
#include "core/spec.h"
#include "core/text.h"

#define NOWHERE    FIELD_NOWHERE
#define REQUIRED   FIELD_REQUIRED
#define IN(member) offsetof(struct job_spec, member)

static const struct field rows[] = {
#define FIELD(set, name, type, place, low, high, fallback, words, help)                            \
    {FIELD_SET_##set, name, FIELD_##type, place, low, high, fallback, words, help},
#include "core/job_fields.def"
#undef FIELD
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

const struct field *job_field_at(size_t index)
{
    return index < ROW_COUNT ? &rows[index] : NULL;
}

const struct field *job_field_find(enum field_set set, const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].set == set && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

const struct field *job_field_guess(enum field_set set, const char *name)
{
    const char *names[ROW_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (rows[i].set == set && rows[i].type != FIELD_LATER)
            names[count++] = rows[i].name;
    const char *nearest = text_nearest(name, names, count);
    if (nearest)
        return job_field_find(set, nearest);
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcmp(job_field_path(rows[i].set), job_field_path(set)) != 0 &&
            strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

const char *job_field_path(enum field_set set)
{
    static const char *const paths[FIELD_SET_COUNT] = {
        [FIELD_SET_JOB] = "",
        [FIELD_SET_SEAL] = "",
        [FIELD_SET_DOCUMENT] = "document.",
        [FIELD_SET_SUMMARIZE] = "summarize.",
        [FIELD_SET_KEY_POINTS] = "summarize.key_points.",
        [FIELD_SET_AFTER] = "after.",
    };
    CHECK(set < FIELD_SET_COUNT);
    return paths[set];
}

int job_field_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    if (len == 0 || strchr(word, ' '))
        return -1;
    for (int number = 0; *words; number++) {
        size_t of_words = strcspn(words, " ");
        if (of_words == len && memcmp(words, word, len) == 0)
            return number;
        words += of_words + (words[of_words] == ' ');
    }
    return -1;
}
