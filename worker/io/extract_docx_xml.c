// SPDX-License-Identifier: Apache-2.0
// WordprocessingML as text.
//
// Only what is known to be text is taken: characters inside <w:t>, and what stands for a tab, a
// line or a hyphen. So field codes, deleted text (<w:delText>) and all that is added to the format
// later stay out by themselves. Skipped with everything inside: where text was moved from, what an
// older program would show in place of a newer element (mc:Fallback), and Ruby's reading aids.
#include "io/extract_docx_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/parser.h>

#include "base/check.h"
#include "base/own.h"
#include "io/extract_flow.h"

#define TABLE_DEPTH 16
#define WORD_URI    "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
#define STRICT_URI  "http://purl.oclc.org/ooxml/wordprocessingml/main"

struct docx_part {
    xmlParserCtxtPtr parser;
    struct flow flow;
    bool notes;
    bool forbidden; // a document type declaration
    int skipping;   // elements that are open since the one that is skipped; 0: none
    bool in_text;
    bool vanished; // the run under way is hidden text
    bool hid_text, had_deletions;
    size_t tables;
    int cells[TABLE_DEPTH]; // of the row under way, by table
    struct docx_numbers *numbers;
    struct docx_numbered paragraph; // what the properties of the one under way say
    struct buf label;               // its number, until its first text
    // of docx_part_definitions
    char value[200]; // of the attribute that was asked for last
    const xmlChar **attributes;
    int attribute_count;
    // of docx_part_relations
    const char *type;
    char *target;
    size_t target_bytes;
};

// ------------------------------------------------------------------------------- attributes

// SAX2 gives five pointers each: local name, prefix, URI, value's begin and end.
static bool attribute(const xmlChar **attributes, int count, const char *name, char *out,
                      size_t out_bytes)
{
    for (int i = 0; i < count; i++, attributes += 5)
        if (strcmp((const char *)attributes[0], name) == 0) {
            snprintf(out, out_bytes, "%.*s", (int)(attributes[4] - attributes[3]),
                     (const char *)attributes[3]);
            return true;
        }
    return false;
}

// <w:vanish/> is yes; <w:vanish w:val="0"/> is no.
static bool is_on(const xmlChar **attributes, int count)
{
    char value[8];
    return !attribute(attributes, count, "val", value, sizeof(value)) ||
           (strcmp(value, "0") != 0 && strcmp(value, "false") != 0 && strcmp(value, "off") != 0);
}

// ------------------------------------------------------------------------------- elements

enum element {
    ELEMENT_NONE,
    ELEMENT_SKIPPED,
    ELEMENT_PARAGRAPH,
    ELEMENT_RUN,
    ELEMENT_TEXT,
    ELEMENT_TAB,
    ELEMENT_BREAK,
    ELEMENT_HYPHEN,
    ELEMENT_VANISH,
    ELEMENT_TABLE,
    ELEMENT_ROW,
    ELEMENT_CELL,
    ELEMENT_REFERENCE,
    ELEMENT_NOTE,
    ELEMENT_DELETION,
    ELEMENT_SYMBOL,
    ELEMENT_PROPERTIES,
    ELEMENT_STYLE,
    ELEMENT_LIST,
    ELEMENT_LEVEL,
};

static const struct row {
    const char *name;
    enum element element;
} rows[] = {
    {"p", ELEMENT_PARAGRAPH},
    {"r", ELEMENT_RUN},
    {"t", ELEMENT_TEXT},
    {"tab", ELEMENT_TAB},
    {"ptab", ELEMENT_TAB},
    {"br", ELEMENT_BREAK},
    {"cr", ELEMENT_BREAK},
    {"noBreakHyphen", ELEMENT_HYPHEN},
    {"sym", ELEMENT_SYMBOL},
    {"vanish", ELEMENT_VANISH},
    {"webHidden", ELEMENT_NONE},
    {"tbl", ELEMENT_TABLE},
    {"tr", ELEMENT_ROW},
    {"tc", ELEMENT_CELL},
    {"footnoteReference", ELEMENT_REFERENCE},
    {"endnoteReference", ELEMENT_REFERENCE},
    {"footnote", ELEMENT_NOTE},
    {"endnote", ELEMENT_NOTE},
    {"del", ELEMENT_DELETION},
    {"moveFrom", ELEMENT_DELETION},
    {"pPr", ELEMENT_PROPERTIES},
    {"pStyle", ELEMENT_STYLE},
    {"numId", ELEMENT_LIST},
    {"ilvl", ELEMENT_LEVEL},
    {"tabs", ELEMENT_SKIPPED}, // of a paragraph's properties: stops, not tabs
    {"rt", ELEMENT_SKIPPED},
    {"pPrChange", ELEMENT_SKIPPED},
    {"rPrChange", ELEMENT_SKIPPED},
    {"sectPrChange", ELEMENT_SKIPPED},
    {"tblPrChange", ELEMENT_SKIPPED},
};

