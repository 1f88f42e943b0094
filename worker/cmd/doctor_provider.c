// SPDX-License-Identifier: Apache-2.0
// precis doctor: asks a provider for its models, as the worker would ask it.
//
// GET /models costs nothing, needs the key, and names what may be used. The options of the
// connection are the worker's (io/model_http_transfer.c): certificates are checked, no redirect is
// followed, no proxy or .netrc of the environment is used.
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "cmd/doctor.h"
#include "cmd/screen.h"
#include "provider/provider.h"

#define ANSWER_BYTES (8 * 1024 * 1024)
#define TOTAL_MS     30000L
#define MOST_CLOCK_S 30

struct probe {
    const struct config_provider *provider;
    const struct config_key *key;
    char name[320]; // of the finding
    struct buf url, body;
    CURLcode result;
    long status;
    time_t date; // of the answer, by the provider's clock; -1: it does not say
    char words[CURL_ERROR_SIZE];
};

static size_t take(char *data, size_t size, size_t count, void *context)
{
    struct probe *probe = context;
    return buf_add(&probe->body, data, size * count) ? size * count : 0;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct probe *probe = context;
    char line[100];
    snprintf(line, sizeof(line), "%.*s", (int)(size * count < 99 ? size * count : 99), data);
    if (strncasecmp(line, "date:", 5) == 0)
        probe->date = curl_getdate(line + 5, NULL);
    return size * count;
}

static void set_options(CURL *easy, struct probe *probe)
{
    const struct config_provider *provider = probe->provider;
    bool tls = strncasecmp(provider->base_url, "https:", 6) == 0;
    curl_easy_setopt(easy, CURLOPT_URL, buf_str(&probe->url));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (provider->ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, provider->ca);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)provider->connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)provider->connect_ms + TOTAL_MS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "precis/" PRECIS_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, probe);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, probe);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, probe->words);
}

static struct curl_slist *headers_of(const struct config_key *key)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    if (!key->key)
        return headers;
    struct buf line;
    buf_init(&line, 0);
    buf_printf(&line, "Authorization: Bearer %s", key->key);
    headers = curl_slist_append(headers, buf_str(&line));
    explicit_bzero(line.data, line.len);
    buf_deinit(&line);
    return headers;
}

static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *one = headers; one; one = one->next)
        explicit_bzero(one->data, strlen(one->data));
    curl_slist_free_all(headers);
}

static void ask(struct probe *probe)
{
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = headers_of(probe->key);
    set_options(easy, probe);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    probe->result = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &probe->status);
    curl_easy_cleanup(easy);
    free_headers(headers);
}

// ------------------------------------------------------------------------------- what it means

static void judge_failure(struct doctor *doctor, const struct probe *probe)
{
    bool tls = probe->result == CURLE_PEER_FAILED_VERIFICATION ||
               probe->result == CURLE_SSL_CONNECT_ERROR ||
               probe->result == CURLE_SSL_CACERT_BADFILE;
    const char *words = probe->words[0] ? probe->words : curl_easy_strerror(probe->result);
    doctor_add(doctor, DOCTOR_FAIL, probe->name,
               err_suggestion(tls ? ERR_TLS_FAILED : ERR_CONNECT_FAILED), "%s cannot be asked: %s",
               probe->provider->base_url, words);
}

static bool lists(const json_t *data, const char *model)
{
    size_t i;
    json_t *one;
    json_array_foreach(data, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));
        if (id && strcmp(id, model) == 0)
            return true;
    }
    return false;
}

// The first names of the list, for a person who looks for the right one.
static void add_names(struct buf *out, const json_t *data)
{
    size_t i;
    json_t *one;
    json_array_foreach(data, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));
        if (id && i < 8)
            buf_printf(out, "%s%s", out->len ? ", " : "It has: ", id);
    }
    buf_add_str(out, json_array_size(data) > 8 ? ", …" : "");
}

static void judge_models(struct doctor *doctor, const struct config *config,
                         const struct probe *probe, const json_t *data)
{
    struct buf names OWN_BUF;
    buf_init(&names, 4000);
    add_names(&names, data);
    for (size_t i = 0; i < config->model_count; i++) {
        const struct config_model *model = &config->models[i];
        if (model->provider == probe->provider && !lists(data, model->served_name))
            doctor_add(doctor, DOCTOR_WARN, probe->name, buf_str(&names),
                       "does not list the model %s", model->served_name);
    }
}

