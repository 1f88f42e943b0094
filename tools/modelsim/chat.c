// SPDX-License-Identifier: Apache-2.0
// POST /v1/chat/completions, from the request to the reply.
//
// The order is a provider's: key, body, model, parameters, faults that refuse, sizes, limits; then
// the answer is written, counted and billed, and only then sent, whole or not.
#include "respond.h"
#include "sim.h"
#include "tokens.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// One request on its way through this file.
struct exchange {
    struct sim *sim;
    const struct http_request *http;
    struct reply *reply;
    const struct model *model;
    const struct fault *fault; // never NULL
    size_t key;
    struct limit_rule rule;
    struct limit_state limit_state;
    struct usage usage;
    const char *finish;
};

struct refusal {
    unsigned status;
    const char *type, *code, *param, *message; // code is JSON, NULL is null
    const char *suggestion, *top_suggestion;
};

static const struct fault healthy = {.name = "none"};
static const struct fault closed = {.name = "closed"};

// Each key and model has its own limits and its own cache.
static size_t slot_of(const struct exchange *x)
{
    const struct settings *settings = &x->sim->settings;
    size_t keys = settings->key_count ? settings->key_count : 1;
    return (size_t)(x->model - settings->models) * keys + x->key;
}

static void exchange_head(const struct exchange *x, unsigned status, struct head *out)
{
    *out = (struct head){.status = status,
                         .content_type = "application/json",
                         .headers = x->sim->headers.len ? x->sim->headers.data : "",
                         .request_number = x->sim->requests,
                         .wall_ms = sim_wall_ms(),
                         .chunked_ok = x->http->chunked_ok};
}

static void bill(struct exchange *x, unsigned status, enum outcome now, enum outcome after)
{
    bool paid = now == OUTCOME_PENDING;
    struct bill_entry entry = {
        .client_request_id = (char *)(uintptr_t)x->http->client_request_id,
        .idempotency_key = (char *)(uintptr_t)x->http->idempotency_key,
        .model = x->model->name,
        .fault = x->fault == &healthy ? NULL : x->fault->name,
        .usage = paid ? x->usage : (struct usage){0},
        .picousd = paid ? money_of_call(&x->model->price, &x->usage) : 0,
        .at_ms = sim_wall_ms(),
        .number = x->sim->requests,
        .key = (uint32_t)x->key,
        .status = (uint16_t)status,
        .outcome = (uint8_t)now,
        .after = (uint8_t)after,
        .billed = paid,
    };
    reply_call call = bill_add(&x->sim->bill, &entry);
    x->reply->call = paid ? call : 0;
}

// --- refusing

static void add_member(struct buf *out, const char *name, const char *text)
{
    buf_add_text(out, name);
    if (!text) {
        buf_add_text(out, "null");
        return;
    }
    buf_add_text(out, "\"");
    buf_add_json(out, text, strlen(text));
    buf_add_text(out, "\"");
}

static void write_error(const struct refusal *refusal, struct buf *out)
{
    add_member(out, "{\"error\":{\"message\":", refusal->message);
    add_member(out, ",\"type\":", refusal->type);
    add_member(out, ",\"param\":", refusal->param);
    buf_add_text(out, ",\"code\":");
    buf_add_text(out, refusal->code ? refusal->code : "null");
    if (refusal->suggestion)
        add_member(out, ",\"suggestion\":", refusal->suggestion);
    buf_add_text(out, "}");
    if (refusal->top_suggestion)
        add_member(out, ",\"suggestion\":", refusal->top_suggestion);
    buf_add_text(out, "}\n");
}

static void refuse(struct exchange *x, const struct refusal *refusal)
{
    struct body *body = &x->sim->body;
    struct head head;
    body_clear(body);
    write_error(refusal, &body->bytes);
    body_mark(body, 0);
    exchange_head(x, refusal->status, &head);
    respond_body(&head, body, false, x->fault, NULL, x->reply);
    x->sim->by_status[refusal->status / 100]++;
    if (x->model)
        bill(x, refusal->status,
             refusal->status == 429 && x->fault->outcome != OUTCOME_REFUSED ? OUTCOME_THROTTLED
                                                                            : OUTCOME_REFUSED,
             OUTCOME_REFUSED);
}

