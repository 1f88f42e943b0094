// SPDX-License-Identifier: Apache-2.0
// Names and numbers of rate headers.
#include "core/rate_words.h"

#include <string.h>
#include <strings.h>

#include "core/retry_after.h"
#include "core/time_text.h"

static const struct {
    const char *name;
    enum quota_dimension dimension;
} subjects[] = {
    {"requests", QUOTA_REQUESTS},
    {"tokens", QUOTA_TOKENS},
    {"input-tokens", QUOTA_INPUT},
    {"output-tokens", QUOTA_OUTPUT},
};

void rate_words_init(struct rate_words *words)
{
    words->any = false;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        words->limit[d] = words->left[d] = words->reset_ms[d] = words->reset_unix_ms[d] = -1;
}

static int64_t number_of(const char *value)
{
    int64_t number = 0;
    while (*value == ' ' || *value == '\t')
        value++;
    if (*value < '0' || *value > '9')
        return -1;
    for (; *value >= '0' && *value <= '9'; value++) {
        number = number * 10 + (*value - '0');
        if (number > RATE_WORDS_MAX)
            return -1;
    }
    return value[strspn(value, " \t")] == '\0' ? number : -1;
}

// The subject between the two; false: another header.
static bool subject_of(const char *name, const char *before, const char *after,
                       enum quota_dimension *out)
{
    size_t len = strlen(name), front = strlen(before), back = strlen(after);
    if (len <= front + back || strncasecmp(name, before, front) != 0 ||
        strcasecmp(name + len - back, after) != 0)
        return false;
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
        if (strlen(subjects[i].name) == len - front - back &&
            strncasecmp(name + front, subjects[i].name, len - front - back) == 0) {
            *out = subjects[i].dimension;
            return true;
        }
    return false;
}

static int64_t time_of(const char *value)
{
    int64_t unix_ms;
    return time_text_parse(value, &unix_ms) && unix_ms > 0 ? unix_ms : -1;
}

// A reset without what is left says nothing: it does not count as a word.
static bool read_reset(struct rate_words *words, const char *name, const char *value)
{
    enum quota_dimension dimension;
    if (subject_of(name, "x-ratelimit-reset-", "", &dimension))
        return (words->reset_ms[dimension] = go_duration_ms(value)) >= 0;
    if (subject_of(name, "anthropic-ratelimit-", "-reset", &dimension))
        return (words->reset_unix_ms[dimension] = time_of(value)) >= 0;
    return false;
}

bool rate_words_header(struct rate_words *words, const char *name, const char *value)
{
    enum quota_dimension dimension;
    int64_t *target = NULL;
    if ((name[0] | 0x20) != 'x' && (name[0] | 0x20) != 'a')
        return false;
    if (read_reset(words, name, value))
        return true;
    if (subject_of(name, "x-ratelimit-limit-", "", &dimension) ||
        subject_of(name, "anthropic-ratelimit-", "-limit", &dimension))
        target = &words->limit[dimension];
    else if (subject_of(name, "x-ratelimit-remaining-", "", &dimension) ||
             subject_of(name, "anthropic-ratelimit-", "-remaining", &dimension))
        target = &words->left[dimension];
    int64_t number = target ? number_of(value) : -1;
    if (number < 0)
        return false;
    *target = number;
    words->any = true;
    return true;
}
