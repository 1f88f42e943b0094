// SPDX-License-Identifier: Apache-2.0
// Web pages, through libxml2's HTML parser as a stream of events.
//
// No tree is built: a page of 50 MB would be half a gigabyte of nodes, and nesting has no limit
// that way. The parser is older than HTML 5; for the flow of text the difference is small, and it
// is the library that DOCX needs anyway. gumbo knows HTML 5, but builds trees and has no
// maintainer.
//
// What is skipped is skipped with everything inside. Only what never carries text of a document is:
// a <header> or <footer> may hold a title or a date, and goes only where its role says that it
// belongs to the site.
#include "io/extract_html.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/HTMLparser.h>

#include "io/extract_flow.h"
#include "io/extract_ordinal.h"

#define LIST_DEPTH      32
#define DECLARING_BYTES 2048 // a page names its charset in the first of these

enum element {
    ELEMENT_INLINE,
    ELEMENT_SKIPPED,
    ELEMENT_LINE,  // begins and ends a line
    ELEMENT_BLOCK, // with a blank line around
    ELEMENT_BREAK, // <br>
    ELEMENT_LIST,
    ELEMENT_ITEM,
    ELEMENT_ROW,
    ELEMENT_CELL,
    ELEMENT_PRE,
};

static const struct row {
    const char *names; // with spaces around each
    enum element element;
} rows[] = {
    {" script style template nav title noscript iframe object embed svg canvas audio video select "
     "option button textarea datalist dialog map frameset ",
     ELEMENT_SKIPPED},
    {" div address dt dd figcaption caption summary legend center form body html tbody thead "
     "tfoot ",
     ELEMENT_LINE},
    {" p h1 h2 h3 h4 h5 h6 section article main header footer aside blockquote table dl details "
     "figure fieldset hr hgroup ",
     ELEMENT_BLOCK},
    {" br ", ELEMENT_BREAK},
    {" ul ol menu dir ", ELEMENT_LIST},
    {" li ", ELEMENT_ITEM},
    {" tr ", ELEMENT_ROW},
    {" td th ", ELEMENT_CELL},
    {" pre listing xmp plaintext ", ELEMENT_PRE},
};

struct list_state {
    bool numbered;
    char style; // of the numbers: 1 a A i I
    int number; // of the next item
};

struct page {
    struct flow flow;
    htmlParserCtxtPtr parser;
    int skipping;  // elements that are open since the one that is skipped; 0: none
    bool hidden;   // it is skipped because a reader would not see it
    bool hid_text; // and there was text in it
    int pre;       // open <pre>
    int cells;     // of the row so far
    size_t lists;  // open ones
    struct list_state list[LIST_DEPTH];
};

// ------------------------------------------------------------------------------- elements

static enum element element_of(const char *name)
{
    char word[24];
    if (strlen(name) > sizeof(word) - 3)
        return ELEMENT_INLINE;
    snprintf(word, sizeof(word), " %s ", name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcasestr(rows[i].names, word))
            return rows[i].element;
    return ELEMENT_INLINE;
}

// attributes: name, value, name, value, …, NULL; a value may be NULL.
static const char *attribute(const xmlChar **attributes, const char *name)
{
    for (; attributes && attributes[0]; attributes += 2)
        if (strcasecmp((const char *)attributes[0], name) == 0)
            return attributes[1] ? (const char *)attributes[1] : "";
    return NULL;
}

static bool is_site_furniture(const xmlChar **attributes)
{
    static const char *const roles[] = {"navigation", "banner",  "contentinfo", "search",
                                        "menu",       "menubar", "toolbar",     "tablist"};
    const char *role = attribute(attributes, "role");
    for (size_t i = 0; role && i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcasecmp(role, roles[i]) == 0)
            return true;
    return false;
}

// Does the style have the declaration, white space aside?
static bool declares(const char *style, const char *declaration)
{
    char bare[512];
    size_t len = 0;
    for (; *style && len + 1 < sizeof(bare); style++)
        if (!isspace((unsigned char)*style))
            bare[len++] = (char)tolower((unsigned char)*style);
    bare[len] = '\0';
    const char *at = strstr(bare, declaration);
    char after = at ? at[strlen(declaration)] : '\0';
    return at && (at == bare || at[-1] == ';') && !isdigit((unsigned char)after) && after != '.';
}

