// SPDX-License-Identifier: Apache-2.0
// JSON values compared as mathematics has it: 1 and 1.0 are equal, members have no order, and 0.3
// is a multiple of 0.1 (a real is the shortest decimal that reads back as it).
#ifndef PRECIS_CORE_JSON_VALUE_H
#define PRECIS_CORE_JSON_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

bool json_value_equal(const json_t *a, const json_t *b);
// Equal values have equal hashes.
uint64_t json_value_hash(const json_t *value);
// Whether two items of the array are equal.
bool json_value_has_twins(const json_t *array);

// Both are numbers. Below, at or above 0, exactly, also between an integer and a real.
int json_value_compare(const json_t *a, const json_t *b);
// A number without a fraction: 1, 1.0, 1e300.
bool json_value_is_integer(const json_t *value);
// Both are numbers, `divisor` is over 0.
bool json_value_is_multiple(const json_t *value, const json_t *divisor);

#endif
