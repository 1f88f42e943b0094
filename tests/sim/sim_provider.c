// SPDX-License-Identifier: Apache-2.0
// The simulated model API. An answer is a script of pieces with delays, made when the request
// comes; the bill is written at the same moment, since a real provider bills what it makes.
#include "sim_provider.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"

enum fault {
    FAULT_NONE,
    FAULT_DROP,      // the connection breaks before the first byte
    FAULT_CUT,       // it breaks in the middle
    FAULT_END_EARLY, // the stream ends cleanly, without its end
    FAULT_STALL,     // no first byte in time
    FAULT_STALL_MID, // stops in the middle
    FAULT_500,
    FAULT_429,
    FAULT_BAD_JSON,
    FAULT_REFUSE_CONNECT,
    FAULT_PACK_MISSING, // of several documents: one is left out
    FAULT_PACK_DOUBLED, // one is answered twice
    FAULT_PACK_ODD,     // one is answered under an id that nobody has
    FAULT_COUNT,
    FAULT_KEY // the key is refused; not by chance
};

struct exchange {
    struct sim_http *http;
    struct slot_id owner;
    uint32_t serial;
    enum fault fault;
    size_t bill; // index + 1; 0: not billed
    char *body;  // of the answer
    size_t sent;
    int status;
    bool told; // that it was sent
    bool over;
    int refs;
};

struct sim_http {
    struct sim_provider *provider;
    void (*on_event)(void *context, const struct http_event *event);
    void *context;
    struct exchange **exchanges;
    size_t count;
    bool dead, muted;
};

void sim_provider_init(struct sim_provider *provider, struct world *world)
{
    *provider = (struct sim_provider){.world = world};
}

void sim_provider_deinit(struct sim_provider *provider)
{
    for (size_t i = 0; i < provider->bill_count; i++)
        free(provider->bills[i].request_id);
    free(provider->bills);
}

// ------------------------------------------------------------------------------- answers

static const char good_content[] =
    "{\\\"summary\\\":\\\"The parties agree on services and a price.\\\",\\\"key_points\\\":["
    "{\\\"point\\\":\\\"Services\\\",\\\"quote\\\":\\\"Party one serves party two\\\"},"
    "{\\\"point\\\":\\\"Price\\\",\\\"quote\\\":\\\"pays one hundred\\\"},"
    "{\\\"point\\\":\\\"End\\\",\\\"quote\\\":\\\"ends in May\\\"}]}";

// Documents of a request, by the lines that open them: in JSON, `<document-ID name=\"NAME\">`.
struct documents {
    char ids[SIM_PACK_MOST][16], names[SIM_PACK_MOST][64];
    size_t count;
};

static void read_documents(const char *body, size_t len, struct documents *out)
{
    static const char open[] = "<document-";
    char *text = own_strndup(body, len);
    out->count = 0;
    for (const char *at = text; (at = strstr(at, open)); at++) {
        struct documents *all = out;
        if (all->count < SIM_PACK_MOST && sscanf(at, "<document-%15[a-z0-9] name=\\\"%63[^\\]",
                                                 all->ids[all->count], all->names[all->count]) == 2)
            all->count++;
    }
    free(text);
}

// {"documents": [...]} as it stands in a JSON string.
static char *packed_content(const struct documents *documents, enum fault fault)
{
    struct buf out;
    buf_init(&out, 0);
    buf_add_str(&out, "{\\\"documents\\\":[");
    for (size_t i = 0; i < documents->count; i++) {
        if (fault == FAULT_PACK_MISSING && i == documents->count / 2)
            continue;
        bool odd = fault == FAULT_PACK_ODD && i == 0;
        for (int times = fault == FAULT_PACK_DOUBLED && i == 0 ? 2 : 1; times > 0; times--)
            buf_printf(&out, "%s{\\\"id\\\":\\\"%s\\\",\\\"answer\\\":%s}",
                       buf_str(&out)[out.len - 1] == '[' ? "" : ",",
                       odd ? "nobody00" : documents->ids[i], good_content);
    }
    buf_add_str(&out, "]}");
    return buf_take(&out);
}