static bool is_hidden(const xmlChar **attributes)
{
    const char *style = attribute(attributes, "style");
    if (attribute(attributes, "hidden"))
        return true;
    return style && (declares(style, "display:none") || declares(style, "visibility:hidden") ||
                     declares(style, "font-size:0") || declares(style, "font-size:0px") ||
                     declares(style, "font-size:0pt") || declares(style, "opacity:0"));
}

// ------------------------------------------------------------------------------- lists

static void open_list(struct page *page, const char *name, const xmlChar **attributes)
{
    const char *start = attribute(attributes, "start"), *type = attribute(attributes, "type");
    bool numbered = strcasecmp(name, "ol") == 0;
    long number = start ? strtol(start, NULL, 10) : 1;
    // A list inside an item begins on its own line, one of its own with a blank one.
    flow_break(&page->flow, page->lists ? FLOW_LINE : FLOW_BLANK);
    if (page->lists < LIST_DEPTH)
        page->list[page->lists] = (struct list_state){
            numbered, type && type[0] && strchr("1aAiI", type[0]) ? type[0] : '1',
            number > INT_MIN && number < INT_MAX / 2 ? (int)number : 1};
    page->lists++;
}

static void close_list(struct page *page)
{
    if (page->lists > 0)
        page->lists--;
    flow_break(&page->flow, page->lists ? FLOW_LINE : FLOW_BLANK);
}

static void open_item(struct page *page, const xmlChar **attributes)
{
    flow_break(&page->flow, FLOW_LINE);
    if (page->lists == 0 || page->lists > LIST_DEPTH) {
        flow_mark(&page->flow, "- ");
        return;
    }
    struct list_state *list = &page->list[page->lists - 1];
    const char *value = attribute(attributes, "value");
    if (!list->numbered) {
        flow_mark(&page->flow, "- ");
        return;
    }
    long told = value ? strtol(value, NULL, 10) : 0;
    if (told > 0 && told < INT_MAX / 2)
        list->number = (int)told;
    struct buf mark OWN_BUF;
    buf_init(&mark, 0);
    bool letters = list->style == 'a' || list->style == 'A';
    ordinal_add(&mark, list->number,
                list->style == '1' ? ORDINAL_DECIMAL
                : letters          ? ORDINAL_LETTER
                                   : ORDINAL_ROMAN,
                list->style == 'A' || list->style == 'I');
    buf_add_str(&mark, ". ");
    list->number++;
    flow_mark(&page->flow, buf_str(&mark));
}

// ------------------------------------------------------------------------------- events

static void open_element(struct page *page, const char *name, const xmlChar **attributes)
{
    switch (element_of(name)) {
    case ELEMENT_INLINE:
    case ELEMENT_SKIPPED:
        break;
    case ELEMENT_LINE:
        flow_break(&page->flow, FLOW_LINE);
        break;
    case ELEMENT_BLOCK:
        flow_break(&page->flow, page->cells > 1 ? FLOW_LINE : FLOW_BLANK);
        break;
    case ELEMENT_BREAK:
        flow_break(&page->flow, page->flow.pending == FLOW_LINE ? FLOW_BLANK : FLOW_LINE);
        break;
    case ELEMENT_LIST:
        open_list(page, name, attributes);
        break;
    case ELEMENT_ITEM:
        open_item(page, attributes);
        break;
    case ELEMENT_ROW:
        flow_row(&page->flow);
        page->cells = 0;
        break;
    case ELEMENT_CELL:
        if (page->cells++ > 0)
            flow_tab(&page->flow);
        break;
    case ELEMENT_PRE:
        flow_break(&page->flow, FLOW_BLANK);
        page->pre++;
        break;
    }
}

static void close_element(struct page *page, const char *name)
{
    switch (element_of(name)) {
    case ELEMENT_INLINE:
    case ELEMENT_SKIPPED:
    case ELEMENT_BREAK:
    case ELEMENT_CELL:
        break;
    case ELEMENT_LINE:
    case ELEMENT_ITEM:
        page->flow.fresh = false; // an item without text
        flow_break(&page->flow, FLOW_LINE);
        break;
    case ELEMENT_BLOCK:
        flow_break(&page->flow, page->cells > 0 ? FLOW_LINE : FLOW_BLANK);
        break;
    case ELEMENT_LIST:
        close_list(page);
        break;
    case ELEMENT_ROW:
        page->flow.fresh = false;
        page->cells = 0;
        flow_break(&page->flow, FLOW_LINE);
        break;
    case ELEMENT_PRE:
        page->pre -= page->pre > 0;
        flow_break(&page->flow, FLOW_BLANK);
        break;
    }
}

