// SPDX-License-Identifier: Apache-2.0
// Settings that have no effect beside the others.
//
// Why these are no mistakes: each can become right without the file (a limit by `quota set`, a
// budget by `budget set`, a tenant's jobs that never come), so a worker must not refuse to start.
// Only what the file sets is looked at; defaults are never in vain.
#include "core/config_remarks.h"

#include <string.h>

#include "base/buf.h"
#include "core/config_table.h"
#include "core/money.h"
#include "core/text.h"

struct remarks {
    const struct config *config;
    struct config_errors *out;
};

static bool is_set(const struct remarks *remarks, const void *object, enum config_section section,
                   const char *path)
{
    const struct config_origin *origin =
        config_origin_of(remarks->config, object, config_field_find(section, path));
    return origin && strcmp(origin->from, "default") != 0;
}

static struct config_place place_of(const struct remarks *remarks, const void *object,
                                    enum config_section section, const char *path)
{
    return config_place_of(remarks->config, object, config_field_find(section, path));
}

// ------------------------------------------------------------------------------- limits

static bool has_minute_limit(const struct config_model *model)
{
    return model->rpm > 0 || model->tpm > 0 || model->itpm > 0 || model->otpm > 0;
}

// Whether anything is limited by the minute that goes over this provider.
static bool is_limited(const struct config *config, const struct config_provider *provider)
{
    for (size_t i = 0; i < provider->keys.len; i++)
        if (provider->keys.items[i].rpm > 0 || provider->keys.items[i].tpm > 0)
            return true;
    for (size_t i = 0; i < config->model_count; i++)
        if (config->models[i].provider == provider && has_minute_limit(&config->models[i]))
            return true;
    return false;
}

static void look_at_burst(const struct remarks *remarks, const struct config_provider *provider)
{
    bool percent = is_set(remarks, provider, CONFIG_PROVIDER, "burst.percent");
    bool seconds = is_set(remarks, provider, CONFIG_PROVIDER, "burst.seconds");
    struct config_place place =
        place_of(remarks, provider, CONFIG_PROVIDER, percent ? "burst.percent" : "burst.seconds");
    if ((percent || seconds) && provider->burst_percent > 0 &&
        !is_limited(remarks->config, provider))
        config_errors_add(remarks->out, place,
                          "Give its models or keys `limits` by the minute (rpm, tpm, itpm, otpm); "
                          "`precis quota set` may too.",
                          "`burst` of provider `%s` goes over limits a minute, and there are none",
                          provider->name);
    else if (seconds && provider->burst_percent == 0)
        config_errors_add(
            remarks->out, place_of(remarks, provider, CONFIG_PROVIDER, "burst.seconds"),
            "Leave it out, or set `burst.percent`.",
            "`burst.seconds` of provider `%s` has no effect: `burst.percent` is 0", provider->name);
}

static void look_at_model(const struct remarks *remarks, const struct config_model *model)
{
    if (model->counts_asked && model->tpm == 0 && model->otpm == 0 && model->tpd == 0)
        config_errors_add(
            remarks->out, place_of(remarks, model, CONFIG_MODEL, "limits.counts_asked"),
            "Set `limits.tpm`, `otpm` or `tpd`, or leave it out.",
            "`limits.counts_asked` of model `%s` is about limits of tokens, and there "
            "is none",
            model->name);
    static const struct {
        const char *minute, *day, *words;
    } pairs[] = {{"limits.rpm", "limits.rpd", "requests"}, {"limits.tpm", "limits.tpd", "tokens"}};
    const int64_t minutes[] = {model->rpm, model->tpm}, days[] = {model->rpd, model->tpd};
    for (size_t i = 0; i < 2; i++)
        if (days[i] > 0 && minutes[i] > days[i])
            config_errors_add(remarks->out, place_of(remarks, model, CONFIG_MODEL, pairs[i].minute),
                              "Were the two exchanged?",
                              "model `%s` has more %s a minute than a day (`%s`)", model->name,
                              pairs[i].words, pairs[i].day);
}

// ------------------------------------------------------------------------------- packing

