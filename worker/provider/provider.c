// SPDX-License-Identifier: Apache-2.0
// The face of the codecs: which one speaks, where it posts, and the sentence that a user reads.
#include "provider/provider.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/visible.h"
#include "provider/codec.h"

const struct codec *codec_of(const struct config_provider *provider)
{
    static const struct codec *const codecs[] = {&openai_codec};
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        if (strcmp(provider->api, codecs[i]->api) == 0)
            return codecs[i];
    return NULL;
}

bool provider_check(const struct model_order *order, struct failure *out_failure)
{
    const struct codec *codec = codec_of(order->model->provider);
    if (codec)
        return codec->check(order, out_failure);
    failure_set(out_failure, ERR_PARAMETER_CONFLICT, "api \"%s\" is not spoken by this version",
                order->model->provider->api);
    return false;
}

bool provider_request(struct buf *out_body, const struct model_order *order,
                      struct failure *out_failure)
{
    if (!provider_check(order, out_failure))
        return false;
    codec_of(order->model->provider)->request(out_body, order);
    return true;
}

// base_url, which may end in slashes and may hold a query, with the path put in.
static void add_address(struct buf *out, const char *base_url, const char *path)
{
    size_t base = strcspn(base_url, "?#");
    const char *query = base_url + base;
    while (base && base_url[base - 1] == '/')
        base--;
    buf_add(out, base_url, base);
    buf_add_str(out, path);
    if (*query == '?')
        buf_add(out, query, strcspn(query, "#"));
}

bool provider_path(struct buf *out_url, const struct config_model *model)
{
    const struct codec *codec = codec_of(model->provider);
    if (codec)
        add_address(out_url, model->provider->base_url, codec->path);
    return codec != NULL;
}

bool provider_probe_path(struct buf *out_url, const struct config_provider *provider)
{
    const struct codec *codec = codec_of(provider);
    if (codec)
        add_address(out_url, provider->base_url, codec->probe_path);
    return codec != NULL;
}

// One sentence of foreign or our own words, with exactly one mark at its end.
static void add_sentence(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    while (len && (text[len - 1] == '.' || text[len - 1] == ' ' || text[len - 1] == '\n'))
        len--;
    buf_add(out, text, len);
    static const char *const ends[] = {"!", "?", "\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t end = strlen(ends[i]);
        if (len >= end && memcmp(text + len - end, ends[i], end) == 0)
            return;
    }
    buf_add_char(out, '.');
}

void provider_sentence(struct buf *out, const char *provider_name, const struct failure *failure)
{
    char code[40];
    buf_printf(out, "%s API error ", provider_name);
    if (failure->http_status && failure->http_status != 200)
        buf_printf(out, "%d: ", failure->http_status);
    else
        buf_printf(out, "%s: ", failure_code(failure, code, sizeof(code)));
    add_sentence(out, failure->detail[0] ? failure->detail : err_code_text(failure->code));
    buf_add_str(out, " Suggestion: ");
    add_sentence(out, failure_suggestion(failure));
}

void model_answer_deinit(struct model_answer *answer)
{
    free(answer->content);
    *answer = (struct model_answer){.cost_reported_picousd = -1};
}