static void on_start(void *context, const xmlChar *name, const xmlChar **attributes)
{
    struct page *page = context;
    if (page->skipping) {
        page->skipping++;
        return;
    }
    bool whole = strcasecmp((const char *)name, "body") == 0 ||
                 strcasecmp((const char *)name, "html") == 0; // shown by a script, later
    bool hidden = !whole && is_hidden(attributes);
    if (hidden || element_of((const char *)name) == ELEMENT_SKIPPED ||
        is_site_furniture(attributes)) {
        page->skipping = 1;
        page->hidden = hidden;
        return;
    }
    open_element(page, (const char *)name, attributes);
}

static void on_end(void *context, const xmlChar *name)
{
    struct page *page = context;
    if (page->skipping) {
        page->skipping--;
        return;
    }
    close_element(page, (const char *)name);
}

static bool has_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isspace((unsigned char)text[i]))
            return true;
    return false;
}

static void on_text(void *context, const xmlChar *text, int len)
{
    struct page *page = context;
    const char *bytes = (const char *)text;
    if (page->skipping) {
        page->hid_text |= page->hidden && has_text(bytes, (size_t)len);
        return;
    }
    if (page->pre)
        flow_add(&page->flow, bytes, (size_t)len);
    else
        flow_add_loose(&page->flow, bytes, (size_t)len);
    if (page->flow.out->overflow)
        xmlStopParser(page->parser);
}

// ------------------------------------------------------------------------------- the page

// The value after `name` `=`, quotes and white space aside.
static bool take_value(const char *text, const char *name, char *out, size_t out_bytes)
{
    const char *at = strcasestr(text, name);
    if (!at)
        return false;
    at += strlen(name);
    at += strspn(at, " \t\r\n");
    if (*at++ != '=')
        return false;
    at += strspn(at, " \t\r\n\"'");
    size_t len = strcspn(at, " \t\r\n\"'>;/?");
    if (len == 0 || len >= out_bytes)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower((unsigned char)at[i]);
    out[len] = '\0';
    return true;
}

void html_declared_charset(const char *bytes, size_t len, char *out, size_t out_bytes)
{
    char head[DECLARING_BYTES + 1];
    size_t take = len < DECLARING_BYTES ? len : DECLARING_BYTES;
    for (size_t i = 0; i < take; i++)
        head[i] = (char)(bytes[i] ? bytes[i] : ' ');
    head[take] = '\0';
    out[0] = '\0';
    for (const char *meta = head; (meta = strcasestr(meta, "<meta")) != NULL; meta += 5) {
        char tag[512];
        snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(meta, ">"), meta);
        if (take_value(tag, "charset", out, out_bytes))
            return;
    }
    if (strncmp(head, "<?xml", 5) == 0) {
        char declaration[256];
        snprintf(declaration, sizeof(declaration), "%.*s", (int)strcspn(head, ">"), head);
        take_value(declaration, "encoding", out, out_bytes);
    }
}

static bool parse(struct page *page, const char *text, int len)
{
    htmlSAXHandler handler = {
        .startElement = on_start,
        .endElement = on_end,
        .characters = on_text,
        .cdataBlock = on_text,
        .ignorableWhitespace = on_text,
    };
    page->parser = htmlNewParserCtxt();
    if (!page->parser)
        return false;
    *page->parser->sax = handler;
    page->parser->userData = page;
    htmlCtxtReadMemory(page->parser, text, len, NULL, "UTF-8",
                       HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                           HTML_PARSE_NONET);
    bool fine = page->parser->errNo != XML_ERR_NO_MEMORY;
    xmlFreeDoc(page->parser->myDoc);
    htmlFreeParserCtxt(page->parser);
    return fine;
}

bool html_to_text(const struct buf *page, struct buf *out, struct extract_answer *answer)
{
    struct page state = {.flow = {.out = out}};
    if (page->len > INT_MAX)
        return extract_fail(answer, ERR_TOO_LARGE, NULL, "The page has %zu bytes", page->len);
    if (!parse(&state, buf_str(page), (int)page->len))
        return extract_fail(answer, ERR_EXTRACTOR_LIMIT, NULL,
                            "The page needs more memory than documents.memory allows");
    if (out->overflow)
        return extract_fail(answer, ERR_EXTRACTOR_LIMIT, NULL,
                            "The document has more than %zu bytes of text "
                            "(documents.max_text_bytes)",
                            out->cap);
    flow_end(&state.flow);
    if (state.hid_text)
        extract_warn(answer, "Text that the page hides from its readers was left out.");
    return true;
}
