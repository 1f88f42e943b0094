// SPDX-License-Identifier: Apache-2.0
// Reads and writes single values of the configuration, by the rows of config.def.
#include "core/config_value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/own.h"
#include "core/config.h"
#include "core/money.h"

#define TEXT_MAX_BYTES 4096

// set_enum writes through this size.
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "enums are as large as unsigned");
_Static_assert(sizeof(enum answer_mode) == sizeof(unsigned), "enums are as large as unsigned");
_Static_assert(sizeof(enum limit_field) == sizeof(unsigned), "enums are as large as unsigned");
_Static_assert(sizeof(enum reasoning_parameter) == sizeof(unsigned), "enums are as large");

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit DURATIONS[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                        {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit SIZES[] = {
    {"TB", 1000000000000}, {"GB", 1000000000}, {"MB", 1000000},    {"KB", 1000},
    {"TiB", 1LL << 40},    {"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10},
    {"kB", 1000},          {"B", 1},           {NULL, 0}};

// ------------------------------------------------------------------------------------- reading

static bool parse_digits(const char **text, int64_t *out)
{
    const char *at = *text;
    int64_t value = 0;
    while (*at >= '0' && *at <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
            return false;
        at++;
    }
    bool any = at != *text;
    *text = at;
    *out = value;
    return any;
}

static bool parse_integer(const char *text, int64_t *out)
{
    bool minus = text[0] == '-';
    const char *at = minus ? text + 1 : text;
    int64_t value;
    if (!parse_digits(&at, &value) || *at != '\0')
        return false;
    *out = minus ? -value : value;
    return true;
}

// The fraction after the point as so many units; false where it is not a whole number of them.
static bool parse_fraction(const char **text, int64_t factor, int64_t *out)
{
    *out = 0;
    if (**text != '.')
        return true;
    (*text)++;
    const char *start = *text;
    int64_t digits;
    if (!parse_digits(text, &digits) || *text - start > 9)
        return false;
    int64_t scale = 1, product;
    for (const char *at = start; at < *text; at++)
        scale *= 10;
    if (__builtin_mul_overflow(digits, factor, &product) || product % scale != 0)
        return false;
    *out = product / scale;
    return true;
}

// "1.5h": a number and one of the units. "0" needs none.
static bool parse_quantity(const char *text, const struct unit *units, int64_t *out)
{
    const char *at = text;
    int64_t whole, fraction;
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return true;
    }
    if (!parse_digits(&at, &whole))
        return false;
    const char *unit_name = at + strspn(at, ".0123456789");
    const struct unit *unit = units;
    while (unit->name && strcmp(unit->name, unit_name) != 0)
        unit++;
    if (unit->name == NULL || !parse_fraction(&at, unit->factor, &fraction) || at != unit_name)
        return false;
    return !__builtin_mul_overflow(whole, unit->factor, &whole) &&
           !__builtin_add_overflow(whole, fraction, out);
}

static bool is_digits(const char *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

static int two_digits(const char *text)
{
    return (text[0] - '0') * 10 + (text[1] - '0');
}

// YYYY-MM-DD, a day that exists.
static bool valid_date(const char *text)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' || !is_digits(text, 0, 4) ||
        !is_digits(text, 5, 7) || !is_digits(text, 8, 10))
        return false;
    int year = two_digits(text) * 100 + two_digits(text + 2);
    int month = two_digits(text + 5), day = two_digits(text + 8);
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool config_text_valid(const char *text, bool lines)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    while (*at != 0) {
        utf8proc_int32_t point;
        utf8proc_ssize_t len = utf8proc_iterate(at, -1, &point);
        bool line = point == '\t' || point == '\n' || point == '\r';
        if (len <= 0 || point == 0x7f || (point < 0x20 && !(lines && line)))
            return false;
        at += len;
    }
    return true;
}

// --------------------------------------------------------------------------------- what is
// expected

static void quantity_text(int64_t amount, const struct unit *units, struct buf *out)
{
    const struct unit *unit = units;
    while (amount % unit->factor != 0)
        unit++;
    if (amount == 0)
        unit = units == DURATIONS ? &DURATIONS[3] : &SIZES[9];
    buf_printf(out, "%" PRId64 "%s", amount / unit->factor, unit->name);
}

void config_duration_text(int64_t ms, struct buf *out)
{
    if (ms == INT64_MAX)
        buf_add_str(out, "forever");
    else
        quantity_text(ms, DURATIONS, out);
}

void config_size_text(int64_t bytes, struct buf *out)
{
    quantity_text(bytes, SIZES, out);
}

// "`openai`" and, of what is refused as later, " (later versions: `responses`)".
static void expect_choices(const struct config_field *field, bool later, struct buf *why)
{
    size_t len;
    bool is_later;
    const char *choice;
    const char *before = later ? " (later versions: " : "one of ";
    for (size_t i = 0; (choice = config_choice(field->unit, i, &len, &is_later)) != NULL; i++) {
        if (is_later != later)
            continue;
        buf_printf(why, "%s`%.*s`", before, (int)len, choice);
        before = ", ";
    }
    if (later && before[0] == ',')
        buf_add_char(why, ')');
}

static void expect_quantity(const struct config_field *field, const char *example,
                            const struct unit *units, struct buf *why)
{
    buf_printf(why, "%s, from ", example);
    quantity_text(field->min, units, why);
    buf_add_str(why, " to ");
    quantity_text(field->max, units, why);
}

static void expect_number(const struct config_field *field, const char *kind, struct buf *why)
{
    buf_printf(why, "%s from %" PRId64 " to %" PRId64, kind, field->min, field->max);
    if (field->unit[0] != '\0')
        buf_printf(why, " (%s)", field->unit);
}

static size_t text_most(const struct config_field *field)
{
    return field->max > 0 ? (size_t)field->max : TEXT_MAX_BYTES;
}

// Completes "expected …".
static void expect(const struct config_field *field, struct buf *why)
{
    switch (field->kind) {
    case CONFIG_INTEGER:
        expect_number(field, "a whole number", why);
        break;
    case CONFIG_DECIMAL:
        expect_number(field, "a decimal number", why);
        break;
    case CONFIG_DURATION:
        expect_quantity(field, "a duration such as 500ms, 10s, 1h or 30d", DURATIONS, why);
        break;
    case CONFIG_SIZE:
        expect_quantity(field, "a size such as 512MB or 20GB", SIZES, why);
        break;
    case CONFIG_FLAG:
        buf_add_str(why, "`true` or `false`");
        break;
    case CONFIG_DATE:
        buf_add_str(why, "a date such as 2026-11-01");
        break;
    case CONFIG_WORD:
    case CONFIG_LEVEL:
    case CONFIG_ANSWER:
    case CONFIG_LIMIT_FIELD:
    case CONFIG_REASONING:
        expect_choices(field, false, why);
        expect_choices(field, true, why);
        break;
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_SECRETS:
    case CONFIG_JSON:
    case CONFIG_LIST:
    case CONFIG_PAIRS:
    case CONFIG_COMMANDS:
    case CONFIG_KEYS:
    case CONFIG_LATER:
        buf_printf(why, "a text of 1 to %zu bytes without control characters", text_most(field));
        break;
    }
    if (field->flags & CONFIG_FOREVER)
        buf_add_str(why, ", or `forever`");
    if (field->flags & CONFIG_NONE)
        buf_add_str(why, ", or `none`");
}

// ------------------------------------------------------------------------------------- setting

void config_wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static bool store_text(char **member, const char *text)
{
    config_wipe(*member);
    *member = own_strdup(text);
    return true;
}

static bool set_number(int64_t *member, const struct config_field *field, int64_t value)
{
    if (value < field->min || value > field->max)
        return false;
    *member = value;
    return true;
}

static bool set_decimal(char **member, const struct config_field *field, const char *text)
{
    int64_t picos;
    if (!money_parse_usd(text, &picos) || picos < field->min * PICOUSD_PER_USD ||
        picos > field->max * PICOUSD_PER_USD)
        return false;
    return store_text(member, text);
}

static bool set_duration(int64_t *member, const struct config_field *field, const char *text)
{
    int64_t ms;
    if ((field->flags & CONFIG_FOREVER) && strcmp(text, "forever") == 0) {
        *member = INT64_MAX;
        return true;
    }
    return parse_quantity(text, DURATIONS, &ms) && set_number(member, field, ms);
}

static bool set_size(int64_t *member, const struct config_field *field, const char *text)
{
    int64_t bytes;
    return parse_quantity(text, SIZES, &bytes) && set_number(member, field, bytes);
}

static bool set_integer(int64_t *member, const struct config_field *field, const char *text)
{
    int64_t value;
    return parse_integer(text, &value) && set_number(member, field, value);
}

static bool set_flag(bool *member, const char *text)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return false;
    *member = text[0] == 't';
    return true;
}

