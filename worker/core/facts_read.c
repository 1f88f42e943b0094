// SPDX-License-Identifier: Apache-2.0
// What stands around a number: its currency, percent sign, unit of time, or the word that it
// counts.
#include "core/facts_inner.h"

#include <string.h>
#include <strings.h>

static bool text_is(const struct fact_scan *scan, const struct token *token, const char *text)
{
    size_t len = strlen(text);
    return token->kind == TOKEN_WORD && token->end - token->at == len &&
           strncasecmp(scan->text + token->at, text, len) == 0;
}

static bool text_begins(const struct fact_scan *scan, const struct token *token, const char *text)
{
    size_t len = strlen(text);
    return token->kind == TOKEN_WORD && token->end - token->at >= len &&
           strncasecmp(scan->text + token->at, text, len) == 0;
}

static void shift(struct amount *amount, int power)
{
    for (size_t i = 0; i < amount->figure.count; i++)
        amount->figure.values[i] = decimal_shift(amount->figure.values[i], power);
}

static void set_percent(struct amount *amount, int power)
{
    amount->percent = true;
    shift(amount, power);
}

// ------------------------------------------------------------------------------------- before

// A word that is a currency only where it is written like one: "Won 5,000", not "won 5 cases".
static const struct fact_word *currency_before(const struct token *token)
{
    const struct fact_word *word = fact_word_as(token, MEANS_CURRENCY);
    if (word && token->kind == TOKEN_WORD && !token->capital && strncmp(word->text, "eur", 3) != 0)
        return NULL;
    return word;
}

static void read_before(const struct fact_scan *scan, struct amount *amount)
{
    const struct token *one = fact_token(scan, -1), *two = fact_token(scan, -2);
    const struct fact_word *word = fact_word_as(one, MEANS_FRACTION);
    if (word) {
        set_percent(amount, (int)word->value - 10);
        amount->before = 1;
        return;
    }
    int back = 1;
    if ((fact_token_is(one, '.') || fact_token_is(one, ':')) && currency_before(two))
        back = 2; // "Rs. 500", "EUR: 500"
    const struct token *at = back == 1 ? one : two;
    word = currency_before(at);
    if (word) {
        amount->currencies = word->value;
        amount->before = back;
        if (fact_word_as(at, MEANS_SCALE))
            shift(amount, fact_word_as(at, MEANS_SCALE)->value); // "TEUR 500"
        const struct fact_word *dollar = fact_word_as(two, MEANS_DOLLAR);
        if (back == 1 && one->glued && fact_token_is(one, '$') && dollar) {
            amount->currencies = dollar->value;
            amount->before = 2;
        }
        return;
    }
    const struct token *three = fact_token(scan, -3); // "EUR 5.000 bis 10.000"
    if (fact_word_as(one, MEANS_RANGE) && two->kind == TOKEN_NUMBER && currency_before(three))
        amount->currencies = currency_before(three)->value;
}

// ------------------------------------------------------------------------------------- behind

// Two and three words that mean percent, or a part of it.
static const struct {
    const char *words[3];
    int8_t power;
} phrases[] = {{{"per", "cent"}, 0},
               {{"pour", "cent"}, 0},
               {{"por", "ciento"}, 0},
               {{"por", "cien"}, 0},
               {{"vom", "hundert"}, 0},
               {{"puntos", "porcentual"}, 0},
               {{"punto", "porcentual"}, 0},
               {{"per", "mille"}, -1},
               {{"per", "thousand"}, -1},
               {{"pour", "mille"}, -1},
               {{"por", "mil"}, -1},
               {{"vom", "tausend"}, -1},
               {{"basis", "point"}, -2},
               {{"puntos", "b\xc3\xa1sic"}, -2},
               {{"puntos", "basic"}, -2},
               {{"points", "de", "base"}, -2},
               {{"points", "de", "pourcentage"}, 0}};

