// SPDX-License-Identifier: Apache-2.0
// The table of faults, and the markers by which a document asks for one.
#include "faults.h"

#include "document.h"

#include <stdlib.h>
#include <string.h>

#define FAULT(NAME, HELP, ...) {.name = #NAME, .help = HELP, __VA_ARGS__},
static const struct fault faults[] = {
#include "faults.def"
};
#undef FAULT

const struct fault *fault_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (strlen(faults[i].name) == len && memcmp(faults[i].name, name, len) == 0)
            return &faults[i];
    return NULL;
}

const struct fault *fault_at(size_t index)
{
    return index < sizeof faults / sizeof faults[0] ? &faults[index] : NULL;
}

// --- counting attempts

static uint64_t hash(const char *text, size_t len)
{
    uint64_t value = 14695981039346656037U;
    for (size_t i = 0; i < len; i++)
        value = (value ^ (unsigned char)text[i]) * 1099511628211U;
    return value ? value : 1;
}

static struct attempt *slot_of(struct attempts *attempts, uint64_t document)
{
    size_t at = document & (attempts->cap - 1);
    while (attempts->slots[at].document != 0 && attempts->slots[at].document != document)
        at = (at + 1) & (attempts->cap - 1);
    return &attempts->slots[at];
}

static void grow(struct attempts *attempts)
{
    struct attempts old = *attempts;
    attempts->cap = old.cap ? old.cap * 2 : 64;
    attempts->slots = must_alloc(attempts->cap * sizeof *attempts->slots);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].document)
            *slot_of(attempts, old.slots[i].document) = old.slots[i];
    free(old.slots);
}

// How many attempts there were before this one.
static uint64_t count_attempt(struct attempts *attempts, uint64_t document)
{
    if ((attempts->used + 1) * 2 > attempts->cap)
        grow(attempts);
    struct attempt *slot = slot_of(attempts, document);
    if (slot->document == 0) {
        slot->document = document;
        attempts->used++;
    }
    return slot->count++;
}

void attempts_free(struct attempts *attempts)
{
    free(attempts->slots);
    *attempts = (struct attempts){0};
}

// --- markers

struct marker {
    const struct fault *fault; // NULL where the name is unknown
    const char *model;         // not terminated; NULL for any
    size_t model_len;
    uint64_t times;
};

// Reads the marker at `at` ("[[sim:NAME@MODEL*TIMES]]"); returns where it ends.
static const char *read_marker(const char *at, const char *end, struct marker *out)
{
    static const char stops[] = "@*] \n";
    const char *name = at + 6;
    const char *p = name;
    *out = (struct marker){.times = UINT64_MAX};
    while (p < end && !memchr(stops, *p, sizeof stops - 1))
        p++;
    out->fault = fault_find(name, (size_t)(p - name));
    if (p < end && *p == '@') {
        out->model = ++p;
        while (p < end && *p != '*' && *p != ']' && *p != '\n')
            p++;
        out->model_len = (size_t)(p - out->model);
    }
    if (p < end && *p == '*')
        for (out->times = 0, p++; p < end && *p >= '0' && *p <= '9'; p++)
            out->times = out->times < 1000000 ? out->times * 10 + (uint64_t)(*p - '0') : 1000000;
    if (end - p < 2 || p[0] != ']' || p[1] != ']')
        out->fault = NULL;
    return p;
}

static uint64_t document_hash(const char *text, size_t len)
{
    struct fenced document;
    const char *rest;
    if (document_next(text, text + len, &document, &rest))
        return hash(document.at, document.len);
    return hash(text, len);
}

const struct fault *fault_by_marker(struct attempts *attempts, const char *text, size_t len,
                                    const char *model)
{
    const char *end = text + len;
    const char *at = memmem(text, len, "[[sim:", 6);
    if (!at)
        return NULL;
    uint64_t before = count_attempt(attempts, document_hash(text, len));
    for (; at; at = memmem(at, (size_t)(end - at), "[[sim:", 6)) {
        struct marker marker;
        at = read_marker(at, end, &marker);
        bool suits = !marker.model || (strlen(model) == marker.model_len &&
                                       memcmp(model, marker.model, marker.model_len) == 0);
        if (!marker.fault || !suits)
            continue;
        if (before < marker.times)
            return marker.fault;
        before -= marker.times;
    }
    return NULL;
}
