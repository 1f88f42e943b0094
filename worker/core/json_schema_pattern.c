// SPDX-License-Identifier: Apache-2.0
// Patterns of ECMA-262 on PCRE2, with bounds: a schema's author may be hostile, and a match that
// backtracks for ever would hold the loop. PCRE2's own match limit counts anew from each start in
// the text, which is either no bound for a long text or too tight for an honest one. So every item
// of a pattern calls out, and the calls of a whole check draw on one account.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/json_schema_inner.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

#define PATTERN_BYTES_MOST 4096
#define TEXT_BYTES_MOST    65536
#define HEAP_KIB_MOST      20480u

struct schema_pattern {
    pcre2_code *code;
    pcre2_match_context *context;
};

struct category {
    const char *name;
    const char *letters;
};

// General categories by the long names that PCRE2 doesn't know.
static const struct category categories[] = {
    {"Letter", "L"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

// Appends the property's name as PCRE2 has it.
static void add_property(struct buf *out, const char *name, size_t len)
{
    static const char *const prefixes[] = {"General_Category=", "gc="};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t prefix = strlen(prefixes[i]);
        if (len > prefix && strncmp(name, prefixes[i], prefix) == 0) {
            name += prefix;
            len -= prefix;
        }
    }
    for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]); i++) {
        if (strlen(categories[i].name) == len && strncmp(categories[i].name, name, len) == 0) {
            buf_add_str(out, categories[i].letters);
            return;
        }
    }
    buf_add(out, name, len);
}

static void translate(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_add_char(out, text[i]);
        if (text[i] != '\\' || i + 1 == len)
            continue;
        char escape = text[++i];
        buf_add_char(out, escape);
        if ((escape != 'p' && escape != 'P') || i + 1 == len || text[i + 1] != '{')
            continue;
        const char *name = text + i + 2, *end = memchr(name, '}', len - i - 2);
        if (!end)
            continue;
        buf_add_char(out, '{');
        add_property(out, name, (size_t)(end - name));
        i = (size_t)(end - text) - 1;
    }
}

static pcre2_code *compile(const struct buf *pattern, char *why, size_t why_bytes)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    CHECK(context != NULL);
    pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS |
                       PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT |
                       PCRE2_NO_AUTO_POSSESS;
    int error;
    PCRE2_SIZE at;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)buf_str(pattern), pattern->len, options, &error, &at, context);
    pcre2_compile_context_free(context);
    if (!code) {
        char words[128] = "";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)words, sizeof(words));
        snprintf(why, why_bytes, "%s, at byte %zu", words, (size_t)at);
    }
    return code;
}

struct schema_pattern *schema_pattern_new(const char *text, size_t len, char *why, size_t why_bytes)
{
    if (len > PATTERN_BYTES_MOST) {
        snprintf(why, why_bytes, "longer than %d bytes", PATTERN_BYTES_MOST);
        return NULL;
    }
    struct buf translated OWN_BUF;
    buf_init(&translated, 0);
    translate(&translated, text, len);
    pcre2_code *code = compile(&translated, why, why_bytes);
    if (!code)
        return NULL;
    struct schema_pattern *pattern = own_alloc(sizeof(*pattern));
    pattern->code = code;
    pattern->context = pcre2_match_context_create(NULL);
    CHECK(pattern->context != NULL);
    pcre2_set_heap_limit(pattern->context, HEAP_KIB_MOST);
    return pattern;
}

void schema_pattern_free(struct schema_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_match_context_free(pattern->context);
    pcre2_code_free(pattern->code);
    free(pattern);
}

static int draw(pcre2_callout_block *block, void *steps_left)
{
    (void)block;
    int64_t *left = steps_left;
    return --*left < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

enum schema_match schema_pattern_match(const struct schema_pattern *pattern, const char *text,
                                       size_t len, int64_t *steps_left)
{
    if (len > TEXT_BYTES_MOST)
        return SCHEMA_MATCH_TOO_MUCH;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL); // keeps its heap: not for long
    CHECK(data != NULL);
    pcre2_set_callout(pattern->context, draw, steps_left);
    int found = pcre2_match(pattern->code, (PCRE2_SPTR)text, len, 0, 0, data, pattern->context);
    pcre2_match_data_free(data);
    if (found >= 0)
        return SCHEMA_MATCHES;
    return found == PCRE2_ERROR_NOMATCH ? SCHEMA_DIFFERS : SCHEMA_MATCH_TOO_MUCH;
}