static bool has_scarce_requests(const struct config *config)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (config->models[i].rpm > 0 || config->models[i].rpd > 0)
            return true;
    for (size_t i = 0; i < config->provider_count; i++)
        for (size_t k = 0; k < config->providers[i].keys.len; k++)
            if (config->providers[i].keys.items[k].rpm > 0)
                return true;
    return false;
}

static void look_at_packing(const struct remarks *remarks)
{
    static const char *const bounds[] = {"tokens", "doubt_usd"};
    const struct config_packing *packing = &remarks->config->packing;
    for (size_t i = 0; i < 2 && packing->size == 1; i++)
        if (is_set(remarks, packing, CONFIG_PACKING, bounds[i]))
            config_errors_add(remarks->out, place_of(remarks, packing, CONFIG_PACKING, bounds[i]),
                              "Leave it out, or set `packing.size` to 2 or more.",
                              "`packing.%s` has no effect: `packing.size` is 1, which packs none",
                              bounds[i]);
    if (packing->size > 1 && is_set(remarks, packing, CONFIG_PACKING, "size") &&
        !has_scarce_requests(remarks->config))
        config_errors_add(remarks->out, place_of(remarks, packing, CONFIG_PACKING, "size"),
                          "Set `limits.rpm` or `rpd` of the models that have such a limit.",
                          "`packing.size` has no effect: documents share requests where requests "
                          "are limited, and no model or key has such a limit");
    if (packing->size > 1 && packing->doubt_picousd == 0 &&
        is_set(remarks, packing, CONFIG_PACKING, "doubt_usd"))
        config_errors_add(remarks->out, place_of(remarks, packing, CONFIG_PACKING, "doubt_usd"),
                          "Allow some cents, or set `packing.size` to 1.",
                          "`packing.doubt_usd` of 0 packs nothing that costs anything");
}

// ------------------------------------------------------------------------------- budgets

static bool has_other_model(const struct config *config)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].model_count > 1)
            return true;
    return false;
}

// The keys of a `budget`, wherever it stands.
struct budget_keys {
    const void *object;
    enum config_section section;
    const char *day, *month, *life, *at_wall;
};

static bool is_more(const char *usd, const char *than)
{
    int64_t picousd, most;
    return usd && than && money_parse_usd(usd, &picousd) && money_parse_usd(than, &most) &&
           picousd > most;
}

static void look_at_budget(const struct remarks *remarks, const struct budget_keys *keys)
{
    struct config_place wall = place_of(remarks, keys->object, keys->section, "budget.at_wall");
    bool says = is_set(remarks, keys->object, keys->section, "budget.at_wall");
    if (says && !keys->day && !keys->month && !keys->life)
        config_errors_add(remarks->out, wall, "Give it `day`, `month` or `life`.",
                          "`budget.at_wall` has no effect: the budget has no amount");
    else if (says && strcmp(keys->at_wall, "cheaper") == 0 && !has_other_model(remarks->config))
        config_errors_add(remarks->out, wall, "Give a route a second, cheaper model.",
                          "`budget.at_wall: cheaper` can only wait: no route has another model");
    if (is_more(keys->day, keys->month) || is_more(keys->day, keys->life))
        config_errors_add(
            remarks->out, place_of(remarks, keys->object, keys->section, "budget.day"),
            "Were the two exchanged?", "`budget.day` is more than the budget of a longer time");
    if (is_more(keys->month, keys->life))
        config_errors_add(remarks->out,
                          place_of(remarks, keys->object, keys->section, "budget.month"),
                          "Were the two exchanged?", "`budget.month` is more than `budget.life`");
}

static void look_at_budgets(const struct remarks *remarks)
{
    const struct config *config = remarks->config;
#define KEYS_OF(of, section)                                                                       \
    &(struct budget_keys){of,                                                                      \
                          section,                                                                 \
                          (of)->budget_day,                                                        \
                          (of)->budget_month,                                                      \
                          (of)->budget_life,                                                       \
                          (of)->budget_at_wall}
    look_at_budget(remarks, KEYS_OF(config, CONFIG_ROOT));
    for (size_t i = 0; i < config->tenant_count; i++)
        look_at_budget(remarks, KEYS_OF(&config->tenants[i], CONFIG_TENANT));
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];
        look_at_budget(remarks, KEYS_OF(provider, CONFIG_PROVIDER));
        for (size_t k = 0; k < provider->keys.len; k++)
            look_at_budget(remarks, KEYS_OF(&provider->keys.items[k], CONFIG_KEY));
    }
