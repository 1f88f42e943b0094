// SPDX-License-Identifier: Apache-2.0
// Takes the members of a JSON object into a job_spec, by the table of core/job_fields.def: unknown
// names, types, bounds and words. Each refusal is one sentence that names the field, says what was
// found (its type and size, never its text) and what was expected.
#ifndef PRECIS_JOB_FIELDS_H
#define PRECIS_JOB_FIELDS_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "core/job_fields.h"
#include "core/spec.h"

// Every member of `object` that is a field of `set`, and of the sets inside it. Members beginning
// with x- are passed over. Fields of type STRING, and those without a place in the spec, are
// checked and stored nowhere. False: *out has ERR_BAD_FIELD, and the spec holds what came before.
bool fields_take(struct job_spec *spec, enum field_set set, const json_t *object,
                 struct failure *out);
// Strings that have a default and are not set get it.
void fields_fill(struct job_spec *spec);
// The sentence for a value that is not what the field takes.
void fields_refuse(struct failure *out, const struct field *field, const json_t *value);

#endif
