// SPDX-License-Identifier: Apache-2.0
// Checks of a model's summary.
#include "core/summary.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"
#include "core/json_scan.h"
#include "core/json_schema.h"
#include "core/text.h"
#include "core/visible.h"

#define MAX_POINT_CHARS 2000
#define MAX_QUOTES      200
#define MAX_DEPTH       64

static const struct json_limits limits = {
    .bytes = SUMMARY_MAX_BYTES, .depth = MAX_DEPTH, .nodes = 100000};

// What one parse has at hand.
struct reading {
    const struct summary_rule *rule;
    struct summary *out;
    struct failure *failure;
    size_t cleaned;  // characters that had to go
    bool unreadable; // characters that were U+FFFD, or became it
};

struct summary_rule summary_rule_of(const struct job_spec *spec, enum prompt_kind kind,
                                    const struct json_schema *schema, size_t source_chars,
                                    bool final)
{
    bool part = kind == PROMPT_PART;
    return (struct summary_rule){
        .kind = kind,
        .max_chars = part ? PART_SUMMARY_CHARS : spec->max_chars,
        .points_min = part ? PART_POINTS_MIN : spec->points_min,
        .points_max = part ? prompt_part_points(spec) : spec->points_max,
        .evidence = spec->evidence_quotes,
        .own_schema = prompt_own_schema(spec, kind),
        .schema = schema,
        .source_chars = source_chars,
        .final = final,
    };
}

static bool mismatch(struct reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Sets the failure and answers false.
static bool mismatch(struct reading *reading, const char *format, ...)
{
    char text[FAILURE_DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    failure_set(reading->failure, ERR_SCHEMA_MISMATCH, "%s", text);
    return false;
}

static void warn(struct summary *summary, const char *text)
{
    if (summary->warning_count < SUMMARY_WARNINGS)
        summary->warnings[summary->warning_count++] = own_strdup(text);
}

// ------------------------------------------------------------------------------------- text

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
    while (*len && is_white(**text)) {
        ++*text;
        --*len;
    }
    while (*len && is_white((*text)[*len - 1]))
        --*len;
}

// The next line from `text` on that begins with a fence; NULL where there is none.
static const char *fence_line(const char *text, const char *end)
{
    while (text && text < end) {
        if (end - text >= 3 && memcmp(text, "```", 3) == 0)
            return text;
        text = memchr(text, '\n', (size_t)(end - text));
        text = text ? text + 1 : NULL;
    }
    return NULL;
}

// Takes a byte order mark off, and the one Markdown fence (```json … ```) that there is, with what
// stands outside it.
static void strip_fence(const char **text, size_t *len)
{
    if (*len >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
        *text += 3;
        *len -= 3;
    }
    trim(text, len);
    const char *end = *text + *len;
    const char *open = *len && **text != '{' ? fence_line(*text, end) : NULL;
    const char *inside = open ? memchr(open, '\n', (size_t)(end - open)) : NULL;
    const char *close = inside ? fence_line(inside + 1, end) : NULL;
    if (!close || fence_line(close + 3, end))
        return;
    *text = inside + 1;
    *len = (size_t)(close - *text);
    trim(text, len);
}

static bool has_replacement(const char *text)
{
    return strstr(text, "\xef\xbf\xbd") != NULL;
}

// A string of the answer: cleaned, without white space at its ends, on the heap.
static char *clean_string(struct reading *reading, const json_t *string)
{
    struct buf out;
    buf_init(&out, 0);
    const char *text = json_string_value(string);
    size_t len = json_string_length(string);
    trim(&text, &len);
    reading->cleaned += visible_copy(&out, text, len);
    reading->unreadable |= has_replacement(buf_str(&out));
    return buf_take(&out);
}

// ------------------------------------------------------------------------------------- JSON

// Why the text is no JSON object, in words for the model; the model's own words are not repeated.
static void explain_not_json(const char *text, size_t len, const struct failure *why,
                             struct failure *out)
{
    const char *reason = why->detail;
    if (len == 0)
        reason = "the answer is empty";
    else if (*text == '[')
        reason = "the answer is a list, not one JSON object";
    else if (*text != '{')
        reason = "the answer does not begin with the JSON object";
    else if (text[len - 1] != '}')
        reason = "the answer does not end with the JSON object, or the object is not complete";
    failure_set(out, ERR_NOT_JSON, "%s", reason);
}

// The answer as one object; NULL with the failure set. Numbers that no int64 holds become reals.
json_t *summary_read_object(const char *content, size_t len, struct failure *out_failure)
{
    const char *text = content;
    strip_fence(&text, &len);
    char *copy OWN_FREE = own_strndup(text, len);
    struct failure why;
    json_scan_mend_surrogates(copy, &len);
    json_t *root = json_load_checked(copy, len, &limits, 0, &why);
    if (!root)
        root = json_load_checked(copy, len, &limits, JSON_DECODE_INT_AS_REAL, &why);
    if (json_is_object(root))
        return root;
    json_decref(root);
    explain_not_json(copy, len, &why, out_failure);
    return NULL;
}

// ---------------------------------------------------------------------- summary and key points

static bool read_summary(struct reading *reading, const json_t *root)
{
    const struct summary_rule *rule = reading->rule;
    const json_t *value = json_object_get(root, "summary");
    if (!json_is_string(value))
        return mismatch(reading, "summary is %s", value ? "not a string" : "missing");
    char *text = clean_string(reading, value);
    reading->out->summary = text;
    size_t len = strlen(text), chars = text_code_points(text, len);
    if (text_is_blank(text, len))
        return mismatch(reading, "summary is empty");
    if (chars <= (size_t)rule->max_chars)
        return true;
    if (!rule->final)
        return mismatch(reading, "summary has %zu characters, at most %" PRId64 " are allowed",
                        chars, rule->max_chars);
    text[text_cut_sentence(text, len, (size_t)rule->max_chars)] = '\0';
    char warning[120];
    snprintf(warning, sizeof(warning),
             "the summary had %zu characters and was cut to %" PRId64 " at most", chars,
             rule->max_chars);
    warn(reading->out, warning);
    return true;
}

// One string of a list. `where` names it in the message.
static bool read_text(struct reading *reading, const json_t *value, const char *where, char **out)
{
    if (!json_is_string(value))
        return mismatch(reading, "%s is %s", where, value ? "not a string" : "missing");
    *out = clean_string(reading, value);
    size_t len = strlen(*out);
    if (text_is_blank(*out, len))
        return mismatch(reading, "%s is empty", where);
    if (text_code_points(*out, len) > MAX_POINT_CHARS)
        return mismatch(reading, "%s is longer than %d characters", where, MAX_POINT_CHARS);
    return true;
}

static bool read_point(struct reading *reading, const json_t *value, size_t i)
{
    struct summary *out = reading->out;
    char where[64];
    snprintf(where, sizeof(where), "key_points[%zu]", i);
    if (!reading->rule->evidence)
        return read_text(reading, value, where, &out->points[i]);
    if (!json_is_object(value))
        return mismatch(reading, "%s is not an object with point and quote", where);
    snprintf(where, sizeof(where), "key_points[%zu].point", i);
    if (!read_text(reading, json_object_get(value, "point"), where, &out->points[i]))
        return false;
    snprintf(where, sizeof(where), "key_points[%zu].quote", i);
    return read_text(reading, json_object_get(value, "quote"), where, &out->quotes[i]);
}

static bool check_point_count(struct reading *reading, size_t count)
{
    const struct summary_rule *rule = reading->rule;
    int64_t min = rule->points_min;
    if (rule->source_chars < SUMMARY_SHORT_SOURCE_CHARS && min > 1)
        min = 1;
    if (count >= (size_t)min && count <= (size_t)rule->points_max)
        return true;
    return mismatch(reading, "key_points has %zu entries, %" PRId64 " to %" PRId64 " are allowed",
                    count, min, rule->points_max);
}

static bool read_points(struct reading *reading, const json_t *root)
{
    struct summary *out = reading->out;
    const json_t *list = json_object_get(root, "key_points");
    if (!json_is_array(list))
        return mismatch(reading, "key_points is %s", list ? "not a list" : "missing");
    size_t count = json_array_size(list);
    if (!check_point_count(reading, count))
        return false;
    out->points = own_array(count + 1, sizeof(char *));
    out->quotes = reading->rule->evidence ? own_array(count + 1, sizeof(char *)) : NULL;
    out->point_count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_point(reading, json_array_get(list, i), i))
            return false;
    return true;
}

