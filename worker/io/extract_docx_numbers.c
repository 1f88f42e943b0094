// SPDX-License-Identifier: Apache-2.0
// Counting paragraphs as Word does.
//
// A paragraph names a list (num), which is an instance of a definition (abstractNum) of nine
// levels. The counters belong to the definition: two lists of one definition count on, unless the
// second has an override of its start.
#include "io/extract_docx_numbers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "io/extract_ordinal.h"

#define ENTRIES_MAX 10000 // definitions, lists or styles; more than any document has
#define CHAIN_MAX   20    // styles that are based on one another
#define NOT_SET     INT_MIN

enum form { FORM_NUMBER, FORM_BULLET, FORM_NONE };

struct level {
    enum form form;
    enum ordinal ordinal;
    bool capital, zero, legal;
    int start;
    char text[60]; // "%1.%2"
};

struct definition {
    int id;
    char style_link[80]; // its levels are those of the list that this style names; "" none
    struct level levels[NUMBERS_LEVELS];
    int counters[NUMBERS_LEVELS]; // NOT_SET: none yet
};

struct list {
    int id, definition;
    int starts[NUMBERS_LEVELS]; // overrides, each until it was used; NOT_SET: none
};

struct style {
    char id[80], based_on[80];
    int list, level; // -1: not said
};

struct docx_numbers {
    struct definition *definitions;
    struct list *lists;
    struct style *styles;
    size_t definition_count, list_count, style_count;
    // while reading
    struct definition *definition;
    struct list *list;
    struct style *style;
    int level; // of the <w:lvl> or <w:lvlOverride> that is open; -1: none
};

struct docx_numbers *docx_numbers_new(void)
{
    struct docx_numbers *numbers = own_alloc(sizeof(*numbers));
    numbers->level = -1;
    return numbers;
}

void docx_numbers_free(struct docx_numbers *numbers)
{
    if (!numbers)
        return;
    free(numbers->definitions);
    free(numbers->lists);
    free(numbers->styles);
    free(numbers);
}

// ------------------------------------------------------------------------------- reading

static int number_of(const struct docx_element *element, const char *attribute, int otherwise)
{
    const char *value = element->value(element, attribute);
    char *end;
    long number = value ? strtol(value, &end, 10) : 0;
    return value && end != value && number >= -1 && number < 1000000000 ? (int)number : otherwise;
}

static void text_of(const struct docx_element *element, char *out, size_t out_bytes)
{
    const char *value = element->value(element, "val");
    snprintf(out, out_bytes, "%s", value ? value : "");
}

// The room is doubled whenever the count is a power of two.
static void *grown(void *entries, size_t count, size_t size)
{
    return (count & (count - 1)) == 0 ? own_grow(entries, count ? 2 * count : 1, size) : entries;
}

static void open_definition(struct docx_numbers *numbers, int id)
{
    if (numbers->definition_count == ENTRIES_MAX)
        return;
    numbers->definitions =
        grown(numbers->definitions, numbers->definition_count, sizeof(struct definition));
    struct definition *definition = &numbers->definitions[numbers->definition_count++];
    *definition = (struct definition){.id = id};
    for (size_t i = 0; i < NUMBERS_LEVELS; i++) {
        definition->levels[i].start = 1;
        definition->counters[i] = NOT_SET;
    }
    numbers->definition = definition;
}

static void open_list(struct docx_numbers *numbers, int id)
{
    if (numbers->list_count == ENTRIES_MAX)
        return;
    numbers->lists = grown(numbers->lists, numbers->list_count, sizeof(struct list));
    struct list *list = &numbers->lists[numbers->list_count++];
    *list = (struct list){.id = id, .definition = -1};
    for (size_t i = 0; i < NUMBERS_LEVELS; i++)
        list->starts[i] = NOT_SET;
    numbers->list = list;
}

static void open_style(struct docx_numbers *numbers, const struct docx_element *element)
{
    const char *id = element->value(element, "styleId");
    if (numbers->style_count == ENTRIES_MAX || !id)
        return;
    numbers->styles = grown(numbers->styles, numbers->style_count, sizeof(struct style));
    struct style *style = &numbers->styles[numbers->style_count++];
    *style = (struct style){.list = -1, .level = -1};
    snprintf(style->id, sizeof(style->id), "%s", id);
    numbers->style = style;
}

