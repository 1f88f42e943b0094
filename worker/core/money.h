// SPDX-License-Identifier: Apache-2.0
// Money: exact integers of 1e-12 USD ("picousd"), so that a price per token is a whole number and
// the ledger's sum equals the bill to the last digit. An int64 holds 9.2 million dollars. Nothing
// here rounds: what is not exact is refused.
#ifndef PRECIS_CORE_MONEY_H
#define PRECIS_CORE_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PICOUSD_PER_USD INT64_C(1000000000000)
// Room for any amount that money_format_usd writes, with its NUL.
#define MONEY_TEXT_BYTES 24

// Reads a decimal number of dollars: digits with an optional fraction and exponent ("0.05", "3",
// ".5", "1e-7"). False, and nothing written: not such a number (also a sign, a space, NULL), finer
// than 1e-12, or more than an int64 holds.
bool money_parse_usd(const char *decimal, int64_t *out_picousd);
// Writes the exact amount in its shortest form: "0.00375", "12", "0", "-0.5". Returns out, which
// has room for at least MONEY_TEXT_BYTES.
char *money_format_usd(int64_t picousd, char *out, size_t out_bytes);

#endif