static enum element element_of(const char *name, const char *uri)
{
    if (!uri)
        return ELEMENT_NONE;
    if (strcmp(uri, WORD_URI) != 0 && strcmp(uri, STRICT_URI) != 0)
        return strcmp(name, "Fallback") == 0 ? ELEMENT_SKIPPED : ELEMENT_NONE;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].element;
    return ELEMENT_NONE;
}

static int *cells_of(struct docx_part *part)
{
    return part->tables > 0 && part->tables <= TABLE_DEPTH ? &part->cells[part->tables - 1] : NULL;
}

// Text, behind the number of its paragraph.
static void put(struct docx_part *part, const char *text, size_t len)
{
    if (part->label.len > 0) {
        flow_mark(&part->flow, buf_str(&part->label));
        buf_clear(&part->label);
    }
    flow_add(&part->flow, text, len);
}

// Paragraphs are lines; in a cell they are words apart, so that a row stays one line.
static void end_paragraph(struct docx_part *part)
{
    flow_break(&part->flow, part->tables ? FLOW_SPACE : FLOW_LINE);
    part->paragraph = (struct docx_numbered){.list = -1, .level = -1};
    buf_clear(&part->label);
}

static int number_of(const xmlChar **attributes, int count)
{
    char value[16];
    long number =
        attribute(attributes, count, "val", value, sizeof(value)) ? strtol(value, NULL, 10) : -1;
    return number >= 0 && number < 1000000000 ? (int)number : -1;
}

static void open_cell(struct docx_part *part)
{
    int *cells = cells_of(part);
    // Tables in cells of tables: their cells are words of the outer one.
    if (part->tables > 1)
        flow_break(&part->flow, FLOW_SPACE);
    else if (cells && (*cells)++ > 0)
        flow_tab(&part->flow);
}

static void end_row(struct docx_part *part)
{
    part->flow.fresh = false;
    flow_break(&part->flow, part->tables > 1 ? FLOW_SPACE : FLOW_LINE);
    int *cells = cells_of(part);
    if (cells)
        *cells = 0;
}

static void refer(struct docx_part *part, const xmlChar **attributes, int count)
{
    char id[16], mark[24];
    if (!attribute(attributes, count, "id", id, sizeof(id)))
        return;
    snprintf(mark, sizeof(mark), "[%s]", id);
    put(part, mark, strlen(mark));
}

// A character of a symbol font: boxes and ticks, which say what was agreed to. Others are ornament.
static void put_symbol(struct docx_part *part, const xmlChar **attributes, int count)
{
    static const struct {
        const char *code, *text;
    } symbols[] = {
        {"F0FE", "\xe2\x98\x92"}, {"F0FD", "\xe2\x98\x92"}, {"F078", "\xe2\x98\x92"},
        {"F0A8", "\xe2\x98\x90"}, {"F06F", "\xe2\x98\x90"}, {"F0A3", "\xe2\x98\x90"},
        {"F0FC", "\xe2\x9c\x93"}, {"F0FB", "\xe2\x9c\x97"},
    };
    char font[40], code[8];
    if (!attribute(attributes, count, "font", font, sizeof(font)) ||
        strncmp(font, "Wingdings", 9) != 0 ||
        !attribute(attributes, count, "char", code, sizeof(code)))
        return;
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
        if (strcasecmp(symbols[i].code, code) == 0)
            put(part, symbols[i].text, strlen(symbols[i].text));
}

// Separators between text and notes are notes, too, by their type.
static void open_note(struct docx_part *part, const xmlChar **attributes, int count)
{
    char type[32], id[16], mark[24];
    if (attribute(attributes, count, "type", type, sizeof(type)) && strcmp(type, "normal") != 0) {
        part->skipping = 1;
        return;
    }
    flow_break(&part->flow, FLOW_LINE);
    if (!attribute(attributes, count, "id", id, sizeof(id)))
        return;
    snprintf(mark, sizeof(mark), "[%s] ", id);
    flow_mark(&part->flow, mark);
}

