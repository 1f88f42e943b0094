// SPDX-License-Identifier: Apache-2.0
// Allocation that never answers NULL.
#include "base/own.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void *own_alloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    CHECK(memory != NULL);
    return memory;
}

void *own_array(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    CHECK(memory != NULL);
    return memory;
}

void *own_grow(void *memory, size_t count, size_t size)
{
    CHECK(size == 0 || count <= SIZE_MAX / size);
    size_t bytes = count * size;
    void *grown = realloc(memory, bytes == 0 ? 1 : bytes);
    CHECK(grown != NULL);
    return grown;
}

char *own_strdup(const char *text)
{
    return text ? own_strndup(text, strlen(text)) : NULL;
}

char *own_strndup(const char *text, size_t len)
{
    char *copy = own_alloc(len + 1);
    memcpy(copy, text, len);
    return copy;
}

void own_free_pointer(void *pointer_to_pointer)
{
    void **pointer = pointer_to_pointer;
    free(*pointer);
}