static void judge_list(struct doctor *doctor, const struct config *config,
                       const struct probe *probe)
{
    json_t *root = json_loadb(probe->body.data ? probe->body.data : "", probe->body.len, 0, NULL);
    json_t *data = json_object_get(root, "data");
    if (json_is_array(data)) {
        doctor_add(doctor, DOCTOR_OK, probe->name, NULL, "%s answers%s", probe->provider->base_url,
                   probe->key->key ? " and takes the key" : "");
        judge_models(doctor, config, probe, data);
    } else {
        doctor_add(doctor, DOCTOR_WARN, probe->name, err_suggestion(ERR_BAD_ANSWER),
                   "%s answers, but not with a list of models", probe->provider->base_url);
    }
    json_decref(root);
}

static void judge_status(struct doctor *doctor, const struct config *config,
                         const struct probe *probe)
{
    const char *url = probe->provider->base_url;
    if (probe->status == 200)
        judge_list(doctor, config, probe);
    else if (probe->status == 401 || probe->status == 403)
        doctor_add(doctor, DOCTOR_FAIL, probe->name,
                   probe->key->key
                       ? err_suggestion(probe->status == 401 ? ERR_UNAUTHORIZED : ERR_FORBIDDEN)
                       : "Set `key` of the provider.",
                   "%s refuses %s (%ld)", url,
                   probe->key->key ? "the key" : "requests without a key", probe->status);
    else if (probe->status == 404 || probe->status == 405)
        doctor_add(doctor, DOCTOR_WARN, probe->name,
                   "Check base_url: it ends with the version, as in https://api.x.ai/v1.",
                   "%s answers %ld to the list of models: its key could not be tried", url,
                   probe->status);
    else if (probe->status >= 300 && probe->status < 400)
        doctor_add(doctor, DOCTOR_FAIL, probe->name,
                   "Set base_url to where it leads; redirects are not followed.",
                   "%s redirects (%ld)", url, probe->status);
    else
        doctor_add(doctor, DOCTOR_WARN, probe->name, "Try again later.",
                   "%s answers %ld at the moment", url, probe->status);
}

// The answer's own time is right to a second, and some servers write it once in a while.
static void judge_clock(struct doctor *doctor, const struct probe *probe)
{
    if (probe->date < 0)
        return;
    double off = difftime(probe->date, time(NULL));
    if (off > MOST_CLOCK_S || off < -MOST_CLOCK_S)
        doctor_add(doctor, DOCTOR_WARN, "clock",
                   "Run NTP on this machine: certificates are judged by its clock, and quotas that "
                   "a provider names by the hour.",
                   "the clock of %s is %.0f s %s of this machine's", probe->name,
                   off < 0 ? -off : off, off > 0 ? "ahead" : "behind");
}

static void try_key(struct doctor *doctor, const struct config *config,
                    const struct config_provider *provider, const struct config_key *key)
{
    struct probe probe = {.provider = provider, .key = key, .date = -1};
    if (provider->keys.len > 1)
        snprintf(probe.name, sizeof(probe.name), "%s, key %s", provider->name, key->name);
    else
        snprintf(probe.name, sizeof(probe.name), "%s", provider->name);
    buf_init(&probe.url, 0);
    buf_init(&probe.body, ANSWER_BYTES);
    if (!provider_probe_path(&probe.url, provider))
        doctor_add(doctor, DOCTOR_WARN, probe.name, NULL, "has no list of models to ask for");
    else {
        ask(&probe);
        if (probe.result == CURLE_OK)
            judge_status(doctor, config, &probe);
        else
            judge_failure(doctor, &probe);
        judge_clock(doctor, &probe);
    }
    buf_deinit(&probe.url);
    buf_deinit(&probe.body);
}

void doctor_provider(struct doctor *doctor, const struct config *config,
                     const struct config_provider *provider)
{
    for (size_t i = 0; i < provider->keys.len; i++)
        try_key(doctor, config, provider, &provider->keys.items[i]);
}
