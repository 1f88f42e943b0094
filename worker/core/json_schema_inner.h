// SPDX-License-Identifier: Apache-2.0
// Inside the JSON Schema validator: the compiled form. json_schema_build.c makes it,
// json_schema_check.c walks it, json_schema_assert.c has the rules without subschemas.
// Nobody else includes this.
#ifndef PRECIS_CORE_JSON_SCHEMA_INNER_H
#define PRECIS_CORE_JSON_SCHEMA_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"

enum schema_word {
#define RULE(name, keyword, shape) SCHEMA_##name,
#define WORD(name, keyword, shape) SCHEMA_##name,
#include "core/json_schema.def"
#undef RULE
#undef WORD
    SCHEMA_WORD_COUNT
};

// ---- patterns (json_schema_pattern.c)

struct schema_pattern;
// NULL: not a pattern, or too large a one; `why` (at least 200 bytes) says what PCRE2 says.
struct schema_pattern *schema_pattern_new(const char *text, size_t len, char *why,
                                          size_t why_bytes);
void schema_pattern_free(struct schema_pattern *pattern);

enum schema_match { SCHEMA_MATCHES, SCHEMA_DIFFERS, SCHEMA_MATCH_TOO_MUCH };
// Draws on steps_left for each item of the pattern that is tried.
enum schema_match schema_pattern_match(const struct schema_pattern *pattern, const char *text,
                                       size_t len, int64_t *steps_left);

// ---- the compiled schema

struct schema_resource {
    char *uri; // without a fragment; "" where the schema names none
};

struct schema_rule {
    enum schema_word word;
    json_t *value;                    // the keyword's value, in the schema's own copy
    struct schema_node **nodes;       // its subschemas, in the order of the value's members
    struct schema_pattern **patterns; // likewise
    size_t count;                     // of nodes, of patterns, or COUNT's number
};

struct schema_node {
    json_t *source;
    size_t resource;
    bool never;                 // the schema `false`
    const char *dynamic_anchor; // NULL: none
    struct schema_rule *rules;  // in the order of json_schema.def
    size_t rule_count;
};

struct schema_anchor {
    size_t resource;
    const char *name;
    struct schema_node *node;
    bool dynamic;
};

struct json_schema {
    json_t *source;
    struct schema_node **nodes; // all of them; the first is the root
    size_t node_count;
    struct schema_resource *resources; // the first is the root's
    size_t resource_count;
    struct schema_anchor *anchors;
    size_t anchor_count;
    bool ref_alone; // draft-07 and before: what stands beside $ref does not count
    bool tracks;    // there is an unevaluated… rule: what was evaluated must be remembered
};

// NULL: the node has no such keyword.
const struct schema_rule *schema_rule_of(const struct schema_node *node, enum schema_word word);

// ---- a check under way

// Which members or items of one value have been evaluated. Empty where nothing is tracked.
struct schema_marks {
    json_t *names;        // a set; NULL: none
    unsigned char *items; // a flag an item; NULL: none
};

// One node applied to one value.
struct schema_place {
    const struct schema_node *node;
    json_t *value;
    struct schema_marks *marks; // NULL: nobody asks
};

// The resources entered on the way here, innermost first.
struct schema_scope {
    size_t resource;
    const struct schema_scope *outer;
};

struct schema_check {
    const struct json_schema *schema;
    const struct schema_scope *scope;
    json_t *problems; // NULL: not asked for
    struct buf path;  // where in the instance, as a JSON Pointer
    int quiet;        // inside a branch whose failure is not a problem by itself
    int depth;
    int64_t steps_left;
    bool stopped; // a bound was passed: the instance does not pass, whatever `not` made of it
};

typedef bool schema_rule_function(struct schema_check *check, const struct schema_rule *rule,
                                  const struct schema_place *place);

#define RULE(name, keyword, shape) schema_rule_function schema_rule_##name;
#define WORD(name, keyword, shape)
#include "core/json_schema.def"
#undef RULE
#undef WORD

// Adds a problem where the walk stands, and answers false. `expected` is a format; `name` is the
// member that is meant (NULL: none, and then what the value is gets told).
bool schema_problem(struct schema_check *check, const json_t *value, const char *name,
                    const char *expected, ...) __attribute__((format(printf, 4, 5)));
// Passing a bound ends the check.
bool schema_stop(struct schema_check *check, const char *bound);
// A short JSON text of a value for a message; free() it.
char *schema_text_of(const json_t *value);

#endif