static size_t add_bill(struct sim_provider *provider, const char *request_id, int64_t in,
                       int64_t out)
{
    provider->bills = own_grow(provider->bills, provider->bill_count + 1, sizeof(*provider->bills));
    provider->bills[provider->bill_count++] = (struct bill){
        .request_id = own_strdup(request_id),
        .cost_picousd = in * SIM_INPUT_PICOUSD + out * SIM_OUTPUT_PICOUSD,
    };
    return provider->bill_count;
}

static void make_stream(struct exchange *exchange, const char *content, int64_t in, int64_t out)
{
    struct buf body;
    size_t half = strlen(content) / 2;
    while (half > 0 && (content[half] == '\\' || content[half - 1] == '\\'))
        half--;
    buf_init(&body, 0);
    buf_printf(&body,
               "data: {\"id\":\"c\",\"model\":\"sim\",\"choices\":[{\"index\":0,\"delta\":"
               "{\"role\":\"assistant\",\"content\":\"%.*s\"},\"finish_reason\":null}]}\n\n",
               (int)half, content);
    buf_printf(&body,
               "data: {\"id\":\"c\",\"model\":\"sim\",\"choices\":[{\"index\":0,\"delta\":"
               "{\"content\":\"%s\"},\"finish_reason\":null}]}\n\n",
               content + half);
    buf_printf(&body,
               "data: {\"id\":\"c\",\"model\":\"sim\",\"choices\":[{\"index\":0,\"delta\":{},"
               "\"finish_reason\":\"stop\"}]}\n\n");
    buf_printf(&body,
               "data: {\"id\":\"c\",\"model\":\"sim\",\"choices\":[],\"usage\":{\"prompt_tokens\":"
               "%" PRId64 ",\"completion_tokens\":%" PRId64 ",\"total_tokens\":%" PRId64
               "}}\n\ndata: [DONE]\n\n",
               in, out, in + out);
    exchange->body = buf_take(&body);
    exchange->status = 200;
}

static void make_error(struct exchange *exchange, int status, const char *code)
{
    struct buf body;
    buf_init(&body, 0);
    buf_printf(&body, "{\"error\":{\"message\":\"no\",\"type\":\"x\",\"code\":\"%s\"}}", code);
    exchange->body = buf_take(&body);
    exchange->status = status;
}

static enum fault choose_fault(struct sim_provider *provider, const struct sim_key *key)
{
    if (key->refused_with)
        return FAULT_KEY;
    if (provider->world->now_ms < key->closed_until_ms)
        return FAULT_429;
    if (!world_chance(provider->world, provider->fault_per_thousand))
        return FAULT_NONE;
    return (enum fault)world_range(provider->world, 1, FAULT_COUNT - 1);
}

// GET /models: nothing is made and nothing is owed.
static void prepare_list(struct exchange *exchange, const struct sim_key *key)
{
    bool good = key->refused_with == 0 || key->refused_with == 402;
    exchange->body = own_strdup("{}");
    exchange->status = good ? 200 : key->refused_with;
}

static void prepare(struct exchange *exchange, struct sim_key *key, const char *request_id,
                    const struct http_request *request)
{
    struct sim_provider *provider = exchange->http->provider;
    struct documents documents;
    read_documents(request->body, request->body_len, &documents);
    size_t many = documents.count > 1 ? documents.count : 1;
    int64_t in = (int64_t)request->body_len / 5 + 1;
    int64_t out = world_range(provider->world, 40, 80) * (int64_t)many;
    enum fault fault = exchange->fault = choose_fault(provider, key);
    if (fault == FAULT_429) {
        make_error(exchange, 429, "rate_limit_exceeded");
        if (provider->world->now_ms >= key->closed_until_ms)
            key->closed_until_ms = provider->world->now_ms + world_range(provider->world, 1, 5000);
        return;
    }
    if (fault == FAULT_KEY) {
        make_error(exchange, key->refused_with, "no_key");
        return;
    }
    if (fault == FAULT_500) {
        make_error(exchange, 500, "server_error");
        return;
    }
    if (fault == FAULT_REFUSE_CONNECT)
        return;
    exchange->bill = add_bill(provider, request_id, in, out);
    char *packed OWN_FREE = many > 1 ? packed_content(&documents, fault) : NULL;
    make_stream(exchange,
                fault == FAULT_BAD_JSON ? "No JSON at all, sorry."
                : packed                ? packed
                                        : good_content,
                in, out);
    if (fault == FAULT_DROP || fault == FAULT_CUT || fault == FAULT_END_EARLY ||
        fault == FAULT_STALL || fault == FAULT_STALL_MID)
        provider->unusual++;
}

