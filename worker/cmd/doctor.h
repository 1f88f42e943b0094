// SPDX-License-Identifier: Apache-2.0
// The checklist of `precis doctor`: each part looks at one thing and adds what it finds. Nothing
// of a secret is ever part of a finding.
#ifndef PRECIS_CMD_DOCTOR_H
#define PRECIS_CMD_DOCTOR_H

#include "core/config.h"

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_WARN, // it works, but not as well or as safely as it should
    DOCTOR_FAIL, // jobs will not be done until it is mended
};

struct doctor;

// A finding, and what to do about it (NULL: nothing). Foreign words in `text` are cleaned when it
// is printed.
void doctor_add(struct doctor *doctor, enum doctor_state state, const char *name,
                const char *suggestion, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

void doctor_limits(struct doctor *doctor, const struct config *config);
void doctor_listen(struct doctor *doctor, const struct config *config);
void doctor_database(struct doctor *doctor, const struct config *config);
void doctor_provider(struct doctor *doctor, const struct config *config,
                     const struct config_provider *provider);

#endif