static bool refuse_simple(struct exchange *x, unsigned status, const char *code, const char *param,
                          const char *message)
{
    refuse(x, &(struct refusal){.status = status,
                                .type = "invalid_request_error",
                                .code = code,
                                .param = param,
                                .message = message});
    return false;
}

bool chat_admit(struct sim *sim, const struct http_request *request, struct reply *reply,
                size_t *out_key)
{
    struct exchange x = {.sim = sim, .http = request, .reply = reply, .fault = &healthy};
    const char *key = request->authorization;
    *out_key = 0;
    buf_clear(&sim->headers);
    if (sim->settings.key_count == 0)
        return true;
    if (strncasecmp(key, "bearer ", 7) == 0)
        for (size_t i = 0; i < sim->settings.key_count; i++)
            if (strcmp(key + 7, sim->settings.keys[i].text) == 0) {
                *out_key = i;
                return true;
            }
    return refuse_simple(&x, 401, "\"invalid_api_key\"", NULL, "Incorrect API key provided.");
}

// --- faults

static const struct fault *choose_fault(struct exchange *x)
{
    struct sim *sim = x->sim;
    const struct buf *user = &sim->request.user;
    const struct fault *fault =
        sim->settings.key_count > 0 ? sim->settings.keys[x->key].fault : NULL;
    if (!fault && user->len > 0)
        fault = fault_by_marker(&sim->attempts, user->data, user->len, x->model->name);
    if (!fault && sim->next_fault < sim->settings.next_count)
        fault = sim->settings.next[sim->next_fault++];
    for (size_t i = 0; !fault && i < sim->settings.chance_count; i++)
        if (sim_random(sim, 1000000) < sim->settings.chances[i].per_million)
            fault = sim->settings.chances[i].fault;
    return fault && !(fault->only_reused && !x->http->reused) ? fault : &healthy;
}

// "@p" and "@c" in a fault's message: the prompt's tokens and the model's context.
static void expand_message(const struct exchange *x, const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (text[0] == '@' && (text[1] == 'p' || text[1] == 'c'))
            buf_add_number(out, *++text == 'p' ? x->usage.prompt_tokens : x->model->context_tokens);
        else
            buf_add(out, text, 1);
    }
}

static void refuse_by_body(struct exchange *x)
{
    const struct fault *fault = x->fault;
    struct body *body = &x->sim->body;
    struct head head;
    body_clear(body);
    buf_add_text(&body->bytes, fault->error_body);
    body_mark(body, 0);
    exchange_head(x, fault->status, &head);
    if (fault->error_content_type)
        head.content_type = fault->error_content_type;
    respond_body(&head, body, false, fault, NULL, x->reply);
    x->sim->by_status[fault->status / 100]++;
    bill(x, fault->status, fault->status == 429 ? OUTCOME_THROTTLED : OUTCOME_REFUSED,
         OUTCOME_REFUSED);
}

// A fault that gives an error instead of an answer. True when it did.
static bool refuse_by_fault(struct exchange *x)
{
    const struct fault *fault = x->fault;
    struct head head;
    if (fault->raw) {
        exchange_head(x, 0, &head);
        respond_raw(&head, fault, x->reply);
        bill(x, 0, OUTCOME_REFUSED, OUTCOME_REFUSED);
        return true;
    }
    if (fault->status == 0)
        return false;
    if (fault->error_body) {
        refuse_by_body(x);
        return true;
    }
    struct buf *message = &x->sim->content;
    buf_clear(message);
    expand_message(x, fault->message, message);
    refuse(x, &(struct refusal){.status = fault->status,
                                .type = fault->type,
                                .code = fault->code,
                                .param = fault->param,
                                .message = message->data,
                                .suggestion = fault->suggestion,
                                .top_suggestion = fault->top_suggestion});
    return true;
}

// --- what a provider checks

static bool check_sizes(struct exchange *x)
{
    const struct chat_request *request = &x->sim->request;
    char text[300];
    if (x->usage.prompt_tokens > x->model->context_tokens) {
        snprintf(text, sizeof text,
                 "This model's maximum context length is %" PRIu64
                 " tokens. However, your messages resulted in %" PRIu64
                 " tokens. Please reduce the length of the messages.",
                 x->model->context_tokens, x->usage.prompt_tokens);
        return refuse_simple(x, 400, "\"context_length_exceeded\"", "messages", text);
    }
    if (request->has_limit && request->limit_tokens > x->model->max_output_tokens) {
        snprintf(text, sizeof text,
                 "max_tokens is too large: %" PRIu64 ". This model supports at most %" PRIu64
                 " completion tokens, whereas you provided %" PRIu64 ".",
                 request->limit_tokens, x->model->max_output_tokens, request->limit_tokens);
        return refuse_simple(x, 400, "\"invalid_value\"", "max_tokens", text);
    }
    return true;
}

