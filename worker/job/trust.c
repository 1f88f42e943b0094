// SPDX-License-Identifier: Apache-2.0
// What can be checked of a summary: its quotes are looked up in the source, and so are the amounts,
// percentages, dates, numbers and names that it states. What is not there becomes a warning that
// says where it stands; nothing is changed or left out.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/check.h"
#include "base/own.h"
#include "core/facts.h"
#include "core/ground.h"
#include "job/parts.h"

#define MAX_WARNINGS 20 // of each sort; the rest is counted
#define MAX_DEPTH    64 // as core/summary.c lets pass

// ------------------------------------------------------------------------------------- warnings

void trust_clear(struct record_draft *draft)
{
    for (size_t i = 0; i < draft->warning_count; i++)
        free(draft->warnings[i]);
    free(draft->warnings);
    free(draft->citations);
    draft->warnings = NULL;
    draft->citations = NULL;
    draft->warning_count = 0;
}

static void warn(struct record_draft *draft, const char *text)
{
    draft->warnings = own_grow(draft->warnings, draft->warning_count + 1, sizeof(char *));
    draft->warnings[draft->warning_count++] = own_strdup(text);
}

// "… and 5 more", where there were more than are told.
static void warn_of_more(struct record_draft *draft, size_t found, const char *what)
{
    char text[120];
    if (found <= MAX_WARNINGS)
        return;
    snprintf(text, sizeof(text), "… and %zu more %s not in the document", found - MAX_WARNINGS,
             what);
    warn(draft, text);
}

// ------------------------------------------------------------------------------------- quotes

static void find_quote(struct ground *ground, struct citation_row *row, const char *quote)
{
    row->quote = quote;
    row->from = row->to = -1;
    size_t from, to;
    if (ground_find(ground, quote, strlen(quote), &from, &to)) {
        row->found = true;
        row->from = (int64_t)from;
        row->to = (int64_t)to;
    }
}

static void cite(struct job *job, struct summary_row *row)
{
    const struct summary *summary = &job->summary;
    bool leaves = summary->output_json != NULL;
    size_t count = leaves ? summary->quote_count : summary->point_count;
    struct citation_row *rows = own_array(count, sizeof(*rows));
    struct ground *ground = ground_new(job->text, job->text_len);
    size_t used = 0;
    for (size_t i = 0; summary->quotes && i < count; i++) {
        if (!summary->quotes[i] || !summary->quotes[i][0])
            continue;
        struct citation_row *citation = &rows[used++];
        *citation = (struct citation_row){.point = leaves ? 0 : (int32_t)i + 1,
                                          .path = leaves ? summary->quote_paths[i] : NULL};
        find_quote(ground, citation, summary->quotes[i]);
    }
    ground_free(ground);
    job->draft.citations = rows;
    row->citations = rows;
    row->citation_count = used;
}

static void warn_of_quotes(struct record_draft *draft, const struct summary_row *row)
{
    size_t found = 0;
    for (size_t i = 0; i < row->citation_count; i++) {
        const struct citation_row *citation = &row->citations[i];
        char text[300];
        if (citation->found || ++found > MAX_WARNINGS)
            continue;
        if (citation->point)
            snprintf(text, sizeof(text),
                     "the quote of key point %" PRId32 " is not in the document", citation->point);
        else
            snprintf(text, sizeof(text), "the quote for %.200s is not in the document",
                     citation->path[0] ? citation->path : "the output");
        warn(draft, text);
    }
    warn_of_more(draft, found, "quotes are");
}

// ------------------------------------------------------------------------------------- facts

// The texts of a summary, and the names of their places.
struct claims {
    struct facts *facts;
    char **places; // by the number that the facts are given
    size_t count;
};

static int32_t add_place(struct claims *claims, const char *name)
{
    claims->places = own_grow(claims->places, claims->count + 1, sizeof(char *));
    claims->places[claims->count] = own_strdup(name);
    return (int32_t)claims->count++;
}

static void claim_text(struct claims *claims, const char *text, const char *place)
{
    if (text)
        facts_claim(claims->facts, text, strlen(text), add_place(claims, place));
}

