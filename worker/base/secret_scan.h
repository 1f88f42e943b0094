// SPDX-License-Identifier: Apache-2.0
// Finds what looks like a secret: forms of keys, the places where secrets stand, and personal data
// with a check sum or a form of its own. What exactly is in redact.h; tables in secret_formats.def.
#ifndef PRECIS_BASE_SECRET_SCAN_H
#define PRECIS_BASE_SECRET_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/spans.h"

struct secret_scan;

struct secret_scan *secret_scan_new(void);
void secret_scan_free(struct secret_scan *scan);

// Marks in `spans`, whose length is the text's. With `is_name` only forms of keys, not places.
void secret_scan_mark(const struct secret_scan *scan, const char *text, bool is_name,
                      struct spans *spans);

enum secret_place {
    SECRET_NOT,
    SECRET_LINE,   // authorization, cookie: to the end of the line
    SECRET_ALWAYS, // password, secret: any value
    SECRET_KEY,    // api_key, access_token: any value but a small number
    SECRET_BARE,   // key, token: where the value is quoted, stands behind =, or looks like one
    SECRET_QUERY,  // sig, code: only as an argument of a URL
};
// What a name of this length says about the value behind it.
enum secret_place secret_place_of(const char *name, size_t len);

#endif
