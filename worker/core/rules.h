// SPDX-License-Identifier: Apache-2.0
// Rules of the configuration: which reasoning and which route jobs get that leave the choice open.
// In the order of the file; the first rule that holds and says something of the matter decides it.
// A rule holds where all its conditions do; one without conditions always does.
#ifndef PRECIS_CORE_RULES_H
#define PRECIS_CORE_RULES_H

#include "core/config.h"
#include "core/spec.h"

struct rule_facts {
    const char *tenant; // its tier is the configuration's
    const char *kind;
    int64_t document_tokens;
    int load_percent; // -1 of either: not known, and no condition on it holds
};

struct rule_choice {
    const struct config_rule *reasoning_by, *route_by; // NULL: no rule says anything
    enum reasoning_mode reasoning;
    const char *route; // the configuration's; NULL as well
    // What is not known would decide, or might.
    bool reasoning_unsure, route_unsure;
};

void rules_choose(const struct config *config, const struct rule_facts *facts,
                  struct rule_choice *out);
// "auto", "reasoning", "non-reasoning". False, and nothing written: none of them.
bool rules_reasoning_from(const char *text, enum reasoning_mode *out);

#endif
