// SPDX-License-Identifier: Apache-2.0
// The checklist of `precis doctor`: each part looks at one thing and adds what it finds. Nothing
// of a secret is ever part of a finding.
#ifndef PRECIS_CMD_DOCTOR_H
#define PRECIS_CMD_DOCTOR_H

#include <stdint.h>

#include "core/config.h"

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_WARN, // it works, but not as well or as safely as it should
    DOCTOR_FAIL, // jobs will not be done until it is mended
};

struct doctor;

// A finding, and what to do about it (NULL: nothing); a line of that which is indented is a command
// and is not wrapped. Foreign words are cleaned.
void doctor_add(struct doctor *doctor, enum doctor_state state, const char *name,
                const char *suggestion, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

// Folders, extractors, and the room for their files.
void doctor_documents(struct doctor *doctor, const struct config *config);
void doctor_limits(struct doctor *doctor, const struct config *config);
void doctor_listen(struct doctor *doctor, const struct config *config);
// The number of live workers; 0 where it is not known.
int64_t doctor_database(struct doctor *doctor, const struct config *config);
void doctor_provider(struct doctor *doctor, const struct config *config,
                     const struct config_provider *provider);

#endif
