// SPDX-License-Identifier: Apache-2.0
// What a configuration says in vain: settings that are right each by itself, but have no effect
// beside the others, or another one than they look like. `config check` and `doctor` tell them; a
// worker runs with all of them. What contradicts itself is a mistake (config_check.h) and no
// remark.
#ifndef PRECIS_CORE_CONFIG_REMARKS_H
#define PRECIS_CORE_CONFIG_REMARKS_H

#include "core/config.h"
#include "core/config_error.h"

// Adds a remark for each, with its place in the file and what to do, sorted by place. Of a finished
// configuration (config_finish).
void config_remarks(const struct config *config, struct config_errors *remarks);

#endif