// ------------------------------------------------------------------------------- exchange

static void emit(struct exchange *exchange, struct http_event *event)
{
    event->owner = exchange->owner;
    event->serial = exchange->serial;
    if (!exchange->http->dead && !exchange->over)
        exchange->http->on_event(exchange->http->context, event);
}

static void http_free_if_gone(struct sim_http *http)
{
    if (!http->dead || http->count > 0)
        return;
    free(http->exchanges);
    free(http);
}

static void drop_ref(struct exchange *exchange)
{
    if (--exchange->refs > 0)
        return;
    struct sim_http *http = exchange->http;
    for (size_t i = 0; i < http->count; i++)
        if (http->exchanges[i] == exchange)
            http->exchanges[i] = http->exchanges[--http->count];
    free(exchange->body);
    free(exchange);
    http_free_if_gone(http);
}

static void end(struct exchange *exchange, enum err_code code, bool doubtful)
{
    struct failure failure;
    failure_set(&failure, code, "simulated");
    failure.doubtful = doubtful;
    struct http_event event = {.kind = HTTP_END, .failure = code == ERR_NONE ? NULL : &failure};
    if (code == ERR_NONE && exchange->bill && !exchange->http->dead && !exchange->over)
        exchange->http->provider->bills[exchange->bill - 1].whole =
            exchange->fault == FAULT_NONE || exchange->fault == FAULT_BAD_JSON ||
            exchange->fault >= FAULT_PACK_MISSING;
    emit(exchange, &event);
    exchange->over = true;
}

static void piece(void *context, void *data);

static void later(struct exchange *exchange, int64_t delay_ms)
{
    exchange->refs++;
    world_after(exchange->http->provider->world, delay_ms, piece, exchange, NULL);
}

static bool stops_here(struct exchange *exchange)
{
    bool middle = exchange->sent > strlen(exchange->body) / 3;
    if (exchange->fault == FAULT_CUT && middle) {
        end(exchange, ERR_CONNECTION_LOST, true);
        return true;
    }
    if (exchange->fault == FAULT_END_EARLY && middle) {
        end(exchange, ERR_NONE, false);
        return true;
    }
    return exchange->fault == FAULT_STALL_MID && middle;
}

// The next bytes of the answer; they may break anywhere.
static void piece(void *context, void *data)
{
    (void)data;
    struct exchange *exchange = context;
    struct world *world = exchange->http->provider->world;
    if (!exchange->over && !stops_here(exchange)) {
        size_t left = strlen(exchange->body) - exchange->sent;
        size_t len = (size_t)world_range(world, 1, 400);
        len = len < left ? len : left;
        struct http_event event = {
            .kind = HTTP_DATA, .data = exchange->body + exchange->sent, .data_len = len};
        exchange->sent += len;
        if (len > 0) {
            emit(exchange, &event);
            later(exchange, world_range(world, 0, 50));
        } else {
            end(exchange, ERR_NONE, false);
        }
    }
    drop_ref(exchange);
}

static void begin_answer(struct exchange *exchange)
{
    struct http_event sent = {.kind = HTTP_SENT};
    struct http_event status = {.kind = HTTP_STATUS, .status = exchange->status};
    struct http_event type = {.kind = HTTP_HEADER,
                              .name = "content-type",
                              .value = exchange->status == 200 ? "text/event-stream"
                                                               : "application/json"};
    exchange->told = true;
    emit(exchange, &sent);
    if (exchange->fault == FAULT_STALL)
        return;
    if (exchange->fault == FAULT_DROP) {
        end(exchange, ERR_CONNECTION_LOST, true);
        return;
    }
    emit(exchange, &status);
    emit(exchange, &type);
    later(exchange, world_range(exchange->http->provider->world, 0, 20));
}

