// SPDX-License-Identifier: Apache-2.0
// Plain JSON made into jansson's tree, several times as fast as jansson does it, which looks at
// each character of a document for itself.
//
// It knows what nearly every message is made of and leaves the rest to jansson: NULL says nothing
// about the text but that jansson must judge it. What it does read is what jansson would have read,
// member for member and byte for byte.
#ifndef PRECIS_CORE_JSON_TREE_H
#define PRECIS_CORE_JSON_TREE_H

#include <stddef.h>

#include <jansson.h>

// The depth must have been checked (json_scan_check). NULL also for: a fraction, an exponent or
// over 18 digits; a name twice in an object, or with an escape; half a surrogate pair; a single
// value.
json_t *json_tree_read(const char *data, size_t len);

#endif