static void open_element(struct docx_part *part, enum element element, const xmlChar **attributes,
                         int count)
{
    switch (element) {
    case ELEMENT_NONE:
        break;
    case ELEMENT_DELETION:
        part->had_deletions = true;
        part->skipping = 1;
        break;
    case ELEMENT_SKIPPED:
        part->skipping = 1;
        break;
    case ELEMENT_PARAGRAPH:
        end_paragraph(part); // a text box begins inside of another one
        break;
    case ELEMENT_RUN:
        part->vanished = false;
        break;
    case ELEMENT_TEXT:
        part->in_text = true;
        break;
    case ELEMENT_TAB:
        put(part, "\t", 1);
        break;
    case ELEMENT_BREAK:
        flow_break(&part->flow, part->tables ? FLOW_SPACE : FLOW_LINE);
        break;
    case ELEMENT_HYPHEN:
        put(part, "-", 1);
        break;
    case ELEMENT_VANISH:
        part->vanished = is_on(attributes, count);
        break;
    case ELEMENT_TABLE:
        flow_break(&part->flow, part->tables ? FLOW_SPACE : FLOW_LINE);
        if (part->tables++ < TABLE_DEPTH)
            *cells_of(part) = 0;
        break;
    case ELEMENT_ROW:
        if (part->tables == 1)
            flow_row(&part->flow);
        break;
    case ELEMENT_CELL:
        open_cell(part);
        break;
    case ELEMENT_REFERENCE:
        refer(part, attributes, count);
        break;
    case ELEMENT_NOTE:
        if (part->notes)
            open_note(part, attributes, count);
        break;
    case ELEMENT_SYMBOL:
        put_symbol(part, attributes, count);
        break;
    case ELEMENT_PROPERTIES:
        break;
    case ELEMENT_STYLE:
        attribute(attributes, count, "val", part->paragraph.style, sizeof(part->paragraph.style));
        break;
    case ELEMENT_LIST:
        part->paragraph.list = number_of(attributes, count);
        break;
    case ELEMENT_LEVEL:
        part->paragraph.level = number_of(attributes, count);
        break;
    }
}

static void close_element(struct docx_part *part, enum element element)
{
    if (element == ELEMENT_PARAGRAPH)
        end_paragraph(part);
    else if (element == ELEMENT_PROPERTIES && part->numbers)
        docx_numbers_add(part->numbers, &part->paragraph, &part->label);
    else if (element == ELEMENT_TEXT)
        part->in_text = false;
    else if (element == ELEMENT_ROW)
        end_row(part);
    else if (element == ELEMENT_TABLE && part->tables > 0) {
        part->tables--;
        part->flow.fresh = false;
        flow_break(&part->flow, part->tables ? FLOW_SPACE : FLOW_LINE);
    }
}

// ------------------------------------------------------------------------------- events

struct definition_element {
    struct docx_element base; // first
    struct docx_part *part;
};

// NOLINTNEXTLINE(readability-function-size): libxml2's signature
static void on_start(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespace_count, const xmlChar **namespaces, int count, int defaulted,
                     const xmlChar **attributes)
{
    (void)prefix, (void)namespace_count, (void)namespaces, (void)defaulted;
    struct docx_part *part = context;
    if (part->skipping)
        part->skipping++;
    else
        open_element(part, element_of((const char *)name, (const char *)uri), attributes, count);
}

static void on_end(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    (void)prefix;
    struct docx_part *part = context;
    if (part->skipping)
        part->skipping--;
    else
        close_element(part, element_of((const char *)name, (const char *)uri));
}

static void on_text(void *context, const xmlChar *text, int len)
{
    struct docx_part *part = context;
    if (part->skipping || !part->in_text || len <= 0)
        return;
    if (part->vanished)
        part->hid_text = true;
    else
        put(part, (const char *)text, (size_t)len);
    if (part->flow.out->overflow)
        xmlStopParser(part->parser);
}

static void on_doctype(void *context, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
    (void)name, (void)external, (void)system;
    struct docx_part *part = context;
    part->forbidden = true;
    xmlStopParser(part->parser);
}

static const char *value_of(const struct docx_element *element, const char *name)
{
    struct docx_part *part = ((const struct definition_element *)element)->part;
    return attribute(part->attributes, part->attribute_count, name, part->value,
                     sizeof(part->value))
               ? part->value
               : NULL;
}

static bool is_word(const xmlChar *uri)
{
    return uri &&
           (strcmp((const char *)uri, WORD_URI) == 0 || strcmp((const char *)uri, STRICT_URI) == 0);
}

