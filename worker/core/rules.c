// SPDX-License-Identifier: Apache-2.0
// The rules of the configuration, applied.
#include "core/rules.h"

#include <string.h>

bool rules_reasoning_from(const char *text, enum reasoning_mode *out)
{
    static const enum reasoning_mode modes[] = {REASONING_AUTO, REASONING_ON, REASONING_OFF};
    for (size_t i = 0; text && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(text, reasoning_mode_text(modes[i])) == 0) {
            *out = modes[i];
            return true;
        }
    return false;
}

static const char *tier_of(const struct config *config, const char *tenant)
{
    for (size_t i = 0; i < config->tenant_count; i++)
        if (strcmp(config->tenants[i].name, tenant) == 0)
            return config->tenants[i].tier;
    return NULL;
}

enum truth { NO, PERHAPS, YES };

// A limit of 0 is none; a value below 0 is not known.
static enum truth between(int64_t value, int64_t over, int64_t under)
{
    if (over == 0 && under == 0)
        return YES;
    if (value < 0)
        return PERHAPS;
    return (over == 0 || value > over) && (under == 0 || value < under) ? YES : NO;
}

static enum truth holds(const struct config_rule *rule, const struct rule_facts *facts,
                        const char *tier)
{
    if (rule->when_tier && (!tier || strcmp(rule->when_tier, tier) != 0))
        return NO;
    if (rule->when_kind && strcmp(rule->when_kind, facts->kind) != 0)
        return NO;
    enum truth tokens =
        between(facts->document_tokens, rule->when_tokens_over, rule->when_tokens_under);
    enum truth load = between(facts->load_percent, rule->when_load_over, rule->when_load_under);
    return tokens < load ? tokens : load;
}

void rules_choose(const struct config *config, const struct rule_facts *facts,
                  struct rule_choice *out)
{
    *out = (struct rule_choice){.reasoning = REASONING_AUTO};
    const char *tier = tier_of(config, facts->tenant);
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct config_rule *rule = &config->rules[i];
        enum truth truth = holds(rule, facts, tier);
        if (truth == PERHAPS) {
            out->reasoning_unsure |= !out->reasoning_by && rule->reasoning_mode;
            out->route_unsure |= !out->route_by && rule->route;
        }
        if (truth != YES)
            continue;
        if (!out->reasoning_by && rules_reasoning_from(rule->reasoning_mode, &out->reasoning))
            out->reasoning_by = rule;
        if (!out->route_by && rule->route) {
            out->route_by = rule;
            out->route = rule->route;
        }
    }
}