static void add_retry_headers(uint64_t wait_ms, struct buf *out)
{
    buf_add_format(out, "Retry-After: %" PRIu64 "\r\nretry-after-ms: %" PRIu64 "\r\n",
                   (wait_ms + 999) / 1000, wait_ms);
}

static bool refuse_by_limit(struct exchange *x, uint64_t wanted)
{
    static const char *const names[LIMIT_KINDS] = {"requests per min (RPM)", "tokens per min (TPM)",
                                                   "input tokens per min (ITPM)",
                                                   "output tokens per min (OTPM)"};
    enum limit_kind kind = x->limit_state.short_of;
    struct buf message = {0};
    buf_add_format(&message,
                   "Rate limit reached for %s on %s: Limit %" PRIu64 ", Requested %" PRIu64
                   ". Please try again in ",
                   x->model->name, names[kind], x->rule.per_minute[kind], wanted);
    duration_write(x->limit_state.wait_ms, &message);
    buf_add_text(&message, ".");
    add_retry_headers(x->limit_state.wait_ms, &x->sim->headers);
    refuse(x, &(struct refusal){.status = 429,
                                .type = kind == LIMIT_REQUESTS ? "requests" : "tokens",
                                .code = "\"rate_limit_exceeded\"",
                                .message = message.data});
    buf_free(&message);
    return false;
}

// A key that was closed for a while says so, and when it opens.
static bool check_open(struct exchange *x)
{
    const struct sim *sim = x->sim;
    uint64_t now_ms = uv_now(&sim->loop);
    if (x->key >= sim->closed_count || now_ms >= sim->closed_until_ms[x->key])
        return true;
    x->fault = &closed;
    add_retry_headers(sim->closed_until_ms[x->key] - now_ms, &x->sim->headers);
    refuse(x, &(struct refusal){.status = 429,
                                .type = "requests",
                                .code = "\"rate_limit_exceeded\"",
                                .message = "This key is closed for a while."});
    return false;
}

// An own server's way of being full: it tells no limit.
static bool check_room(struct exchange *x)
{
    const struct sim *sim = x->sim;
    if (sim->settings.in_flight == 0 || sim->in_flight < sim->settings.in_flight)
        return true;
    refuse(x, &(struct refusal){.status = 503,
                                .type = "server_error",
                                .message = "The server is full. Try again."});
    return false;
}

// All keys' limits, where the caller's key has none of its own.
static struct limit_rule rule_of(const struct exchange *x)
{
    const struct settings *settings = &x->sim->settings;
    struct limit_rule rule = settings->limits;
    if (settings->key_count == 0)
        return rule;
    const struct api_key *key = &settings->keys[x->key];
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        if (key->per_minute[k] > 0)
            rule.per_minute[k] = key->per_minute[k];
    if (key->foreign_percent > 0)
        rule.foreign_percent = key->foreign_percent;
    return rule;
}

static bool has_limits(const struct limit_rule *rule)
{
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        if (rule->per_minute[k] > 0)
            return true;
    return false;
}

static bool check_limits(struct exchange *x)
{
    struct sim *sim = x->sim;
    x->rule = rule_of(x);
    if (!has_limits(&x->rule))
        return true;
    uint64_t asked =
        sim->request.has_limit ? sim->request.limit_tokens : x->model->max_output_tokens;
    uint64_t written = x->usage.visible_tokens + x->usage.reasoning_tokens;
    written = sim->settings.tpm_asked ? asked : written;
    uint64_t want[LIMIT_KINDS] = {[LIMIT_REQUESTS] = 1,
                                  [LIMIT_TOKENS] = x->usage.prompt_tokens + written,
                                  [LIMIT_INPUT] = x->usage.prompt_tokens,
                                  [LIMIT_OUTPUT] = written};
    limits_take(&sim->limits, slot_of(x), &x->rule, want, uv_now(&sim->loop), &x->limit_state);
    limits_headers(&x->rule, &x->limit_state, &sim->headers);
    return x->limit_state.allowed || refuse_by_limit(x, want[x->limit_state.short_of]);
}