static void set_form(struct level *level, const struct docx_element *element)
{
    static const struct {
        const char *name;
        enum form form;
        enum ordinal ordinal;
        bool capital, zero;
    } forms[] = {
        {"bullet", FORM_BULLET, ORDINAL_DECIMAL, false, false},
        {"none", FORM_NONE, ORDINAL_DECIMAL, false, false},
        {"lowerLetter", FORM_NUMBER, ORDINAL_LETTER, false, false},
        {"upperLetter", FORM_NUMBER, ORDINAL_LETTER, true, false},
        {"lowerRoman", FORM_NUMBER, ORDINAL_ROMAN, false, false},
        {"upperRoman", FORM_NUMBER, ORDINAL_ROMAN, true, false},
        {"decimalZero", FORM_NUMBER, ORDINAL_DECIMAL, false, true},
        {"chineseCounting", FORM_NUMBER, ORDINAL_IDEOGRAPH, false, false},
        {"chineseCountingThousand", FORM_NUMBER, ORDINAL_IDEOGRAPH, false, false},
        {"taiwaneseCounting", FORM_NUMBER, ORDINAL_IDEOGRAPH, false, false},
        {"japaneseCounting", FORM_NUMBER, ORDINAL_IDEOGRAPH, false, false},
        {"ideographDigital", FORM_NUMBER, ORDINAL_IDEOGRAPH, false, false},
    };
    const char *value = element->value(element, "val");
    for (size_t i = 0; value && i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(forms[i].name, value) == 0) {
            level->form = forms[i].form;
            level->ordinal = forms[i].ordinal;
            level->capital = forms[i].capital;
            level->zero = forms[i].zero;
        }
}

static void open_level(struct docx_numbers *numbers, const struct docx_element *element)
{
    int level = number_of(element, "ilvl", -1);
    numbers->level = level < NUMBERS_LEVELS ? level : -1;
}

static void open_in_definition(struct docx_numbers *numbers, const struct docx_element *element)
{
    struct definition *definition = numbers->definition;
    struct level *level = numbers->level >= 0 ? &definition->levels[numbers->level] : NULL;
    if (strcmp(element->name, "lvl") == 0)
        open_level(numbers, element);
    else if (strcmp(element->name, "numStyleLink") == 0)
        text_of(element, definition->style_link, sizeof(definition->style_link));
    else if (!level)
        return;
    else if (strcmp(element->name, "start") == 0)
        level->start = number_of(element, "val", 1);
    else if (strcmp(element->name, "numFmt") == 0)
        set_form(level, element);
    else if (strcmp(element->name, "lvlText") == 0)
        text_of(element, level->text, sizeof(level->text));
    else if (strcmp(element->name, "isLgl") == 0)
        level->legal = true;
}

static void open_in_list(struct docx_numbers *numbers, const struct docx_element *element)
{
    if (strcmp(element->name, "abstractNumId") == 0)
        numbers->list->definition = number_of(element, "val", -1);
    else if (strcmp(element->name, "lvlOverride") == 0)
        open_level(numbers, element);
    else if (strcmp(element->name, "startOverride") == 0 && numbers->level >= 0)
        numbers->list->starts[numbers->level] = number_of(element, "val", 1);
}

static void open_in_style(struct docx_numbers *numbers, const struct docx_element *element)
{
    struct style *style = numbers->style;
    if (strcmp(element->name, "basedOn") == 0)
        text_of(element, style->based_on, sizeof(style->based_on));
    else if (strcmp(element->name, "numId") == 0)
        style->list = number_of(element, "val", -1);
    else if (strcmp(element->name, "ilvl") == 0)
        style->level = number_of(element, "val", -1);
}

void docx_numbers_open(struct docx_numbers *numbers, const struct docx_element *element)
{
    if (numbers->definition)
        open_in_definition(numbers, element);
    else if (numbers->list)
        open_in_list(numbers, element);
    else if (numbers->style)
        open_in_style(numbers, element);
    else if (strcmp(element->name, "abstractNum") == 0)
        open_definition(numbers, number_of(element, "abstractNumId", -1));
    else if (strcmp(element->name, "num") == 0)
        open_list(numbers, number_of(element, "numId", -1));
    else if (strcmp(element->name, "style") == 0)
        open_style(numbers, element);
}

