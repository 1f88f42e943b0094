// SPDX-License-Identifier: Apache-2.0
// What every fuzz target offers. A target checks what must hold with FUZZ_CHECK, not only that
// nothing crashes.
#ifndef PRECIS_TESTS_FUZZ_H
#define PRECIS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