// --- the answer

static const char canned[] =
    "{\"summary\":\"This is a canned summary. It does not depend on the document and is always the "
    "same.\",\"key_points\":[{\"point\":\"The first point.\",\"quote\":\"The\"},{\"point\":\"The "
    "second point.\",\"quote\":\"The\"},{\"point\":\"The third point.\",\"quote\":\"The\"}]}";

static uint64_t count_tokens(const struct exchange *x, const struct buf *text)
{
    return tokens_from_quarters(tokens_quarters(text->data, text->len), x->model->factor_milli);
}

// Writes the content and cuts it to the limit; fills usage and finish.
static void write_content(struct exchange *x)
{
    struct sim *sim = x->sim;
    struct buf *content = &sim->content;
    const struct chat_request *request = &sim->request;
    buf_clear(content);
    if (sim->settings.canned && x->fault == &healthy)
        buf_add(content, canned, sizeof canned - 1);
    else
        answer_write(&sim->answer, request, x->fault->spoil, x->fault->inner, content);
    x->finish = x->fault->finish ? x->fault->finish : "\"stop\"";
    if (!request->stream && (x->fault->stream & STREAM_NO_FINISH))
        x->finish = "null";
    if (x->fault->keep_percent > 0)
        content->len =
            utf8_prefix(content->data, content->len,
                        utf8_chars(content->data, content->len) * x->fault->keep_percent / 100);
    uint64_t reasoning = x->fault->reasoning_tokens;
    x->usage.reasoning_tokens = reasoning ? reasoning : sim->settings.reasoning_tokens;
    uint64_t limit = request->has_limit ? request->limit_tokens : x->model->max_output_tokens;
    uint64_t room = limit > x->usage.reasoning_tokens ? limit - x->usage.reasoning_tokens : 0;
    x->usage.visible_tokens = count_tokens(x, content);
    if (x->usage.visible_tokens > room && !x->fault->no_limit) {
        content->len = tokens_prefix(content->data, content->len, x->model->factor_milli, room);
        x->usage.visible_tokens = count_tokens(x, content);
        x->finish = "\"length\"";
    }
}

static uint64_t draw(struct sim *sim, const struct range_ms *range)
{
    return range->least + sim_random(sim, range->most - range->least + 1);
}

static const char *answer_model(struct exchange *x, struct buf *name)
{
    const char *other = x->fault->model;
    if (!other)
        return x->model->name;
    buf_add_format(name, "%s%s", *other == '@' ? x->model->name : "",
                   *other == '@' ? other + 1 : other);
    return name->data;
}

static void prepare_repeat(const struct exchange *x, const struct completion *completion,
                           bool stream, struct buf *out)
{
    const char *what = x->fault->repeat ? x->fault->repeat : "";
    if (strcmp(what, "gzip") == 0)
        gzip_bomb(out);
    else if (strcmp(what, "filler") == 0)
        completion_filler(completion, stream, out);
}

static void send_answer(struct exchange *x)
{
    struct sim *sim = x->sim;
    const struct settings *settings = &sim->settings;
    bool stream = sim->request.stream;
    struct buf name = {0};
    struct buf repeat = {0};
    struct head head;
    exchange_head(x, 200, &head);
    struct completion completion = {
        .number = sim->completions,
        .created = head.wall_ms / 1000,
        .model = answer_model(x, &name),
        .content = sim->content.data,
        .content_len = sim->content.len,
        .finish = x->finish,
        .usage = x->usage,
        .reasoning_beside = settings->reasoning_beside || x->fault->reasoning_beside,
        .include_usage = sim->request.include_usage,
        .chunk_tokens = settings->chunk_tokens,
        .factor_milli = x->model->factor_milli,
        .tokens_per_second = settings->tokens_per_second,
        .fault = x->fault,
    };
    head.latency_ms = draw(sim, &settings->latency);
    body_clear(&sim->body);
    if (stream) {
        head.content_type = "text/event-stream";
        head.headers_ms = draw(sim, &settings->first_token);
        completion_stream(&completion, &sim->body);
    } else {
        uint64_t tokens = x->usage.visible_tokens + x->usage.reasoning_tokens;
        if (settings->tokens_per_second)
            head.latency_ms += tokens * 1000 / settings->tokens_per_second;
        completion_plain(&completion, &sim->body);
    }
    head.processing_ms = head.latency_ms;
    prepare_repeat(x, &completion, stream, &repeat);
    respond_body(&head, &sim->body, stream, x->fault, repeat.len ? &repeat : NULL, x->reply);
    buf_free(&repeat);
    buf_free(&name);
}

