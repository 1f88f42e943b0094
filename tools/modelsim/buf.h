// SPDX-License-Identifier: Apache-2.0
// A growing run of bytes, always followed by a NUL that is not counted. Running out of memory ends
// the program: a simulator that cannot answer is of no use.
#ifndef MODELSIM_BUF_H
#define MODELSIM_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
};

// Makes room for `more` bytes past the end and returns where they go; the length stays.
char *buf_reserve(struct buf *buf, size_t more);

void buf_add(struct buf *buf, const void *bytes, size_t len);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_number(struct buf *buf, uint64_t number);
void buf_add_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Adds bytes as the inside of a JSON string, without the quotes. Three bytes that would encode a
// lone surrogate (ED A0..BF xx) become its \u escape, so that faults can send one.
void buf_add_json(struct buf *buf, const char *bytes, size_t len);

void buf_clear(struct buf *buf);
void buf_free(struct buf *buf);

// Memory or death. The caller frees.
void *must_alloc(size_t bytes);
void *must_realloc(void *old, size_t bytes);
char *must_copy(const char *bytes, size_t len);

#endif
