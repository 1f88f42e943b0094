// SPDX-License-Identifier: Apache-2.0
// Amounts get another first figure, years another last one, companies another name.
#include "falsify.h"

#include <stdbool.h>
#include <string.h>

static bool is_figure(char c)
{
    return c >= '0' && c <= '9';
}

static bool ends_with(const char *text, size_t len, const char *end)
{
    size_t size = strlen(end);
    return len >= size && memcmp(text + len - size, end, size) == 0;
}

static bool begins_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

// Figures with their separators, from `at` on.
static size_t number_len(const char *at)
{
    size_t len = 0;
    while (is_figure(at[len]) || ((at[len] == ',' || at[len] == '.') && is_figure(at[len + 1])))
        len++;
    return len;
}

static bool is_amount(const char *text, size_t at, size_t len)
{
    static const char *const before[] = {"$",    "$ ",   "€", "€ ",    "EUR ",
                                         "USD ", "CHF ", "¥", "人民币"};
    static const char *const behind[] = {" EUR", " euro",         " Euro", " dollars",
                                         " USD", " \xe2\x82\xac", "元",    "円"};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        if (ends_with(text, at, before[i]))
            return true;
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++)
        if (begins_with(text + at + len, behind[i]))
            return true;
    return false;
}

static bool is_year(const char *at, size_t len)
{
    return len == 4 && (begins_with(at, "19") || begins_with(at, "20"));
}

static void falsify_figures(struct buf *text, bool amounts)
{
    for (size_t at = 0, len; at < text->len; at += len ? len : 1) {
        len = number_len(text->data + at);
        if (!len)
            continue;
        bool amount = is_amount(text->data, at, len);
        if (amounts && amount)
            text->data[at] = text->data[at] == '9' ? '8' : (char)(text->data[at] + 1);
        else if (!amounts && !amount && is_year(text->data + at, len))
            text->data[at + 3] = (char)('0' + (text->data[at + 3] - '0' + 5) % 10);
    }
}

// The name that a legal form at `at` ends begins here: one word back.
static size_t word_before(const char *text, size_t at)
{
    while (at > 0 && text[at - 1] != ' ')
        at--;
    return at;
}

static bool is_form(const char *at)
{
    static const char *const forms[] = {" Inc",  " LLC", " Ltd", " Corp",
                                        " GmbH", " AG ", " SAS", " SARL"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (begins_with(at, forms[i]))
            return true;
    return false;
}

static void falsify_names(struct buf *text)
{
    struct buf out = {0};
    size_t kept = 0;
    for (size_t at = 1; at < text->len; at++) {
        if (text->data[at] != ' ' || !is_form(text->data + at))
            continue;
        size_t word = word_before(text->data, at);
        if (word < kept)
            continue;
        buf_add(&out, text->data + kept, word - kept);
        buf_add_text(&out, "Hollowbrook");
        kept = at;
    }
    buf_add(&out, text->data + kept, text->len - kept);
    buf_free(text);
    *text = out;
}

void falsify(struct buf *text, enum answer_spoil spoil)
{
    if (text->len == 0)
        return;
    if (spoil == SPOIL_AMOUNTS || spoil == SPOIL_DATES)
        falsify_figures(text, spoil == SPOIL_AMOUNTS);
    if (spoil == SPOIL_NAMES)
        falsify_names(text);
}
