// SPDX-License-Identifier: Apache-2.0
// The members of the configuration that are lists and maps, and the emptying of any member.
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/config.h"
#include "core/config_value.h"

#define LIST_MAX       1000
#define NAME_MAX_BYTES 200

static size_t list_len(char *const *list)
{
    size_t len = 0;
    while (list && list[len])
        len++;
    return len;
}

// Grows an array that is ended by an empty element, by one element.
static void *array_grow(void *array, size_t len, size_t size)
{
    char *grown = own_grow(array, len + 2, size);
    memset(grown + len * size, 0, 2 * size);
    return grown;
}

static bool value_fits(const struct config_field *field, const char *text, struct buf *why)
{
    size_t most = field->max > 0 ? (size_t)field->max : 4096;
    if (strlen(text) >= 1 && strlen(text) <= most && config_text_valid(text, false))
        return true;
    buf_printf(why, "a text of 1 to %zu bytes without control characters", most);
    return false;
}

static bool has_room(size_t len, struct buf *why)
{
    if (len < LIST_MAX)
        return true;
    buf_printf(why, "at most %d entries", LIST_MAX);
    return false;
}

static bool name_fits(const char *name, struct buf *why)
{
    size_t len = strlen(name);
    if (len >= 1 && len <= NAME_MAX_BYTES && config_text_valid(name, false))
        return true;
    buf_printf(why, "a name of 1 to %d bytes without control characters", NAME_MAX_BYTES);
    return false;
}

bool config_append(void *object, const struct config_field *field, const char *text,
                   struct buf *why)
{
    char ***member = config_member(object, field);
    size_t len = list_len(*member);
    buf_clear(why);
    if (!value_fits(field, text, why) || !has_room(len, why))
        return false;
    *member = array_grow(*member, len, sizeof(char *));
    (*member)[len] = own_strdup(text);
    return true;
}

bool config_put(void *object, const struct config_field *field, const char *name, const char *text,
                struct buf *why)
{
    struct config_pair **member = config_member(object, field);
    size_t len = 0;
    while (*member && (*member)[len].name)
        len++;
    buf_clear(why);
    if (!name_fits(name, why) || !value_fits(field, text, why) || !has_room(len, why))
        return false;
    *member = array_grow(*member, len, sizeof(struct config_pair));
    (*member)[len] = (struct config_pair){own_strdup(name), own_strdup(text)};
    return true;
}

static char **argv_copy(char *const *argv)
{
    size_t len = list_len(argv);
    char **copy = own_array(len + 1, sizeof(char *));
    for (size_t i = 0; i < len; i++)
        copy[i] = own_strdup(argv[i]);
    return copy;
}

bool config_put_command(void *object, const struct config_field *field, const char *name,
                        char *const *argv, struct buf *why)
{
    struct config_command **member = config_member(object, field);
    size_t len = 0;
    while (*member && (*member)[len].name)
        len++;
    buf_clear(why);
    if (!name_fits(name, why) || !has_room(len, why))
        return false;
    for (size_t i = 0; argv[i]; i++)
        if (!value_fits(field, argv[i], why))
            return false;
    *member = array_grow(*member, len, sizeof(struct config_command));
    (*member)[len] = (struct config_command){own_strdup(name), argv_copy(argv)};
    return true;
}

// ------------------------------------------------------------------------------------- emptying

static void list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        config_wipe(list[i]);
    free(list);
}

static void pairs_free(struct config_pair *pairs)
{
    for (size_t i = 0; pairs && pairs[i].name; i++) {
        free(pairs[i].name);
        config_wipe(pairs[i].value);
    }
    free(pairs);
}

static void commands_free(struct config_command *commands)
{
    for (size_t i = 0; commands && commands[i].name; i++) {
        free(commands[i].name);
        list_free(commands[i].argv);
    }
    free(commands);
}

static void keys_clear(struct config_keys *keys)
{
    size_t count;
    const struct config_field *fields = config_fields(CONFIG_KEY, &count);
    for (size_t i = 0; i < keys->len; i++)
        for (size_t f = 0; f < count; f++)
            config_clear(&keys->items[i], &fields[f]);
    free(keys->items);
    *keys = (struct config_keys){NULL, 0};
}

static void clear_pointer(void *member, enum config_kind kind)
{
    void *held = *(void **)member;
    *(void **)member = NULL;
    if (kind == CONFIG_LIST || kind == CONFIG_SECRETS)
        list_free(held);
    else if (kind == CONFIG_PAIRS)
        pairs_free(held);
    else if (kind == CONFIG_COMMANDS)
        commands_free(held);
    else
        config_wipe(held);
}

void config_clear(void *object, const struct config_field *field)
{
    void *member = config_member(object, field);
    switch (field->kind) {
    case CONFIG_TEXT:
    case CONFIG_WORD:
    case CONFIG_DECIMAL:
    case CONFIG_DATE:
    case CONFIG_JSON:
    case CONFIG_SECRET:
    case CONFIG_LIST:
    case CONFIG_SECRETS:
    case CONFIG_PAIRS:
    case CONFIG_COMMANDS:
        clear_pointer(member, field->kind);
        break;
    case CONFIG_KEYS:
        keys_clear(member);
        break;
    case CONFIG_INTEGER:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        *(int64_t *)member = 0;
        break;
    case CONFIG_FLAG:
        *(bool *)member = false;
        break;
    case CONFIG_LEVEL:
    case CONFIG_ANSWER:
    case CONFIG_LIMIT_FIELD:
    case CONFIG_REASONING:
        *(unsigned *)member = 0;
        break;
    case CONFIG_LATER:
        break;
    }
}
