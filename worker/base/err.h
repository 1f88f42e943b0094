// SPDX-License-Identifier: Apache-2.0
// Error codes, their classes, and what leaves a layer when something fails.
// The rows are in err.def; code, class, metric label, suggestion and documentation come from there.
#ifndef PRECIS_BASE_ERR_H
#define PRECIS_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum err_code {
#define ERR(name, code, class, suggestion) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

// What happens to a job whose call failed so (CONTRACT.md, section 9).
enum err_class {
    ERR_CLASS_NONE,
    ERR_CLASS_THROTTLED,  // the key waits as told; no attempt used
    ERR_CLASS_TRANSIENT,  // retried with backoff
    ERR_CLASS_EXHAUSTED,  // the key closes, its jobs wait
    ERR_CLASS_KEY,        // the key closes, its jobs wait; one probe
    ERR_CLASS_TOO_LONG,   // split or truncated
    ERR_CLASS_BAD_OUTPUT, // one repair
    ERR_CLASS_CUT_OFF,    // once more with more room
    ERR_CLASS_REFUSED,
    ERR_CLASS_FILTERED,
    ERR_CLASS_FATAL,
    ERR_CLASS_CANCELLED,
    ERR_CLASS_INPUT,
};

#define FAILURE_DETAIL_BYTES     600
#define FAILURE_SUGGESTION_BYTES 400

// What leaves a layer. Small, copied by value, redacted by whoever fills it from foreign text.
struct failure {
    enum err_code code;                // ERR_NONE: no failure
    int http_status;                   // 0 where none came
    bool doubtful;                     // a request left and no complete answer came: it may be paid
    bool say_retry;                    // the provider's x-should-retry: true
    bool say_no_retry;                 // the provider's x-should-retry: false
    int64_t retry_after_ms;            // -1 where none was said
    char detail[FAILURE_DETAIL_BYTES]; // the provider's or our words, bounded
    char suggestion[FAILURE_SUGGESTION_BYTES]; // the provider's own; "" means the table's
};

// A failure with its code and a formatted, truncated detail; everything else is "not said".
void failure_set(struct failure *failure, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The class, as in the table.
enum err_class err_class(enum err_code code);
const char *err_class_name(enum err_class class);
// "http_503", "timeout_idle": the code as users see it, into `out` (at least 40 bytes); returns
// out.
const char *failure_code(const struct failure *failure, char *out, size_t out_bytes);
// The provider's suggestion where there is one, else the table's; never "".
const char *failure_suggestion(const struct failure *failure);
// The table's row by number, for documentation and schemas.
const char *err_code_text(enum err_code code);
const char *err_suggestion(enum err_code code);
// The code of a stored text ("http_503" finds HTTP_TRANSIENT); ERR_NONE where unknown.
enum err_code err_from_text(const char *text);

#endif
