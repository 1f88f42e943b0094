// SPDX-License-Identifier: Apache-2.0
// What a request wants its summary to be like.
#ifndef MODELSIM_WISH_H
#define MODELSIM_WISH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct summary_wish {
    size_t max_chars;  // code points; 300 when nothing is said
    size_t min_points; // 3
    size_t max_points; // 5
    bool quotes;       // key points are objects {point, quote}
};

// True for a schema whose object has exactly the members summary and key_points.
bool wish_is_summary(const json_t *schema);

// True for {output, quotes}: a user's own form with quotes beside it.
bool wish_is_cited(const json_t *schema);

// From the schema (NULL for none: key points then carry quotes if the system text shows a "quote"
// member), else from "at most N characters" and "N to M points" (or entries) in the system text.
void wish_read(const json_t *schema, const char *system, struct summary_wish *out_wish);

// A JSON Schema written into an instruction; the caller owns it. NULL where there is none.
json_t *wish_schema_in_text(const char *text, size_t len);

#endif
