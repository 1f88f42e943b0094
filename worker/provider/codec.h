// SPDX-License-Identifier: Apache-2.0
// Inside of provider/: what an API's codec has to offer, and the reader that it fills.
//
// The reader knows HTTP, event streams, caps and the completion rule; the codec knows where an API
// keeps its content, finish reason, usage and errors.
#ifndef PRECIS_PROVIDER_CODEC_H
#define PRECIS_PROVIDER_CODEC_H

#include "core/sse.h"
#include "provider/provider.h"

// Where an error came from, for its class and its suggestion.
struct error_source {
    const struct config_model *model;
    int http_status;          // 200 for an error inside an answer
    const char *content_type; // "" where none came
    const char *body;         // of the whole answer, or of one event
    size_t body_len;
    size_t body_bytes; // of which body_len were kept
};

struct codec {
    const char *api; // the configuration's name for it
    const char *path, *probe_path;
    bool (*check)(const struct model_order *order, struct failure *out_failure);
    void (*request)(struct buf *out_body, const struct model_order *order);
    // One event of a stream. A fault is set with reader_fail.
    void (*event)(struct reader *reader, const struct sse_event *event);
    // A plain answer's whole body. False: it is no answer of this API.
    bool (*body)(struct reader *reader, const char *data, size_t len);
    // An error, of a status or inside an answer: code, status, detail, suggestion, and
    // retry_after_ms where the body says it. The headers are the caller's.
    void (*error)(struct failure *out, const struct error_source *source);
};

extern const struct codec openai_codec;
// NULL: not spoken yet.
const struct codec *codec_of(const struct config_provider *provider);

enum body_form {
    BODY_UNKNOWN, // nothing of the body has come
    BODY_EVENTS,
    BODY_JSON,
    BODY_ERROR,   // an HTTP error's
    BODY_FOREIGN, // HTML and the like
};

struct reader_headers {
    size_t count;
    char content_type[64];
    char retry_after[64], retry_after_ms[32];
    char request_id[128];
    bool say_retry, say_no_retry;
    struct rate_words rate;
};

struct reader {
    const struct config_model *model;
    const struct codec *codec;
    bool stream; // asked for
    int status;
    struct reader_headers headers;
    enum body_form form;
    struct sse sse;
    struct buf body; // of everything but a stream
    size_t body_bytes;

    // Filled by the codec.
    struct buf content, refusal;
    size_t reasoning_bytes;
    char finish_reason[32];
    bool done; // the end marker
    bool tool_calls;
    struct usage usage;
    bool usage_alarm;
    int64_t cost_reported_picousd;
    char response_model[128], answer_id[128];
    int64_t content_events;

    struct failure failure; // ERR_NONE until a fault; then the reader is READER_BAD
};

// A fault in what came under HTTP 200; the first one stays.
void reader_fail(struct reader *reader, enum err_code code, bool doubtful, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// ------------------------------------------------------------------------------------- OpenAI

// As in struct codec.
void openai_event(struct reader *reader, const struct sse_event *event);
bool openai_body(struct reader *reader, const char *data, size_t len);

void openai_error_read(struct failure *out, const struct error_source *source);
// From a JSON value `usage`; text in, since it is rare and small.
void openai_usage_read(struct reader *reader, const char *json, size_t len);

#endif
