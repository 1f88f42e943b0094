// SPDX-License-Identifier: Apache-2.0
// Mistakes in `rules` (core/rules.h): what chooses nothing, and what can never hold.
#include "core/config_check.h"
#include "core/config_table.h"
#include "core/text.h"

static struct config_place place_of(const struct config *config, const struct config_rule *rule,
                                    const char *path)
{
    return config_place_of(config, rule, config_field_find(CONFIG_RULE, path));
}

// Whether the file gives it a value, and be it a wrong one.
static bool is_given(const struct config *config, const struct config_rule *rule, const char *path)
{
    return config_origin_of(config, rule, config_field_find(CONFIG_RULE, path)) != NULL;
}

static const char *nearest_route(const struct config *config, const char *name)
{
    const char *near = NULL;
    for (size_t i = 0; !near && i < config->route_count; i++)
        near = text_nearest(name, (const char *[]){config->routes[i].name}, 1);
    for (size_t i = 0; !near && i < config->model_count; i++)
        near = text_nearest(name, (const char *[]){config->models[i].name}, 1);
    return near;
}

static void check_route(const struct config *config, const struct config_rule *rule,
                        struct config_errors *errors)
{
    struct buf hint OWN_BUF;
    buf_init(&hint, 0);
    const char *near = nearest_route(config, rule->route);
    if (near)
        buf_printf(&hint, "Did you mean `%s`?", near);
    else
        buf_add_str(&hint, "Name an entry of `routes` or `models`.");
    config_errors_add(errors, place_of(config, rule, "route"), buf_str(&hint),
                      "rule `%s` names `%s`, which is no route or model that is configured",
                      rule->name, rule->route);
}

// More than `over` and less than `under`, in whole numbers; 0: no such condition.
static void check_range(const struct config *config, const struct config_rule *rule,
                        struct config_errors *errors, bool tokens)
{
    int64_t over = tokens ? rule->when_tokens_over : rule->when_load_over;
    int64_t under = tokens ? rule->when_tokens_under : rule->when_load_under;
    const char *what = tokens ? "document_tokens" : "load";
    if (over == 0 || under == 0 || under - over > 1)
        return;
    config_errors_add(
        errors, place_of(config, rule, tokens ? "when.document_tokens.under" : "when.load.under"),
        "`over` is the smaller of both.",
        "rule `%s` never holds: nothing of `when.%s` lies between `over` and `under`", rule->name,
        what);
}

void config_check_rules(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct config_rule *rule = &config->rules[i];
        if (rule->route && !config_find_model(config, rule->route, 0))
            check_route(config, rule, errors);
        if (!is_given(config, rule, "route") && !is_given(config, rule, "reasoning_mode"))
            config_errors_add(errors, place_of(config, rule, "route"),
                              "Give it `reasoning_mode` or `route`.", "rule `%s` chooses nothing",
                              rule->name);
        check_range(config, rule, errors, true);
        check_range(config, rule, errors, false);
    }
}
