// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a cap. Everything whose size comes from outside lives in one.
// An append that would pass the cap changes nothing, sets `overflow` and answers false; the flag
// stays, so that a run of appends can be checked once at its end. Contents are always followed by
// a NUL that does not count, so `data` of a non-empty buffer is also a C string.
#ifndef PRECIS_BASE_BUF_H
#define PRECIS_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; // NULL until the first append
    size_t len;
    size_t room; // bytes allocated
    size_t cap;  // most bytes of content; 0 means no cap
    bool overflow;
};

// No memory is taken before the first append. cap 0: none.
void buf_init(struct buf *buf, size_t cap);
// Frees the contents; the cap stays, the buffer can be used again.
void buf_deinit(struct buf *buf);
// Forgets the contents and keeps the memory.
void buf_clear(struct buf *buf);

bool buf_add(struct buf *buf, const void *data, size_t len);
bool buf_add_str(struct buf *buf, const char *text);
bool buf_add_char(struct buf *buf, char c);
// In decimal.
bool buf_add_int(struct buf *buf, int64_t number);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
// Removes the first `len` bytes.
void buf_consume(struct buf *buf, size_t len);
// The contents as a C string ("" when empty), owned by the buffer.
const char *buf_str(const struct buf *buf);
// The contents as a heap string that the caller frees; the buffer is empty afterwards.
char *buf_take(struct buf *buf);

// For locals: `struct buf b OWN_BUF;` after buf_init.
#define OWN_BUF __attribute__((cleanup(buf_deinit)))

#endif