// NOLINTNEXTLINE(readability-function-size): libxml2's signature
static void on_definition(void *context, const xmlChar *name, const xmlChar *prefix,
                          const xmlChar *uri, int namespace_count, const xmlChar **namespaces,
                          int count, int defaulted, const xmlChar **attributes)
{
    (void)prefix, (void)namespace_count, (void)namespaces, (void)defaulted;
    struct docx_part *part = context;
    struct definition_element element = {{(const char *)name, value_of}, part};
    part->attributes = attributes;
    part->attribute_count = count;
    if (is_word(uri))
        docx_numbers_open(part->numbers, &element.base);
}

static void on_definition_end(void *context, const xmlChar *name, const xmlChar *prefix,
                              const xmlChar *uri)
{
    (void)prefix;
    struct docx_part *part = context;
    if (is_word(uri))
        docx_numbers_close(part->numbers, (const char *)name);
}

// NOLINTNEXTLINE(readability-function-size): libxml2's signature
static void on_relation(void *context, const xmlChar *name, const xmlChar *prefix,
                        const xmlChar *uri, int namespace_count, const xmlChar **namespaces,
                        int count, int defaulted, const xmlChar **attributes)
{
    (void)prefix, (void)uri, (void)namespace_count, (void)namespaces, (void)defaulted;
    struct docx_part *part = context;
    char type[200];
    if (part->target[0] || strcmp((const char *)name, "Relationship") != 0 ||
        !attribute(attributes, count, "Type", type, sizeof(type)))
        return;
    size_t len = strlen(type), tail = strlen(part->type);
    if (len >= tail && strcmp(type + len - tail, part->type) == 0)
        attribute(attributes, count, "Target", part->target, part->target_bytes);
}

// ------------------------------------------------------------------------------- life

static struct docx_part *part_new(xmlSAXHandler *handler)
{
    struct docx_part *part = own_alloc(sizeof(*part));
    buf_init(&part->label, 0);
    handler->initialized = XML_SAX2_MAGIC;
    handler->internalSubset = on_doctype;
    part->parser = xmlCreatePushParserCtxt(handler, part, NULL, 0, NULL);
    CHECK(part->parser);
    xmlCtxtUseOptions(part->parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    return part;
}

struct docx_part *docx_part_new(struct buf *out, bool notes, struct docx_numbers *numbers)
{
    xmlSAXHandler handler = {
        .startElementNs = on_start,
        .endElementNs = on_end,
        .characters = on_text,
        .cdataBlock = on_text,
        .ignorableWhitespace = on_text,
    };
    struct docx_part *part = part_new(&handler);
    part->flow.out = out;
    part->notes = notes;
    part->numbers = numbers;
    part->paragraph = (struct docx_numbered){.list = -1, .level = -1};
    return part;
}

struct docx_part *docx_part_definitions(struct docx_numbers *numbers)
{
    xmlSAXHandler handler = {.startElementNs = on_definition, .endElementNs = on_definition_end};
    struct docx_part *part = part_new(&handler);
    part->numbers = numbers;
    return part;
}

struct docx_part *docx_part_relations(const char *type, char *out, size_t out_bytes)
{
    xmlSAXHandler handler = {.startElementNs = on_relation};
    struct docx_part *part = part_new(&handler);
    part->type = type;
    part->target = out;
    part->target_bytes = out_bytes;
    out[0] = '\0';
    return part;
}

bool docx_part_push(struct docx_part *part, const char *bytes, size_t len, bool last)
{
    CHECK(len < 1u << 30);
    int error = xmlParseChunk(part->parser, bytes, (int)len, last);
    if (last && part->flow.out)
        flow_end(&part->flow);
    return error == XML_ERR_OK && !part->forbidden && part->parser->wellFormed != 0 &&
           !(part->flow.out && part->flow.out->overflow);
}

bool docx_part_lacked_memory(const struct docx_part *part)
{
    return part->parser->errNo == XML_ERR_NO_MEMORY;
}

bool docx_part_hid_text(const struct docx_part *part)
{
    return part->hid_text;
}

bool docx_part_had_deletions(const struct docx_part *part)
{
    return part->had_deletions;
}

void docx_part_free(struct docx_part *part)
{
    if (!part)
        return;
    xmlFreeDoc(part->parser->myDoc);
    xmlFreeParserCtxt(part->parser);
    buf_deinit(&part->label);
    free(part);
}
