// SPDX-License-Identifier: Apache-2.0
// Assertions that stay on in release. A broken invariant ends the process: Kafka redelivers, and a
// crash is a retry, whereas a wrong row is repaired by nothing.
#ifndef PRECIS_BASE_CHECK_H
#define PRECIS_BASE_CHECK_H

// Prints "file:line: what" on stderr and aborts.
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#endif
