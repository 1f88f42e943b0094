// SPDX-License-Identifier: Apache-2.0
// The furniture of pages: what stands between the end of one page's text and the beginning of the
// next one's.
//
// Two sorts of lines are furniture. A page number ("12", "- 12 -", "Page 3 of 7", "Seite 3") is
// where it stands beside a form feed, or alone between blank lines. Any other line is where it
// stands beside a form feed and the same line, figures left out, stands beside another one: a head
// or a foot. A page begins with at most EDGE_LINES of them, and ends so.
#include "core/ground_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/visible.h"

#define EDGE_LINES 3
#define LINE_BYTES 300 // a longer one is text

struct line {
    size_t from, to;
};

static struct line line_at(const char *text, size_t len, size_t from)
{
    size_t to = from;
    while (to < len && text[to] != '\n' && text[to] != '\f')
        to++;
    return (struct line){from, to};
}

static bool is_blank(const char *text, struct line line)
{
    while (line.from < line.to &&
           (text[line.from] == ' ' || text[line.from] == '\t' || text[line.from] == '\r'))
        line.from++;
    return line.from == line.to;
}

// ------------------------------------------------------------------------------------- numbers

static bool is_page_word(const char *text, size_t len)
{
    static const char *const words[] = {"page",
                                        "of",
                                        "seite",
                                        "von",
                                        "sur",
                                        "de",
                                        "p",
                                        "pag",
                                        "pg",
                                        "p\xc3\xa1gina",
                                        "pagina",
                                        "\xe7\xac\xac",
                                        "\xe9\xa1\xb5",
                                        "\xe9\xa0\x81",
                                        "\xe5\x85\xb1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
            return true;
    return false;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

// Small letters, for the comparison; longer lines than LINE_BYTES are not asked.
static size_t lower(const char *text, struct line line, char *out)
{
    size_t len = line.to - line.from;
    for (size_t i = 0; i < len; i++) {
        char c = text[line.from + i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return len;
}

// Figures, signs and words of page numbers, at least one number and at most two.
static bool is_page_number(const char *text, struct line line)
{
    char small[LINE_BYTES];
    if (line.to - line.from > 40)
        return false;
    size_t len = lower(text, line, small), numbers = 0, at = 0;
    while (at < len) {
        size_t run = at;
        if (small[at] >= '0' && small[at] <= '9') {
            while (run < len && small[run] >= '0' && small[run] <= '9')
                run++;
            if (run - at > 4)
                return false;
            numbers++;
        } else if (is_word_byte(small[at])) {
            bool wide = (unsigned char)small[at] >= 0xE0;
            while (run < len && is_word_byte(small[run]) && !(wide && run - at == 3))
                run++;
            if (!is_page_word(small + at, run - at))
                return false;
        } else if (!strchr(" \t\r-/.|[]()", small[at])) {
            return false;
        } else {
            run++;
        }
        at = run;
    }
    return numbers == 1 || numbers == 2;
}

// ------------------------------------------------------------------------------------- pages

// A line beside a form feed.
struct edge {
    struct line line;
    uint64_t hash; // without its figures and blanks
};

struct edges {
    struct edge *list;
    size_t count;
};

static uint64_t hash_line(const char *text, struct line line)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = line.from; i < line.to; i++) {
        char c = text[i];
        if (c != ' ' && c != '\t' && c != '\r' && !(c >= '0' && c <= '9'))
            hash = (hash ^ (unsigned char)c) * UINT64_C(1099511628211);
    }
    return hash;
}

static void add_edge(struct edges *edges, const char *text, struct line line)
{
    if (line.to - line.from > LINE_BYTES)
        return;
    if (edges->count % 64 == 0)
        edges->list = own_grow(edges->list, edges->count + 64, sizeof(struct edge));
    edges->list[edges->count++] = (struct edge){line, hash_line(text, line)};
}

// The lines before the form feed at `at`.
static void add_foot(struct edges *edges, const char *text, size_t at)
{
    int lines = 0;
    size_t to = at;
    for (int seen = 0; to > 0 && lines < EDGE_LINES && seen < 2 * EDGE_LINES + 4; seen++) {
        size_t from = to;
        while (from > 0 && text[from - 1] != '\n' && text[from - 1] != '\f' &&
               to - from <= LINE_BYTES)
            from--;
        struct line line = {from, to};
        if (to - from > LINE_BYTES)
            return;
        if (!is_blank(text, line)) {
            add_edge(edges, text, line);
            lines++;
        }
        if (from == 0 || text[from - 1] == '\f')
            return;
        to = from - 1;
    }
}

// The lines behind the form feed at `at`.
static void add_head(struct edges *edges, const char *text, size_t len, size_t at)
{
    int lines = 0;
    size_t from = at + 1;
    for (int seen = 0; from < len && lines < EDGE_LINES && seen < 2 * EDGE_LINES + 4; seen++) {
        struct line line = line_at(text, len, from);
        if (!is_blank(text, line)) {
            add_edge(edges, text, line);
            lines++;
        }
        if (line.to >= len || text[line.to] == '\f')
            return;
        from = line.to + 1;
    }
}

static int by_hash(const void *a, const void *b)
{
    const struct edge *left = a, *right = b;
    if (left->hash != right->hash)
        return left->hash < right->hash ? -1 : 1;
    return (left->line.from > right->line.from) - (left->line.from < right->line.from);
}

static int by_place(const void *a, const void *b)
{
    const struct edge *left = a, *right = b;
    return (left->line.from > right->line.from) - (left->line.from < right->line.from);
}

// Of the lines beside form feeds: page numbers, and where asked those that return.
static void keep_furniture(struct edges *edges, const char *text, bool returning)
{
    size_t kept = 0;
    if (edges->count)
        qsort(edges->list, edges->count, sizeof(struct edge), by_hash);
    uint64_t last_hash = 0;
    size_t last_from = SIZE_MAX;
    for (size_t i = 0; i < edges->count; i++) {
        struct edge edge = edges->list[i];
        bool before =
            last_from != SIZE_MAX && last_hash == edge.hash && last_from != edge.line.from;
        bool behind = i + 1 < edges->count && edges->list[i + 1].hash == edge.hash &&
                      edges->list[i + 1].line.from != edge.line.from;
        last_hash = edge.hash;
        last_from = edge.line.from;
        if ((returning && (before || behind)) || is_page_number(text, edge.line))
            edges->list[kept++] = edge;
    }
    edges->count = kept;
}

// Page numbers alone between blank lines, in texts whose form feeds are gone.
static void add_lone_numbers(struct edges *edges, const char *text, size_t len)
{
    bool blank_before = true;
    for (size_t from = 0; from < len;) {
        struct line line = line_at(text, len, from);
        bool blank = is_blank(text, line);
        if (!blank && blank_before && line.to - line.from <= 40 && is_page_number(text, line)) {
            struct line next = line_at(text, len, line.to < len ? line.to + 1 : len);
            if (line.to >= len || text[line.to] == '\f' || is_blank(text, next))
                add_edge(edges, text, line);
        }
        blank_before = blank || (line.to < len && text[line.to] == '\f');
        from = line.to + 1;
    }
}

// ------------------------------------------------------------------------------------- public

static void blank(struct buf *out, const char *text, struct line line)
{
    size_t bytes;
    for (size_t at = line.from; at < line.to; at += bytes) {
        visible_decode(text + at, line.to - at, &bytes);
        buf_add_char(out, ' ');
    }
}

bool ground_blank_furniture(struct buf *out, const char *text, size_t len, bool returning)
{
    struct edges edges = {.count = 0};
    for (const char *feed = memchr(text, '\f', len); feed;
         feed = memchr(feed + 1, '\f', len - (size_t)(feed + 1 - text))) {
        add_foot(&edges, text, (size_t)(feed - text));
        add_head(&edges, text, len, (size_t)(feed - text));
    }
    keep_furniture(&edges, text, returning);
    add_lone_numbers(&edges, text, len);
    if (edges.count)
        qsort(edges.list, edges.count, sizeof(struct edge), by_place);
    size_t at = 0;
    for (size_t i = 0; i < edges.count; i++) {
        struct line line = edges.list[i].line;
        if (line.from < at) // twice in the list
            continue;
        buf_add(out, text + at, line.from - at);
        blank(out, text, line);
        at = line.to;
    }
    if (edges.count)
        buf_add(out, text + at, len - at);
    free(edges.list);
    return edges.count > 0;
}
