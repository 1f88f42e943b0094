// SPDX-License-Identifier: Apache-2.0
// The rows of config.def as an array, and the search in it.
#include "core/config_table.h"

#include <string.h>

#include "base/check.h"
#include "core/config.h"

#define NEEDED  CONFIG_NEEDED
#define FOREVER CONFIG_FOREVER
#define NONE    CONFIG_NONE

// A row that is refused as later has no member.
#define OFFSET_LATER(type, member)       0
#define OFFSET_TEXT(type, member)        offsetof(type, member)
#define OFFSET_WORD(type, member)        offsetof(type, member)
#define OFFSET_DECIMAL(type, member)     offsetof(type, member)
#define OFFSET_DATE(type, member)        offsetof(type, member)
#define OFFSET_JSON(type, member)        offsetof(type, member)
#define OFFSET_SECRET(type, member)      offsetof(type, member)
#define OFFSET_INTEGER(type, member)     offsetof(type, member)
#define OFFSET_DURATION(type, member)    offsetof(type, member)
#define OFFSET_SIZE(type, member)        offsetof(type, member)
#define OFFSET_FLAG(type, member)        offsetof(type, member)
#define OFFSET_LIST(type, member)        offsetof(type, member)
#define OFFSET_SECRETS(type, member)     offsetof(type, member)
#define OFFSET_PAIRS(type, member)       offsetof(type, member)
#define OFFSET_COMMANDS(type, member)    offsetof(type, member)
#define OFFSET_KEYS(type, member)        offsetof(type, member)
#define OFFSET_LEVEL(type, member)       offsetof(type, member)
#define OFFSET_ANSWER(type, member)      offsetof(type, member)
#define OFFSET_LIMIT_FIELD(type, member) offsetof(type, member)
#define OFFSET_REASONING(type, member)   offsetof(type, member)

#define FIELD(of, type, kind, member, path, preset, min, max, unit, flags, help)                   \
    {CONFIG_##of, CONFIG_##kind, OFFSET_##kind(type, member), path, preset, min, max, unit,        \
     flags,       help},

static const struct config_field FIELDS[] = {
#define ROOT(...)      FIELD(ROOT, struct config, __VA_ARGS__)
#define KAFKA(...)     FIELD(KAFKA, struct config_kafka, __VA_ARGS__)
#define HTTP(...)      FIELD(HTTP, struct config_http, __VA_ARGS__)
#define LOG(...)       FIELD(LOG, struct config_log, __VA_ARGS__)
#define WORKER(...)    FIELD(WORKER, struct config_worker, __VA_ARGS__)
#define DOCUMENTS(...) FIELD(DOCUMENTS, struct config_documents, __VA_ARGS__)
#define PACKING(...)   FIELD(PACKING, struct config_packing, __VA_ARGS__)
#define RETRY(...)     FIELD(RETRY, struct config_retry, __VA_ARGS__)
#define RETENTION(...) FIELD(RETENTION, struct config_retention, __VA_ARGS__)
#define PROVIDER(...)  FIELD(PROVIDER, struct config_provider, __VA_ARGS__)
#define KEY(...)       FIELD(KEY, struct config_key, __VA_ARGS__)
#define MODEL(...)     FIELD(MODEL, struct config_model, __VA_ARGS__)
#define AGENT(...)     FIELD(AGENT, struct config_agent, __VA_ARGS__)
#define TOOL(...)      FIELD(TOOL, struct config_tool, __VA_ARGS__)
#define TENANT(...)    FIELD(TENANT, struct config_tenant, __VA_ARGS__)
#define RULE(...)      FIELD(RULE, struct config_rule, __VA_ARGS__)
#include "core/config.def"
};
#define FIELD_COUNT (sizeof(FIELDS) / sizeof(FIELDS[0]))

static const struct {
    enum config_section section;
    const char *parent, *key, *real;
} TWINS[] = {
#define TWIN(section, parent, key, real) {CONFIG_##section, parent, key, real},
#include "core/config.def"
};
#define TWIN_COUNT (sizeof(TWINS) / sizeof(TWINS[0]))

