// SPDX-License-Identifier: Apache-2.0
// Takes secrets out of text that leaves the program: log lines, error columns, dead letters. What
// is taken out becomes one `[REDACTED]`; the rest stays byte for byte.
//
// Three nets, cast over the whole text in one pass each (linear time, no backtracking):
//   1. Values that the program holds (redactor_add_secret): plain, in base64 (three alignments,
//   both
//      alphabets), percent-encoded, JSON-escaped, one inside the other up to twice, and every
//      prefix of 8 characters or more, so that a cut copy does not pass either. Of a URL or a
//      conninfo only what reaches into the password counts as such a prefix: "postgresql" is no
//      secret.
//   2. Forms of keys (secret_formats.def), JWTs, PEM private keys, `Bearer x`, `Basic x`.
//   3. Places where secrets stand: Authorization and Cookie lines, scheme://user:HERE@host, and a
//      name that ends in key, token, secret, password, authorization … followed by = or : and a
//      value, in JSON (also escaped), headers, conninfos and query strings.
// Left alone, because a log without them is of no use: "Token limit", "max_tokens": 8192, ids of
// calls and jobs, UUIDs, hashes in hex, idempotency keys, the bare words "key" and "token" with a
// number or a short word behind a colon, and names of environment variables (${env:NAME}).
//
// Personal data: no caller may log documents, but a provider's error may quote one. So redacted,
// too, are card numbers (right issuer digits and Luhn sum, in groups or 15-16 digits that stand
// alone), IBANs (right check sum), US social security numbers (3-2-4 with hyphens), e-mail
// addresses and telephone numbers that begin with + and a country code. A lone number of 16 digits
// that passes as a card is taken for one. Names, addresses and local telephone numbers are not
// recognised.
#ifndef PRECIS_BASE_REDACT_H
#define PRECIS_BASE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define REDACTED_MARK "[REDACTED]"
// Shorter values are no secrets: they would take out half of every line.
#define REDACTOR_SECRET_BYTES 4

struct redactor;

struct redactor *redactor_new(void);
// Wipes what it holds. NULL is fine.
void redactor_free(struct redactor *redactor);

// Copies `value` (NULL and shorter than REDACTOR_SECRET_BYTES: nothing). Values of 4 to 7 bytes
// are found as a whole only. White space at its end does not count.
void redactor_add_secret(struct redactor *redactor, const char *value);

// Appends `in` to `out` without secrets. `in` may hold any bytes, also NUL.
void redactor_text(const struct redactor *redactor, const char *in, size_t len, struct buf *out);

// The same for a name that was checked (a job's, tenant's, batch's; a topic): nets 1 and 2 only,
// since a job may be called "token:7" or "jane@example.com".
void redactor_name(const struct redactor *redactor, const char *in, size_t len, struct buf *out);

// True if whatever stands under this name is a secret: "authorization", "db_password", "apiKey";
// not for the bare words "key" and "token".
bool redactor_is_secret_name(const char *name);

#endif
