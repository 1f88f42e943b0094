// SPDX-License-Identifier: Apache-2.0
// The shared contracts and their gold facts, and tallies of what was measured on them.
#ifndef PRECIS_TESTS_TRUST_GOLD_H
#define PRECIS_TESTS_TRUST_GOLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/text.h"

#define SHOWN 12 // failures of each sort that are printed

struct tally {
    const char *what;
    size_t count, bad;
};

struct gold_world {
    const char *folder; // NULL: there is no shared data here
    json_t *gold;
};

static inline void count(struct tally *tally, bool bad, const char *where, const char *text)
{
    tally->count++;
    tally->bad += bad;
    if (bad && tally->bad <= SHOWN)
        printf("  %s: %.60s: %.160s\n", tally->what, where, text);
}

static inline double percent_bad(const struct tally *tally)
{
    return tally->count ? 100.0 * (double)tally->bad / (double)tally->count : 0;
}

static inline void print_tally(const struct tally *tally)
{
    printf("%s: %zu of %zu (%.2f %%)\n", tally->what, tally->bad, tally->count, percent_bad(tally));
}

// ------------------------------------------------------------------------------------- documents

static inline void read_stream(struct buf *out, FILE *stream)
{
    char block[8192];
    for (size_t got; (got = fread(block, 1, sizeof(block), stream)) > 0;)
        buf_add(out, block, got);
}

static inline bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

// Appends the document's text; false: it cannot be had here (a DOCX, or a PDF without pdftotext).
static inline bool read_document(const struct gold_world *world, const char *name, struct buf *out)
{
    struct buf path OWN_BUF, raw OWN_BUF;
    buf_init(&path, 0);
    buf_init(&raw, 0);
    bool pdf = ends_with(name, ".pdf");
    if (ends_with(name, ".docx"))
        return false;
    buf_printf(&path,
               pdf ? "pdftotext -enc UTF-8 '%s/contracts/%s' - 2>/dev/null" : "%s/contracts/%s",
               world->folder, name);
    FILE *stream = pdf ? popen(buf_str(&path), "r") : fopen(buf_str(&path), "r");
    if (!stream)
        return false;
    read_stream(&raw, stream);
    if (pdf)
        pclose(stream);
    else
        fclose(stream);
    text_clean(out, buf_str(&raw), raw.len, NULL);
    return out->len > 0;
}

// A passage with single spaces, as a person would copy it.
static inline void tidy(struct buf *out, const char *quote)
{
    buf_clear(out);
    for (const char *c = quote; *c; c++) {
        bool space = *c == ' ' || *c == '\n' || *c == '\t' || *c == '\r' || *c == '\f';
        if (!space)
            buf_add_char(out, *c);
        else if (out->len && out->data[out->len - 1] != ' ')
            buf_add_char(out, ' ');
    }
}

// Opens the shared data; skips the test by name where there is none.
static inline int world_open(void **state)
{
    struct gold_world *world = own_alloc(sizeof(*world));
    *state = world;
    world->folder = getenv("PRECIS_TEST_DATA");
    struct buf path OWN_BUF;
    buf_init(&path, 0);
    buf_printf(&path, "%s/contracts/gold.json", world->folder ? world->folder : "");
    world->gold = json_load_file(buf_str(&path), 0, NULL);
    return 0;
}

static inline int world_close(void **state)
{
    struct gold_world *world = *state;
    json_decref(world->gold);
    free(world);
    return 0;
}

static inline struct gold_world *world_of(void **state)
{
    struct gold_world *world = *state;
    if (!world->gold) {
        print_message("PRECIS_TEST_DATA has no contracts/gold.json\n");
        skip();
    }
    return world;
}

#endif