static const char *header_of(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return "";
}

static const char *key_of(const struct http_request *request)
{
    const char *bearer = header_of(request, "Authorization");
    return strncmp(bearer, "Bearer ", 7) == 0 ? bearer + 7 : bearer;
}

static bool is_list(const struct http_request *request)
{
    size_t len = strlen(request->url);
    return len > 7 && strcmp(request->url + len - 7, "/models") == 0;
}

static void arrive(void *context, void *data)
{
    (void)data;
    struct exchange *exchange = context;
    if (exchange->fault == FAULT_REFUSE_CONNECT)
        end(exchange, ERR_CONNECT_FAILED, false);
    else if (!exchange->over)
        begin_answer(exchange);
    drop_ref(exchange);
}

static void tell_request(struct sim_provider *provider, const struct http_request *request,
                         const char *id, const char *key)
{
    struct documents documents;
    read_documents(request->body, request->body_len, &documents);
    provider->on_request(provider->context, id, key);
    provider->packed += documents.count > 1;
    for (size_t i = 0; documents.count > 1 && i < documents.count; i++)
        provider->on_packed(provider->context, id, documents.names[i]);
}

static void ask_start(void *context, const struct http_request *request)
{
    struct sim_http *http = context;
    struct sim_provider *provider = http->provider;
    if (http->muted)
        return;
    struct exchange *exchange = own_alloc(sizeof(*exchange));
    *exchange = (struct exchange){
        .http = http, .owner = request->owner, .serial = request->serial, .refs = 1};
    http->exchanges = own_grow(http->exchanges, http->count + 1, sizeof(*http->exchanges));
    http->exchanges[http->count++] = exchange;
    const char *id = header_of(request, "X-Client-Request-Id"), *name = key_of(request);
    struct sim_key *key = &provider->keys[strcmp(name, "b") == 0];
    if (is_list(request))
        prepare_list(exchange, key);
    else
        prepare(exchange, key, id, request);
    world_trace(provider->world, "request %s with key %s: fault %d", id, name, exchange->fault);
    if (!is_list(request))
        tell_request(provider, request, id, name);
    world_after(provider->world, world_range(provider->world, 1, 400), arrive, exchange, NULL);
}

// A request that is cancelled before HTTP_SENT never leaves: nothing is billed for it.
static void cancel(struct exchange *exchange)
{
    if (!exchange->told && !exchange->over && exchange->bill)
        exchange->http->provider->bills[exchange->bill - 1].cost_picousd = 0;
    exchange->over = true;
}

static void ask_cancel(void *context, struct slot_id owner, uint32_t serial)
{
    struct sim_http *http = context;
    for (size_t i = 0; i < http->count; i++)
        if (slot_id_equal(http->exchanges[i]->owner, owner) && http->exchanges[i]->serial == serial)
            cancel(http->exchanges[i]);
}

struct sim_http *sim_http_new(struct sim_provider *provider,
                              void (*on_event)(void *context, const struct http_event *event),
                              void *context)
{
    struct sim_http *http = own_alloc(sizeof(*http));
    *http = (struct sim_http){.provider = provider, .on_event = on_event, .context = context};
    return http;
}

size_t sim_http_under_way(const struct sim_http *http)
{
    size_t count = 0;
    for (size_t i = 0; i < http->count; i++)
        count += !http->exchanges[i]->over;
    return count;
}

void sim_http_mute(struct sim_http *http)
{
    http->muted = true;
}

void sim_http_kill(struct sim_http *http)
{
    http->dead = true;
    for (size_t i = 0; i < http->count; i++)
        http->exchanges[i]->over = true;
    http_free_if_gone(http);
}

const struct http_ops sim_http_ops = {.start = ask_start, .cancel = ask_cancel};