#undef KEYS_OF
}

// ------------------------------------------------------------------------------- rules

static bool has_tier(const struct config *config, const char *tier)
{
    for (size_t i = 0; i < config->tenant_count; i++)
        if (config->tenants[i].tier && strcmp(config->tenants[i].tier, tier) == 0)
            return true;
    return false;
}

static const char *nearest_tier(const struct config *config, const char *tier)
{
    for (size_t i = 0; i < config->tenant_count; i++)
        if (config->tenants[i].tier &&
            text_nearest(tier, (const char *[]){config->tenants[i].tier}, 1))
            return config->tenants[i].tier;
    return NULL;
}

static bool always_holds(const struct config_rule *rule)
{
    return !rule->when_tier && !rule->when_kind && rule->when_tokens_over == 0 &&
           rule->when_tokens_under == 0 && rule->when_load_over == 0 && rule->when_load_under == 0;
}

// The rule before it that always holds and says the same of the matter; NULL: none.
static const struct config_rule *hidden_by(const struct config *config, size_t place)
{
    const struct config_rule *rule = &config->rules[place];
    bool reasoning = !rule->reasoning_mode, route = !rule->route;
    for (size_t i = 0; i < place; i++) {
        const struct config_rule *other = &config->rules[i];
        reasoning = reasoning || (always_holds(other) && other->reasoning_mode);
        route = route || (always_holds(other) && other->route);
        if (reasoning && route && always_holds(other))
            return other;
    }
    return NULL;
}

static void look_at_rules(const struct remarks *remarks)
{
    const struct config *config = remarks->config;
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct config_rule *rule = &config->rules[i];
        const struct config_rule *other = hidden_by(config, i);
        if (rule->when_tier && !has_tier(config, rule->when_tier)) {
            const char *near = nearest_tier(config, rule->when_tier);
            struct buf hint OWN_BUF;
            buf_init(&hint, 0);
            if (near)
                buf_printf(&hint, "Did you mean `%s`?", near);
            config_errors_add(remarks->out,
                              place_of(remarks, rule, CONFIG_RULE, "when.tenant_tier"),
                              buf_str(&hint), "rule `%s` never holds: no tenant has the tier `%s`",
                              rule->name, rule->when_tier);
        }
        if (other)
            config_errors_add(
                remarks->out,
                place_of(remarks, rule, CONFIG_RULE, rule->route ? "route" : "reasoning_mode"),
                "The first rule that holds decides: put it before that one.",
                "rule `%s` is never asked: `%s` before it always holds", rule->name, other->name);
    }
}

// ------------------------------------------------------------------------------- the worker

static void look_at_worker(const struct remarks *remarks)
{
    const struct config_worker *worker = &remarks->config->worker;
    if ((worker->park_rows == 0) != (worker->park_bytes == 0))
        config_errors_add(remarks->out,
                          place_of(remarks, worker, CONFIG_WORKER,
                                   worker->park_rows == 0 ? "park.rows" : "park.bytes"),
                          "Set both to 0 to say so, or neither.",
                          "`worker.park` parks nothing: one of its bounds is 0");
    if (is_set(remarks, worker, CONFIG_WORKER, "route_patience") &&
        !has_other_model(remarks->config))
        config_errors_add(remarks->out, place_of(remarks, worker, CONFIG_WORKER, "route_patience"),
                          "Give a route a second model.",
                          "`worker.route_patience` has no effect: no route has another model");
}

void config_remarks(const struct config *config, struct config_errors *out)
{
    struct remarks remarks = {config, out};
    look_at_worker(&remarks);
    look_at_packing(&remarks);
    look_at_budgets(&remarks);
    look_at_rules(&remarks);
    for (size_t i = 0; i < config->provider_count; i++)
        look_at_burst(&remarks, &config->providers[i]);
    for (size_t i = 0; i < config->model_count; i++)
        look_at_model(&remarks, &config->models[i]);
    config_errors_sort(out);
}