static bool read_request(struct exchange *x)
{
    struct sim *sim = x->sim;
    struct request_fault why;
    char text[300];
    if (strcmp(x->http->method, "POST") != 0)
        return refuse_simple(x, 405, "\"method_not_allowed\"", NULL, "Use POST.");
    if (x->http->too_large)
        return refuse_simple(x, 413, NULL, NULL, "The request body is too large.");
    if (!request_read(&sim->request, x->http->body, x->http->body_len, &why))
        return refuse_simple(x, 400, NULL, why.param, why.message);
    x->model = settings_model(&sim->settings, sim->request.model);
    if (!x->model) {
        snprintf(text, sizeof text,
                 "The model `%.200s` does not exist or you do not have access to it.",
                 sim->request.model);
        return refuse_simple(x, 404, "\"model_not_found\"", "model", text);
    }
    x->usage.prompt_tokens = tokens_from_quarters(sim->request.quarters, x->model->factor_milli);
    x->usage.cached_tokens = x->usage.prompt_tokens * sim->settings.cached_percent / 100;
    return true;
}

// What the prompt shares with an earlier one costs less. Only answered prompts are kept.
static void count_cached(struct exchange *x)
{
    struct sim *sim = x->sim;
    const struct settings *settings = &sim->settings;
    const struct buf *system = &sim->request.system, *user = &sim->request.user;
    if (settings->prefix_ms == 0)
        return;
    size_t seen = prefix_seen(&sim->prefixes, slot_of(x), system, user, settings->prefix_ms,
                              uv_now(&sim->loop));
    size_t of_system = seen < system->len ? seen : system->len;
    uint64_t quarters = tokens_quarters(system->data, of_system);
    if (seen > of_system)
        quarters += tokens_quarters(user->data, seen - of_system);
    uint64_t tokens = tokens_from_quarters(quarters, x->model->factor_milli);
    if (tokens >= settings->prefix_tokens && tokens > x->usage.cached_tokens)
        x->usage.cached_tokens = tokens;
}

static bool check_reasoning(struct exchange *x)
{
    if (!x->sim->request.reasoning_conflict)
        return true;
    refuse(x, &(struct refusal){
                  .status = 400,
                  .type = "invalid_request_error",
                  .code = "\"invalid_parameter\"",
                  .param = "reasoning_effort",
                  .message = "thinking options type cannot be disabled when reasoning_effort",
                  .suggestion = "Send either reasoning_effort or reasoning_mode, not both."});
    return false;
}

// What becomes of an answer that is written to its end. Faults of streams leave plain ones whole.
static enum outcome outcome_after(const struct exchange *x)
{
    const struct fault *fault = x->fault;
    bool framing_only = fault->stream && fault->cut == CUT_NOTHING_OFF && !fault->keep_percent;
    if (fault->outcome == OUTCOME_PENDING || (framing_only && !x->sim->request.stream))
        return OUTCOME_ANSWERED;
    return fault->outcome;
}

void chat_answer(struct sim *sim, const struct http_request *request, struct reply *reply)
{
    struct exchange x = {.sim = sim, .http = request, .reply = reply, .fault = &healthy};
    sim->completions++;
    if (!chat_admit(sim, request, reply, &x.key) || !read_request(&x) || !check_reasoning(&x))
        return;
    if (!check_open(&x) || !check_room(&x))
        return;
    x.fault = choose_fault(&x);
    if (refuse_by_fault(&x) || !check_sizes(&x))
        return;
    write_content(&x);
    if (!check_limits(&x))
        return;
    count_cached(&x);
    bill(&x, 200, OUTCOME_PENDING, outcome_after(&x));
    sim->by_status[2]++;
    sim->in_flight += reply->call != 0;
    if (sim->in_flight > sim->in_flight_most)
        sim->in_flight_most = sim->in_flight;
    send_answer(&x);
}