static void claim_points(struct claims *claims, const struct summary *summary)
{
    claim_text(claims, summary->summary, "summary");
    for (size_t i = 0; i < summary->point_count; i++) {
        char place[40];
        snprintf(place, sizeof(place), "key point %zu", i + 1);
        claim_text(claims, summary->points[i], place);
    }
}

// A number as JSON writes it, for the value and not for its spelling.
static void claim_number(struct claims *claims, const json_t *leaf, const char *place)
{
    char number[40];
    if (json_is_integer(leaf))
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(leaf));
    else
        snprintf(number, sizeof(number), "%.15g", json_real_value(leaf));
    facts_claim_number(claims->facts, number, add_place(claims, place));
}

static void claim_leaf(struct claims *claims, json_t *value, struct buf *path);

// The member under its name of a JSON Pointer.
static void claim_member(struct claims *claims, json_t *value, struct buf *path, const char *name)
{
    size_t len = path->len;
    buf_add_char(path, '/');
    for (const char *c = name; *c; c++)
        if (*c == '~' || *c == '/')
            buf_add_str(path, *c == '~' ? "~0" : "~1");
        else
            buf_add_char(path, *c);
    claim_leaf(claims, value, path);
    path->len = len;
    path->data[len] = '\0';
}

// Every text and number in the value; no deeper than the parser let pass.
static void claim_leaf(struct claims *claims, json_t *value, struct buf *path)
{
    char place[240];
    snprintf(place, sizeof(place), "output %.220s", buf_str(path));
    if (json_is_string(value))
        claim_text(claims, json_string_value(value), place);
    if (json_is_number(value))
        claim_number(claims, value, place);
    for (size_t i = 0; i < json_array_size(value); i++) {
        char index[24];
        snprintf(index, sizeof(index), "%zu", i);
        claim_member(claims, json_array_get(value, i), path, index);
    }
    for (void *i = json_object_iter(value); i; i = json_object_iter_next(value, i))
        claim_member(claims, json_object_iter_value(i), path, json_object_iter_key(i));
}

static void claim_output(struct claims *claims, const char *output_json)
{
    struct buf path OWN_BUF;
    buf_init(&path, 0);
    json_t *output = json_loads(output_json, 0, NULL);
    if (!output)
        output = json_loads(output_json, JSON_DECODE_INT_AS_REAL, NULL);
    claim_leaf(claims, output, &path);
    json_decref(output);
}

static void warn_of_facts(struct record_draft *draft, const struct claims *claims)
{
    size_t cursor = 0, found = 0;
    struct fact_missing missing;
    while (facts_missing(claims->facts, &cursor, &missing)) {
        char text[420];
        if (++found > MAX_WARNINGS)
            continue;
        CHECK(claims->places && (size_t)missing.place < claims->count);
        snprintf(text, sizeof(text), "%s \"%s\" (%s) is not in the document",
                 fact_kind_name(missing.kind), missing.text, claims->places[missing.place]);
        warn(draft, text);
    }
    warn_of_more(draft, found, "amounts, dates, numbers and names are");
    if (facts_were_too_many(claims->facts))
        warn(draft, "only the first 2000 amounts, dates, numbers and names were looked up");
}

static void check_facts(struct job *job, const struct fact_words *words)
{
    struct claims claims = {.facts = facts_new(words)};
    if (job->summary.output_json)
        claim_output(&claims, job->summary.output_json);
    else
        claim_points(&claims, &job->summary);
    facts_search(claims.facts, job->text, job->text_len);
    warn_of_facts(&job->draft, &claims);
    facts_free(claims.facts);
    for (size_t i = 0; i < claims.count; i++)
        free(claims.places[i]);
    free(claims.places);
}

// ------------------------------------------------------------------------------------- public

void trust_check(struct job *job, struct summary_row *row, const struct fact_words *words)
{
    struct record_draft *draft = &job->draft;
    trust_clear(draft);
    for (size_t i = 0; i < row->warning_count; i++)
        warn(draft, row->warnings[i]);
    cite(job, row);
    warn_of_quotes(draft, row);
    if (job->text_len)
        check_facts(job, words);
    row->warnings = (const char *const *)draft->warnings;
    row->warning_count = draft->warning_count;
}