// ---------------------------------------------------------------------------- the user's own form

// Cleans every string value; no deeper than the parser's limit.
static void clean_tree(struct reading *reading, json_t *value)
{
    if (json_is_string(value)) {
        struct buf clean OWN_BUF;
        buf_init(&clean, 0);
        size_t changed = visible_copy(&clean, json_string_value(value), json_string_length(value));
        reading->cleaned += changed;
        reading->unreadable |= has_replacement(buf_str(&clean));
        if (changed)
            json_string_setn(value, buf_str(&clean), clean.len);
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        clean_tree(reading, json_array_get(value, i));
    for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i))
        clean_tree(reading, json_object_iter_value(i));
}

static bool read_own_quotes(struct reading *reading, const json_t *root)
{
    struct summary *out = reading->out;
    const json_t *list = json_object_get(root, "quotes");
    if (!json_is_array(list))
        return mismatch(reading, "quotes is %s", list ? "not a list" : "missing");
    size_t count = json_array_size(list);
    if (count > MAX_QUOTES)
        return mismatch(reading, "quotes has %zu entries, at most %d are allowed", count,
                        MAX_QUOTES);
    out->quotes = own_array(count + 1, sizeof(char *));
    out->quote_paths = own_array(count + 1, sizeof(char *));
    out->quote_count = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        char where[64];
        snprintf(where, sizeof(where), "quotes[%zu].path", i);
        const json_t *path = json_object_get(item, "path");
        // The empty pointer is a path too: the whole output.
        if (json_is_string(path) && json_string_length(path) == 0)
            out->quote_paths[i] = own_strdup("");
        else if (!read_text(reading, path, where, &out->quote_paths[i]))
            return false;
        snprintf(where, sizeof(where), "quotes[%zu].quote", i);
        if (!read_text(reading, json_object_get(item, "quote"), where, &out->quotes[i]))
            return false;
    }
    return true;
}

