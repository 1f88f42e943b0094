// SPDX-License-Identifier: Apache-2.0
// How a model API is spoken to: a request's body and address go out, an answer's bytes come in.
//
// Pure codecs: no connection, no clock. The engine makes a request of a prompt, hands it to the
// HTTP edge, and pushes into a reader what comes back: status, headers, bytes. The reader says when
// the answer is whole and turns everything else into one struct failure.
//
// When an answer counts (any other end is a failure, whatever the transport says):
// - HTTP 200, and the content type of a stream or of JSON;
// - no `error` member anywhere;
// - a finish reason that provider/finish_reasons.def knows;
// - of a stream: `[DONE]` behind it, or the clean end of the body, or two seconds without either;
//   of a plain answer: the whole JSON.
// A refusal, a content filter and a limit are whole answers too: they come with a failure, and with
// the usage that is paid for.
//
// `doubtful` is set in the failure where the request may be paid without a whole answer: cut, timed
// out, connection lost, garbage under 200, an error in a stream after content without a usage. It
// is not set for an HTTP error status.
#ifndef PRECIS_PROVIDER_PROVIDER_H
#define PRECIS_PROVIDER_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/config.h"
#include "core/prompt.h"
#include "core/rate_words.h"
#include "core/spec.h"
#include "core/usage.h"

// ----------------------------------------------------------------------------------- requests

struct model_order {
    const struct config_model *model;
    const struct prompt *prompt;
    int64_t max_output_tokens; // 0: the model's
    const char *temperature;   // decimal, as it is sent; NULL: the model's own
    enum reasoning_mode reasoning_mode;
    const char *reasoning_effort; // NULL: none
    bool stream;
};

// Appends the request's body. False: ERR_PARAMETER_CONFLICT with a suggestion, nothing is sent or
// paid: mode and effort together, a parameter that the model is not configured for, a temperature
// that is no number from 0 to 2.
bool provider_request(struct buf *out_body, const struct model_order *order,
                      struct failure *out_failure);
// The same check without a body, for the time before anything is reserved.
bool provider_check(const struct model_order *order, struct failure *out_failure);
// Appends the address that the body is posted to. False: the provider's `api` is not spoken yet.
bool provider_path(struct buf *out_url, const struct config_model *model);
// Appends the address of the cheapest authorised GET, the list of models: it tells a bad key (401,
// 403) from a request that is forbidden.
bool provider_probe_path(struct buf *out_url, const struct config_provider *provider);

// ------------------------------------------------------------------------------------ answers

// Caps, in bytes after decoding.
#define READER_LINE_BYTES   (1024 * 1024)
#define READER_EVENT_BYTES  (1024 * 1024)
#define READER_ANSWER_BYTES (4 * 1024 * 1024)  // of content, and of a plain answer's body
#define READER_STREAM_BYTES (64 * 1024 * 1024) // of a stream's body
#define READER_ERROR_BYTES  (64 * 1024)        // of an error's body; the rest is dropped
#define READER_HEADERS      200

struct reader;

enum reader_state {
    READER_MORE,
    READER_FINISHED, // the finish reason has come, the end marker not yet: wait 2 s at most
    READER_COMPLETE, // the end marker has come; what follows is ignored
    READER_BAD,      // hopeless: end the transfer; reader_end says why
};

enum reader_end_cause {
    READER_END_EOF,    // the transfer ended as HTTP says it should
    READER_END_GRACE,  // READER_FINISHED, and no marker in 2 s
    READER_END_BROKEN, // the transfer failed or was given up
};

struct model_answer {
    struct failure failure; // ERR_NONE: the content is whole
    char *content;          // valid UTF-8; of a failure: what came until then. Never NULL
    size_t content_len;
    bool length_limited; // the output limit ended it; the failure is ERR_OUTPUT_LIMIT
    struct usage usage;  // usage.known false: the caller estimates
    char response_model[128];
    char request_id[128];
    char finish_reason[32];
    int64_t cost_reported_picousd; // the provider's own word on the cost; -1: none
    size_t content_bytes_seen;     // of content, refusal and reasoning together; of a plain answer
                                   // that was cut, of its body
    int http_status;               // 0: none came
    bool usage_alarm;              // the usage contradicts itself
    bool model_alarm; // the answer's model does not begin with the name that was asked for
};

struct reader *reader_new(const struct config_model *model, bool stream);
void reader_free(struct reader *reader);
// A status line. A second one (after 100 or 103) makes the headers before it void.
void reader_status(struct reader *reader, int status);
void reader_header(struct reader *reader, const char *name, const char *value);
// What its headers said of the rate, so far. Borrowed.
const struct rate_words *reader_rate(const struct reader *reader);
enum reader_state reader_push(struct reader *reader, const char *data, size_t len);
// Grows whenever the model shows that it works: content, reasoning, refusal; in a plain answer, any
// byte that is not white space. Keep-alive comments don't count. For the idle clock.
int64_t reader_content_events(const struct reader *reader);
// Once, at the end. `transport` says what broke; NULL unless READER_END_BROKEN. `out` is the
// caller's, cleared with model_answer_deinit.
void reader_end(struct reader *reader, enum reader_end_cause cause, const struct failure *transport,
                int64_t unix_now_ms, struct model_answer *out);
void model_answer_deinit(struct model_answer *answer);

// Appends "<Provider> API error <status>: <message>. Suggestion: <suggestion>." Where no status
// came, or 200, the error's code stands in its place.
void provider_sentence(struct buf *out, const char *provider_name, const struct failure *failure);

#endif
