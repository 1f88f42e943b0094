// SPDX-License-Identifier: Apache-2.0
// Reads and checks what a model wrote as a summary.
//
// One Markdown fence around the JSON is taken off, with what stands outside it ("Here it is:");
// nothing else is forgiven: other text before or after the object, two objects, single quotes are
// ERR_NOT_JSON. Members that were not asked for are dropped. What comes out is cleaned as
// core/visible.h says, with a warning where anything had to go or could not be read, and can be
// stored as it is: valid UTF-8, no NUL, no lone surrogate.
#ifndef PRECIS_CORE_SUMMARY_H
#define PRECIS_CORE_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/prompt.h"

struct json_schema;
struct json_t;

// Under so many code points of text fewer key points pass than the job's minimum.
#define SUMMARY_SHORT_SOURCE_CHARS 600
#define SUMMARY_MAX_BYTES          (1024 * 1024)
#define SUMMARY_WARNINGS           8

struct summary_rule {
    enum prompt_kind kind;
    int64_t max_chars; // code points of the summary
    int64_t points_min, points_max;
    bool evidence;   // each key point comes with its quote
    bool own_schema; // the user's own form: output_json instead of summary and points
    const struct json_schema *schema; // of own_schema, borrowed; NULL: any object passes
    size_t source_chars;              // code points of the document, the part, or the whole
    bool final; // the repair has been used: a summary that is too long is cut, not refused
};

struct summary {
    char *summary; // NULL with the user's own form
    char **points;
    char **quotes; // evidence: a quote a point; else NULL
    size_t point_count;
    char *output_json;  // the user's own form, compact; else NULL
    char **quote_paths; // own form with evidence: where in output_json, as a JSON Pointer
    size_t quote_count; // own form with evidence: of quotes and quote_paths
    char *warnings[SUMMARY_WARNINGS];
    size_t warning_count;
};

// The rule for a call of this kind.
struct summary_rule summary_rule_of(const struct job_spec *spec, enum prompt_kind kind,
                                    const struct json_schema *schema, size_t source_chars,
                                    bool final);
// Fills `out`, which the caller clears with summary_deinit. False: `out` is empty, and the failure
// is ERR_NOT_JSON or ERR_SCHEMA_MISMATCH; its detail is one clause in our words, without any of the
// model's, and fit for the repair prompt ("summary has 412 characters, at most 300 are allowed").
bool summary_parse(struct summary *out, const struct summary_rule *rule, const char *content,
                   size_t len, struct failure *out_failure);
void summary_deinit(struct summary *summary);
// The part of it that reads: the model's text as one JSON object, with the same forgiveness. The
// caller drops it. NULL: ERR_NOT_JSON.
struct json_t *summary_read_object(const char *content, size_t len, struct failure *out_failure);
// What the job's result holds (CONTRACT.md, section 2): the user's own form, or
// {"summary": string, "key_points": [string]}; compact, on the heap.
char *summary_output(const struct summary *summary);

#endif