static bool read_percent(const struct fact_scan *scan, struct amount *amount)
{
    const struct fact_word *word = fact_word_as(fact_token(scan, amount->after), MEANS_PERCENT);
    if (word) {
        set_percent(amount, (int)word->value - 10);
        amount->after++;
        return true;
    }
    const struct token *first = fact_token(scan, amount->after);
    if (first->kind != TOKEN_WORD || !strchr("bpvBPV", scan->text[first->at]))
        return false;
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        int count = phrases[i].words[2] ? 3 : 2, at = 0;
        while (at < count &&
               text_begins(scan, fact_token(scan, amount->after + at), phrases[i].words[at]))
            at++;
        if (at < count)
            continue;
        set_percent(amount, phrases[i].power);
        amount->after += count;
        return true;
    }
    return false;
}

static bool read_currency(const struct fact_scan *scan, struct amount *amount)
{
    const struct token *token = fact_token(scan, amount->after);
    const struct token *next = fact_token(scan, amount->after + 1);
    const struct fact_word *word = fact_word_as(token, MEANS_CURRENCY);
    const struct fact_word *dollar = fact_word_as(token, MEANS_DOLLAR);
    bool adjective = !word && token->kind == TOKEN_WORD && token->capital;
    if (!word && fact_word_as(token, MEANS_CENT)) {
        amount->currencies = UINT16_MAX;
        shift(amount, -2);
        amount->after++;
        return true;
    }
    if (adjective && fact_word_as(next, MEANS_CURRENCY) && next->kind != TOKEN_SIGN) {
        word = fact_word_as(next, MEANS_CURRENCY); // "5,000 U.S. dollars"
        amount->after++;
    }
    if (!word)
        return false;
    amount->currencies = adjective && dollar ? dollar->value : word->value;
    amount->after++;
    return true;
}

// A word that may stand between a number and its unit: "30 calendar days"; not "two a year".
static bool is_adjective(const struct fact_scan *scan, const struct token *token)
{
    static const char *const others[] = {"per",  "pro",   "par",    "por",    "je",
                                         "each", "every", "time",   "times",  "mal",
                                         "fois", "veces", "within", "parties"};
    if (token->kind != TOKEN_WORD || fact_word_as(token, MEANS_STOP) ||
        fact_word_as(token, MEANS_ONE) || fact_word_as(token, MEANS_RANGE) ||
        fact_word_as(token, MEANS_OF))
        return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (text_is(scan, token, others[i]))
            return false;
    return true;
}

static bool read_unit(const struct fact_scan *scan, struct amount *amount)
{
    int at = amount->after;
    bool hyphen = fact_token_is(fact_token(scan, at), '-') && fact_token(scan, at)->glued;
    at += hyphen; // "30-day"
    const struct fact_word *word = fact_word_as(fact_token(scan, at), MEANS_UNIT);
    const struct fact_word *next = fact_word_as(fact_token(scan, at + 1), MEANS_UNIT);
    if (!word && !hyphen && next && is_adjective(scan, fact_token(scan, at))) {
        word = next;
        at++;
    }
    if (!word)
        return false;
    amount->unit = (uint8_t)word->value;
    amount->after = at + 1;
    return true;
}

// Over what closes the number: ")" of "(30)", ",-", "(30)" behind "thirty".
static void skip_closing(const struct fact_scan *scan, struct amount *amount)
{
    const struct token *token = fact_token(scan, amount->after);
    bool open = fact_token_is(fact_token(scan, -1), '(');
    if (open && fact_token_is(token, ')')) {
        amount->after++;
    } else if (fact_token_is(token, '(') &&
               fact_token(scan, amount->after + 1)->kind == TOKEN_NUMBER &&
               fact_token_is(fact_token(scan, amount->after + 2), ')')) {
        amount->after += 3;
    } else if ((fact_token_is(token, ',') || fact_token_is(token, '.')) && token->glued &&
               fact_token_is(fact_token(scan, amount->after + 1), '-')) {
        amount->after += 2;
        while (fact_token_is(fact_token(scan, amount->after), '-'))
            amount->after++;
    }
}

// Sets what stands behind the number that ends at amount->after; false: nothing is said of it.
static bool read_behind(const struct fact_scan *scan, struct amount *amount)
{
    int end = amount->after;
    skip_closing(scan, amount);
    const struct token *last = fact_token(scan, end - 1);
    if (end > 1 && fact_word_as(last, MEANS_SCALE) && fact_word_as(last, MEANS_CURRENCY)) {
        amount->currencies = fact_word_as(last, MEANS_CURRENCY)->value; // "500 TEUR"
        return true;
    }
    if (read_percent(scan, amount) || read_currency(scan, amount) || read_unit(scan, amount))
        return true;
    amount->after = end;
    return false;
}

