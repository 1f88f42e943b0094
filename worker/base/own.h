// SPDX-License-Identifier: Apache-2.0
// Memory: small allocations that abort when there is none (a crash is a retry), and cleanup
// attributes for locals. What has a size from outside goes into a capped struct buf instead.
#ifndef PRECIS_BASE_OWN_H
#define PRECIS_BASE_OWN_H

#include <stddef.h>

// Like malloc (zeroed), realloc and strdup, but never NULL: they abort. The caller frees with
// free().
void *own_alloc(size_t size);
void *own_array(size_t count, size_t size);
void *own_grow(void *memory, size_t count, size_t size);
// NULL stays NULL.
char *own_strdup(const char *text);
char *own_strndup(const char *text, size_t len);

// For OWN_FREE: frees what the pointer points at.
void own_free_pointer(void *pointer_to_pointer);

#define OWN_FREE __attribute__((cleanup(own_free_pointer)))

#endif