#define ONE(member, help)                                                                          \
    {                                                                                              \
#member, false, offsetof(struct config, member), 0, sizeof(struct config_##member), help   \
    }
#define MANY(one, help)                                                                            \
    {                                                                                              \
#one "s", true, offsetof(struct config, one##s), offsetof(struct config, one##_count),     \
            sizeof(struct config_##one), help                                                      \
    }

static const struct config_section_info SECTIONS[CONFIG_SECTION_COUNT + 1] = {
    [CONFIG_ROOT] = {"", false, 0, 0, sizeof(struct config), "The configuration of precis."},
    [CONFIG_KAFKA] = ONE(kafka, "Where jobs come from."),
    [CONFIG_HTTP] = ONE(http, "Health, metrics and summaries over HTTP."),
    [CONFIG_LOG] = ONE(log, "What is logged."),
    [CONFIG_WORKER] = ONE(worker, "What one worker holds."),
    [CONFIG_DOCUMENTS] = ONE(documents, "Which documents are taken."),
    [CONFIG_PACKING] = ONE(packing, "When several short documents share one request."),
    [CONFIG_RETRY] = {"retry", false, offsetof(struct config, retry_keys), 0,
                      sizeof(struct config_retry), "How failed calls are tried again."},
    [CONFIG_RETENTION] = ONE(retention, "How long data is kept."),
    [CONFIG_PROVIDER] = MANY(provider, "Model APIs, by name."),
    [CONFIG_MODEL] = MANY(model, "Models, by name."),
    [CONFIG_AGENT] = MANY(agent, "Agents, by name."),
    [CONFIG_TOOL] = MANY(tool, "Tools for agents, by name."),
    [CONFIG_TENANT] = MANY(tenant, "Tenants, by name."),
    [CONFIG_RULE] = MANY(rule, "What is chosen for which jobs: the first rule that holds decides."),
    [CONFIG_KEY] = {"providers.NAME.keys", true, 0, 0, sizeof(struct config_key),
                    "The keys of a provider, where it has several."},
};

const struct config_section_info *config_section_info(enum config_section section)
{
    CHECK(section <= CONFIG_KEY);
    return &SECTIONS[section];
}

const struct config_field *config_fields(enum config_section section, size_t *out_count)
{
    size_t first = 0;
    while (first < FIELD_COUNT && FIELDS[first].section != section)
        first++;
    size_t end = first;
    while (end < FIELD_COUNT && FIELDS[end].section == section)
        end++;
    *out_count = end - first;
    return &FIELDS[first];
}

const struct config_field *config_field_find(enum config_section section, const char *path)
{
    size_t count;
    const struct config_field *fields = config_fields(section, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].path, path) == 0)
            return &fields[i];
    return NULL;
}

// What follows `parent` and its dot in the path; NULL where the path is not below it.
static const char *path_below(const char *path, const char *parent)
{
    size_t len = strlen(parent);
    if (len == 0)
        return path;
    return strncmp(path, parent, len) == 0 && path[len] == '.' ? path + len + 1 : NULL;
}

bool config_is_group(enum config_section section, const char *path)
{
    size_t count;
    const struct config_field *fields = config_fields(section, &count);
    for (size_t i = 0; i < count; i++)
        if (path_below(fields[i].path, path) != NULL)
            return true;
    return false;
}

const char *config_twin(enum config_section section, const char *parent, const char *key)
{
    for (size_t i = 0; i < TWIN_COUNT; i++)
        if (TWINS[i].section == section && strcmp(TWINS[i].parent, parent) == 0 &&
            strcmp(TWINS[i].key, key) == 0)
            return TWINS[i].real;
    return NULL;
}

bool config_twin_nth(enum config_section section, size_t nth, const char **out_parent,
                     const char **out_key, const char **out_real)
{
    for (size_t i = 0; i < TWIN_COUNT; i++) {
        if (TWINS[i].section != section || nth-- > 0)
            continue;
        *out_parent = TWINS[i].parent;
        *out_key = TWINS[i].key;
        *out_real = TWINS[i].real;
        return true;
    }
    return false;
}