// "5 to 10 million dollars", "30 bis 60 Tage": the first number means what the second does.
static void read_range(const struct fact_scan *scan, struct amount *amount)
{
    int at = amount->after;
    const struct token *sign = fact_token(scan, at);
    if (!fact_word_as(sign, MEANS_RANGE))
        return;
    at++;
    at += fact_word_as(fact_token(scan, at), MEANS_CURRENCY) != NULL;
    struct amount second = {.figure = fact_figure_at(scan, at)};
    if (second.figure.tokens == 0)
        return;
    const struct token *scale = fact_token(scan, at + second.figure.tokens - 1);
    const struct fact_word *power =
        second.figure.tokens == 2 ? fact_word_as(scale, MEANS_SCALE) : NULL;
    second.after = at + second.figure.tokens;
    second.figure.count = amount->figure.count;
    memcpy(second.figure.values, amount->figure.values, sizeof(second.figure.values));
    if (!read_behind(scan, &second) && !power)
        return;
    amount->unit = second.unit;
    amount->percent = second.percent;
    memcpy(amount->figure.values, second.figure.values, sizeof(second.figure.values));
    if (!amount->currencies)
        amount->currencies = second.currencies;
    if (power && amount->figure.count < 3) {
        struct decimal scaled = decimal_shift(amount->figure.values[0], power->value);
        amount->figure.values[amount->figure.count++] = scaled;
        amount->scaled = true;
    }
}

// ------------------------------------------------------------------------------------- number

static bool is_label(const struct fact_scan *scan, const struct amount *amount)
{
    const struct token *one = fact_token(scan, -1), *two = fact_token(scan, -2);
    const struct token *behind = fact_token(scan, amount->figure.tokens);
    if (fact_word_as(one, MEANS_LABEL) ||
        (fact_token_is(one, '.') && fact_word_as(two, MEANS_LABEL)))
        return true;
    bool closed = fact_token_is(behind, ')');
    if (fact_token_is(one, '('))
        return closed;
    return fact_token(scan, 0)->line && (closed || fact_token_is(behind, '.'));
}

// Letters beside figures make a name of them: "FT18150", "HZ-2024", "5G", "3rd".
static bool is_code(const struct fact_scan *scan, const struct amount *amount)
{
    const struct token *token = fact_token(scan, 0);
    const struct token *one = fact_token(scan, -1), *behind = fact_token(scan, amount->after);
    if (token->kind != TOKEN_NUMBER || token->worded)
        return false;
    bool joined = token->glued && (fact_token_is(one, '-') || fact_token_is(one, '/')) &&
                  one->glued && fact_token(scan, -2)->kind == TOKEN_WORD;
    bool before = token->glued && one->kind == TOKEN_WORD && !amount->currencies;
    bool after = behind->kind == TOKEN_WORD && behind->glued && !amount->currencies &&
                 !amount->percent && !amount->unit;
    return joined || before || after;
}

struct amount fact_amount_at(const struct fact_scan *scan)
{
    struct amount amount = {.figure = fact_figure_at(scan, 0)};
    if (amount.figure.tokens == 0)
        return amount;
    amount.after = amount.figure.tokens;
    amount.unit = amount.figure.unit;
    read_before(scan, &amount);
    bool said = amount.unit != 0;
    if (!amount.percent && !said)
        said = read_behind(scan, &amount);
    if (!said && !amount.percent)
        read_range(scan, &amount);
    said = amount.currencies || amount.percent || amount.unit;
    amount.code = is_code(scan, &amount);
    amount.cut = fact_is_cut(scan, amount.after);
    const struct token *token = fact_token(scan, 0);
    amount.formed = token->figures == 0 || token->figures > 4;
    amount.label = !said && is_label(scan, &amount);
    const struct token *next = fact_token(scan, amount.figure.tokens);
    amount.noun = !said && (next->kind == TOKEN_WORD || next->kind == TOKEN_HAN);
    // A separator before three figures of money parts thousands.
    if (amount.currencies && !amount.scaled && amount.figure.tokens == 1 &&
        amount.figure.count == 2)
        amount.figure.count = 1;
    return amount;
}