// A path without names that could be the document's own: those that no schema would choose, and
// the last where it is the one that no schema has.
static void add_path(struct buf *out, const char *path, bool hide_last)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$";
    while (*path == '/') {
        size_t len = strcspn(path + 1, "/");
        bool last = path[1 + len] == '\0';
        bool known = len <= 40 && strspn(path + 1, plain) >= len && !(last && hide_last);
        buf_printf(out, "/%.*s", known ? (int)len : 1, known ? path + 1 : "*");
        path += 1 + len;
    }
}

// The first problems in words, from json_schema_check's list: where, and what was expected; never
// what was there.
static bool explain_problems(struct reading *reading, const struct buf *problems)
{
    struct buf text OWN_BUF;
    buf_init(&text, FAILURE_DETAIL_BYTES - 1);
    json_t *list = json_loadb(buf_str(problems), problems->len, 0, NULL);
    buf_add_str(&text, "the output does not match its JSON Schema; expected is ");
    for (size_t i = 0; i < json_array_size(list) && i < 4; i++) {
        const json_t *problem = json_array_get(list, i);
        const char *path = json_string_value(json_object_get(problem, "path"));
        const char *expected = json_string_value(json_object_get(problem, "expected"));
        buf_add_str(&text, i ? "; at " : "at ");
        if (path && *path)
            add_path(&text, path, expected && strcmp(expected, "no property of this name") == 0);
        else
            buf_add_str(&text, "the top");
        buf_printf(&text, ": %s", expected ? expected : "something else");
        const char *name = json_string_value(json_object_get(problem, "name"));
        if (name && expected && strncmp(expected, "required property", 17) == 0)
            buf_printf(&text, " %s", name); // the schema's own word
    }
    json_decref(list);
    return mismatch(reading, "%s", buf_str(&text));
}

static bool check_schema(struct reading *reading, const json_t *output)
{
    struct buf problems OWN_BUF;
    buf_init(&problems, 0);
    if (!reading->rule->schema || json_schema_check(reading->rule->schema, output, &problems))
        return true;
    return explain_problems(reading, &problems);
}

static bool read_own_form(struct reading *reading, json_t *root)
{
    json_t *output = root;
    if (reading->rule->evidence) {
        output = json_object_get(root, "output");
        if (!json_is_object(output))
            return mismatch(reading, "output is %s", output ? "not an object" : "missing");
        if (!read_own_quotes(reading, root))
            return false;
    }
    if (!check_schema(reading, output))
        return false;
    clean_tree(reading, output);
    // 15 digits write 0.1 as 0.1; jansson's default of 17 does not.
    reading->out->output_json = json_dumps(output, JSON_COMPACT | JSON_REAL_PRECISION(15));
    CHECK(reading->out->output_json);
    return true;
}

// ------------------------------------------------------------------------------------- public

bool summary_parse(struct summary *out, const struct summary_rule *rule, const char *content,
                   size_t len, struct failure *out_failure)
{
    *out = (struct summary){.warning_count = 0};
    struct reading reading = {.rule = rule, .out = out, .failure = out_failure};
    json_t *root = summary_read_object(content, len, out_failure);
    if (!root)
        return false;
    bool ok = rule->own_schema ? read_own_form(&reading, root)
                               : read_summary(&reading, root) && read_points(&reading, root);
    json_decref(root);
    if (ok && reading.cleaned)
        warn(out, "invisible or control characters were taken out of the model's answer");
    if (ok && reading.unreadable)
        warn(out, "characters of the model's answer could not be read and are U+FFFD");
    if (!ok)
        summary_deinit(out);
    return ok;
}

static void free_strings(char **strings, size_t count)
{
    for (size_t i = 0; strings && i < count; i++)
        free(strings[i]);
    free(strings);
}

void summary_deinit(struct summary *summary)
{
    free(summary->summary);
    free(summary->output_json);
    free_strings(summary->points, summary->point_count);
    free_strings(summary->quotes, summary->point_count + summary->quote_count);
    free_strings(summary->quote_paths, summary->quote_count);
    for (size_t i = 0; i < summary->warning_count; i++)
        free(summary->warnings[i]);
    *summary = (struct summary){.warning_count = 0};
}

char *summary_output(const struct summary *summary)
{
    if (summary->output_json)
        return own_strdup(summary->output_json);
    json_t *points = json_array();
    for (size_t i = 0; i < summary->point_count; i++)
        json_array_append_new(points, json_string(summary->points[i]));
    json_t *root = json_pack("{s:s, s:o}", "summary", summary->summary, "key_points", points);
    CHECK(root);
    char *text = json_dumps(root, JSON_COMPACT);
    CHECK(text);
    json_decref(root);
    return text;
}