void docx_numbers_close(struct docx_numbers *numbers, const char *name)
{
    if (strcmp(name, "abstractNum") == 0)
        numbers->definition = NULL;
    else if (strcmp(name, "num") == 0)
        numbers->list = NULL;
    else if (strcmp(name, "style") == 0)
        numbers->style = NULL;
    else if (strcmp(name, "lvl") == 0 || strcmp(name, "lvlOverride") == 0)
        numbers->level = -1;
}

// ------------------------------------------------------------------------------- counting

static struct style *find_style(const struct docx_numbers *numbers, const char *id)
{
    for (size_t i = 0; i < numbers->style_count; i++)
        if (id[0] && strcmp(numbers->styles[i].id, id) == 0)
            return &numbers->styles[i];
    return NULL;
}

static struct list *find_list(const struct docx_numbers *numbers, int id)
{
    for (size_t i = 0; id > 0 && i < numbers->list_count; i++) // 0 takes a number away
        if (numbers->lists[i].id == id)
            return &numbers->lists[i];
    return NULL;
}

static struct definition *find_definition(const struct docx_numbers *numbers, int id)
{
    for (size_t i = 0; id >= 0 && i < numbers->definition_count; i++)
        if (numbers->definitions[i].id == id)
            return &numbers->definitions[i];
    return NULL;
}

// List and level by the style, or by the nearest that it is based on.
static void ask_style(const struct docx_numbers *numbers, const char *id, int *list, int *level)
{
    const struct style *style = find_style(numbers, id);
    for (int i = 0; style && i < CHAIN_MAX; i++) {
        if (*level < 0)
            *level = style->level;
        if (style->list >= 0) {
            *list = style->list;
            return;
        }
        style = find_style(numbers, style->based_on);
    }
}

// A definition that only links to a style stands for the one of that style's list.
static struct definition *definition_of(const struct docx_numbers *numbers, const struct list *list)
{
    struct definition *definition = find_definition(numbers, list->definition);
    const struct style *style = definition && definition->style_link[0]
                                    ? find_style(numbers, definition->style_link)
                                    : NULL;
    const struct list *linked = style ? find_list(numbers, style->list) : NULL;
    struct definition *other = linked ? find_definition(numbers, linked->definition) : NULL;
    return other ? other : definition;
}

static void count(struct definition *definition, struct list *list, int level)
{
    int *counter = &definition->counters[level];
    if (list->starts[level] != NOT_SET) {
        *counter = list->starts[level];
        list->starts[level] = NOT_SET;
    } else {
        *counter = *counter == NOT_SET ? definition->levels[level].start : *counter + 1;
    }
    for (int i = level + 1; i < NUMBERS_LEVELS; i++)
        definition->counters[i] = NOT_SET;
}

static void add_counter(const struct definition *definition, int level, bool legal, struct buf *out)
{
    const struct level *shown = &definition->levels[level];
    int number = definition->counters[level];
    number = number == NOT_SET ? shown->start : number;
    if (shown->zero && number >= 0 && number < 10)
        buf_add_char(out, '0');
    ordinal_add(out, number, legal ? ORDINAL_DECIMAL : shown->ordinal, shown->capital);
}

static void add_label(const struct definition *definition, int level, struct buf *out)
{
    const struct level *own = &definition->levels[level];
    if (own->form == FORM_BULLET) {
        buf_add_str(out, "- ");
        return;
    }
    size_t from = out->len;
    for (const char *at = own->text; *at; at++)
        if (*at == '%' && at[1] >= '1' && at[1] <= '0' + NUMBERS_LEVELS)
            add_counter(definition, *++at - '1', own->legal, out);
        else
            buf_add_char(out, *at);
    if (out->len > from && out->data[out->len - 1] != ' ')
        buf_add_char(out, ' ');
}

void docx_numbers_add(struct docx_numbers *numbers, const struct docx_numbered *paragraph,
                      struct buf *out)
{
    int id = paragraph->list, level = paragraph->level;
    if (id < 0)
        ask_style(numbers, paragraph->style, &id, &level);
    struct list *list = find_list(numbers, id);
    struct definition *definition = list ? definition_of(numbers, list) : NULL;
    level = level < 0 ? 0 : level;
    if (!definition || level >= NUMBERS_LEVELS)
        return;
    count(definition, list, level);
    if (definition->levels[level].form != FORM_NONE)
        add_label(definition, level, out);
}