static bool text_fits(const struct config_field *field, const char *text)
{
    size_t len = strlen(text), most = text_most(field);
    return len >= 1 && len <= most && config_text_valid(text, most > TEXT_MAX_BYTES);
}

static bool set_text(char **member, const struct config_field *field, const char *text)
{
    return text_fits(field, text) && store_text(member, text);
}

// The choice's number; -1 where it is none, or a later one.
static int find_choice(const struct config_field *field, const char *text)
{
    size_t len;
    bool later;
    const char *choice;
    for (int i = 0; (choice = config_choice(field->unit, (size_t)i, &len, &later)) != NULL; i++)
        if (strlen(text) == len && memcmp(text, choice, len) == 0)
            return later ? -1 : i;
    return -1;
}

static bool set_enum(void *member, const struct config_field *field, const char *text)
{
    int choice = find_choice(field, text);
    if (choice < 0)
        return false;
    unsigned value = (unsigned)choice; // every enum here counts from 0 in the order of its choices
    memcpy(member, &value, sizeof(value));
    return true;
}

static bool set_word(char **member, const struct config_field *field, const char *text)
{
    return find_choice(field, text) >= 0 && store_text(member, text);
}

static bool set_member(void *member, const struct config_field *field, const char *text)
{
    switch (field->kind) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_JSON:
        return set_text(member, field, text);
    case CONFIG_WORD:
        return set_word(member, field, text);
    case CONFIG_DECIMAL:
        return set_decimal(member, field, text);
    case CONFIG_DATE:
        return valid_date(text) && store_text(member, text);
    case CONFIG_INTEGER:
        return set_integer(member, field, text);
    case CONFIG_DURATION:
        return set_duration(member, field, text);
    case CONFIG_SIZE:
        return set_size(member, field, text);
    case CONFIG_FLAG:
        return set_flag(member, text);
    case CONFIG_LEVEL:
    case CONFIG_ANSWER:
    case CONFIG_LIMIT_FIELD:
    case CONFIG_REASONING:
        return set_enum(member, field, text);
    case CONFIG_LIST:
    case CONFIG_SECRETS:
    case CONFIG_PAIRS:
    case CONFIG_COMMANDS:
    case CONFIG_KEYS:
    case CONFIG_LATER:
        break;
    }
    return false;
}

bool config_set(void *object, const struct config_field *field, const char *text, struct buf *why)
{
    buf_clear(why);
    if (set_member(config_member(object, field), field, text))
        return true;
    expect(field, why);
    return false;
}