// Whether an earlier row begins with the same key below the parent.
static bool key_seen(const struct config_field *fields, size_t before, const char *parent,
                     const char *key, size_t len)
{
    for (size_t i = 0; i < before; i++) {
        const char *rest = path_below(fields[i].path, parent);
        if (rest && strcspn(rest, ".") == len && memcmp(rest, key, len) == 0)
            return true;
    }
    return false;
}

static bool root_key_nth(size_t nth, struct buf *out)
{
    size_t section = nth + 1;
    if (section < CONFIG_SECTION_COUNT)
        return buf_add_str(out, SECTIONS[section].key);
    return section == CONFIG_SECTION_COUNT && buf_add_str(out, "routes");
}

bool config_key_nth(enum config_section section, const char *parent, size_t nth, struct buf *out)
{
    size_t count;
    const struct config_field *fields = config_fields(section, &count);
    buf_clear(out);
    for (size_t i = 0; i < count; i++) {
        const char *rest = path_below(fields[i].path, parent);
        if (rest == NULL)
            continue;
        size_t len = strcspn(rest, ".");
        if (key_seen(fields, i, parent, rest, len))
            continue;
        if (nth-- == 0)
            return buf_add(out, rest, len);
    }
    return section == CONFIG_ROOT && parent[0] == '\0' && root_key_nth(nth, out);
}

#define NAME_MAX_BYTES 64

static int least(int a, int b)
{
    return a < b ? a : b;
}

// One row of the matrix of optimal string alignment, for the first i bytes of `a`. Three rows are
// kept, each in the place of its number modulo three.
static void distance_row(const char *a, size_t i, const char *b, int rows[3][NAME_MAX_BYTES + 1])
{
    const int *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
    int *row = rows[i % 3];
    row[0] = (int)i;
    for (size_t j = 1; b[j - 1] != '\0'; j++) {
        int change = above[j - 1] + (a[i - 1] != b[j - 1]);
        row[j] = least(change, least(above[j], row[j - 1]) + 1);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            row[j] = least(row[j], above2[j - 2] + 1);
    }
}

int config_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES)
        return -1;
    int rows[3][NAME_MAX_BYTES + 1] = {{0}};
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= a_len; i++)
        distance_row(a, i, b, rows);
    int distance = rows[a_len % 3][b_len];
    int longer = (int)(a_len > b_len ? a_len : b_len);
    return distance * 3 <= longer || distance == 1 ? distance : -1;
}

struct nearest {
    const char *key;
    int distance; // of what `out` holds; -1 where it is empty
    struct buf *out;
};

static void nearest_try(struct nearest *nearest, const char *candidate)
{
    int distance = config_distance(nearest->key, candidate);
    if (distance < 0 || (nearest->distance >= 0 && distance >= nearest->distance))
        return;
    nearest->distance = distance;
    buf_clear(nearest->out);
    buf_add_str(nearest->out, candidate);
}

bool config_key_nearest(enum config_section section, const char *parent, const char *key,
                        struct buf *out)
{
    struct nearest nearest = {key, -1, out};
    buf_clear(out);
    struct buf candidate OWN_BUF;
    buf_init(&candidate, 0);
    for (size_t i = 0; config_key_nth(section, parent, i, &candidate); i++)
        nearest_try(&nearest, buf_str(&candidate));
    for (size_t i = 0; i < TWIN_COUNT; i++)
        if (TWINS[i].section == section && strcmp(TWINS[i].parent, parent) == 0)
            nearest_try(&nearest, TWINS[i].key);
    return nearest.distance >= 0;
}

void *config_member(void *object, const struct config_field *field)
{
    return (char *)object + field->offset;
}

const void *config_member_const(const void *object, const struct config_field *field)
{
    return (const char *)object + field->offset;
}

const char *config_choice(const char *choices, size_t nth, size_t *out_len, bool *out_later)
{
    const char *choice = choices;
    for (; nth > 0 && choice; nth--) {
        choice = strchr(choice, '|');
        choice = choice ? choice + 1 : NULL;
    }
    if (choice == NULL || choice[0] == '\0')
        return NULL;
    *out_len = strcspn(choice, "|*");
    *out_later = choice[*out_len] == '*';
    return choice;
}
