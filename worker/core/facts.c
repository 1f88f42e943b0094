// SPDX-License-Identifier: Apache-2.0
// Facts of claims against a source.
//
// The claims come first and say what is worth looking for: their values make a small table. The
// source then goes by once, and each of its facts leaves its evidence in the table where its value
// is wanted. So nothing is kept of the source, however long it is, and a claim without facts costs
// nothing.
#include "core/facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/facts_inner.h"
#include "core/visible.h"

#define MAX_WANTS   4
#define TEXT_BYTES  96
#define SMALL_COUNT 12 // whole numbers up to this, without a unit, are not checked
#define NEAR_TOKENS 16 // a date lends its year to one without, over so many tokens

enum { KEY_NUMBER = 1, KEY_DAY, KEY_MONTH, KEY_YEAR, KEY_MONTH_DAY };

// What the source says of a value that is wanted.
struct evidence {
    uint64_t key; // 0: a free slot
    uint32_t currencies;
    uint8_t units;
    bool percent;
    bool formed;    // loose, and written as money is
    bool orders[3]; // dates: by ORDER_DAY_FIRST, ORDER_MONTH_FIRST of an open date
    bool loose;     // alone: no currency, percent, unit or noun, and no label
    bool any;       // at all, in whatever role but a year's
    bool year;      // four figures that may be a year
};

struct want {
    uint64_t key;
    uint8_t unit; // 0: whatever is said in the evidence
};

struct claim {
    enum fact_kind kind;
    int32_t place;
    int name; // of FACT_NAME
    uint32_t currencies;
    uint8_t unit;
    bool bare; // a JSON number
    bool fractional;
    struct want wants[MAX_WANTS];
    size_t want_count;
    bool missing;
    char text[TEXT_BYTES];
};

struct facts {
    const struct fact_words *words;
    struct fact_words *own_words;
    struct fact_scan scan;
    struct fact_names *names;
    struct fact_language claimed, source;
    struct claim *claims;
    size_t count;
    bool too_many;
    struct evidence *table;
    size_t slots;
    uint32_t currencies; // that the source names anywhere
    bool percent_column; // "(%)" stands somewhere, as over a table's column
    bool orders[4];      // enum date_order: what its dates in figures show
    // For dates without a year: the last one with a year, and the last without.
    struct fact_date last_full, last_open;
    size_t token_no, full_no, open_no;
};

// Meanings of a word with which a date or a number can begin.
#define BEGINS_FACT                                                                                \
    (1U << MEANS_NUMBER | 1U << MEANS_HUNDREDS | 1U << MEANS_SCALE | 1U << MEANS_ONE |             \
     1U << MEANS_ORDINAL | 1U << MEANS_MONTH | 1U << MEANS_ERA)

struct facts *facts_new(const struct fact_words *words)
{
    struct facts *facts = own_alloc(sizeof(*facts));
    facts->own_words = words ? NULL : fact_words_new();
    facts->words = words ? words : facts->own_words;
    facts->names = fact_names_new();
    return facts;
}

void facts_free(struct facts *facts)
{
    if (!facts)
        return;
    fact_names_free(facts->names);
    free(facts->claims);
    free(facts->table);
    fact_words_free(facts->own_words);
    free(facts);
}

// ------------------------------------------------------------------------------------- keys

static uint64_t mix(uint64_t kind, uint64_t a, uint64_t b)
{
    uint64_t hash = (kind * UINT64_C(0x9E3779B97F4A7C15)) ^ (a * UINT64_C(0xD6E8FEB86659FD93)) ^
                    (b * UINT64_C(0xC2B2AE3D27D4EB4F));
    hash ^= hash >> 32;
    hash *= UINT64_C(0xD6E8FEB86659FD93);
    hash ^= hash >> 32;
    return hash | 1;
}

static uint64_t number_key(struct decimal value)
{
    return mix(KEY_NUMBER, value.digits, (uint64_t)(int64_t)value.exponent);
}

static uint64_t date_key(int kind, const struct fact_date *date)
{
    uint64_t year = kind == KEY_MONTH_DAY ? 0 : (uint64_t)date->year;
    uint64_t month = kind == KEY_YEAR ? 0 : (uint64_t)date->month;
    uint64_t day = kind == KEY_YEAR || kind == KEY_MONTH ? 0 : (uint64_t)date->day;
    return mix((uint64_t)kind, year, month * 32 + day);
}

static int date_kind(const struct fact_date *date)
{
    if (date->year == 0)
        return KEY_MONTH_DAY;
    return date->day ? KEY_DAY : date->month ? KEY_MONTH : KEY_YEAR;
}

// ------------------------------------------------------------------------------------- claims

static struct claim *add_claim(struct facts *facts, enum fact_kind kind, int32_t place)
{
    if (facts->count == FACTS_MAX) {
        facts->too_many = true;
        return NULL;
    }
    if (facts->count % 32 == 0)
        facts->claims = own_grow(facts->claims, facts->count + 32, sizeof(struct claim));
    struct claim *claim = &facts->claims[facts->count++];
    *claim = (struct claim){.kind = kind, .place = place, .name = -1};
    return claim;
}

static void want(struct claim *claim, uint64_t key, uint8_t unit)
{
    for (size_t i = 0; i < claim->want_count; i++)
        if (claim->wants[i].key == key && claim->wants[i].unit == unit)
            return;
    if (claim->want_count < MAX_WANTS)
        claim->wants[claim->want_count++] = (struct want){key, unit};
}

static void set_text(const struct facts *facts, struct claim *claim, size_t from, size_t to)
{
    visible_line(claim->text, sizeof(claim->text), facts->scan.text + from, to - from);
}

// The same time in another unit: 3 years are 36 months.
static void want_other_units(struct claim *claim, struct decimal value, uint8_t unit)
{
    static const struct {
        uint8_t large, small;
        uint64_t factor;
    } pairs[] = {{UNIT_YEAR, UNIT_MONTH, 12},
                 {UNIT_WEEK, UNIT_DAY, 7},
                 {UNIT_DAY, UNIT_HOUR, 24},
                 {UNIT_HOUR, UNIT_MINUTE, 60}};
    int64_t whole = decimal_whole(value);
    if (whole <= 0 || whole > 1000000)
        return;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        uint64_t factor = pairs[i].factor;
        if (pairs[i].large == unit)
            want(claim, number_key(decimal_of((uint64_t)whole * factor)), pairs[i].small);
        if (pairs[i].small == unit && (uint64_t)whole % factor == 0)
            want(claim, number_key(decimal_of((uint64_t)whole / factor)), pairs[i].large);
    }
}

// Whether such a number is checked at all.
static bool is_worth(const struct amount *amount)
{
    const struct figure *figure = &amount->figure;
    if (amount->code || amount->cut)
        return false;
    if (amount->currencies || amount->percent)
        return true;
    // "one day", "ein Jahr": as often a phrase as a term
    if (amount->unit)
        return !decimal_is_small(figure->values[0], 1);
    return !figure->worded && !decimal_is_small(figure->values[0], SMALL_COUNT);
}

static enum fact_kind kind_of(const struct amount *amount)
{
    return amount->currencies ? FACT_AMOUNT : amount->percent ? FACT_PERCENTAGE : FACT_NUMBER;
}

static void claim_amount(struct facts *facts, const struct amount *amount, int32_t place)
{
    struct claim *claim = is_worth(amount) ? add_claim(facts, kind_of(amount), place) : NULL;
    if (!claim)
        return;
    const struct figure *figure = &amount->figure;
    // a letter that stood for a scale is no name of a thing where there is a currency
    size_t count = figure->count - (figure->letter && amount->currencies);
    claim->currencies = amount->currencies;
    claim->unit = claim->kind == FACT_NUMBER ? amount->unit : 0;
    claim->fractional = figure->values[0].exponent < 0;
    for (size_t i = 0; i < count; i++)
        want(claim, number_key(figure->values[i]), claim->unit);
    if (claim->unit)
        want_other_units(claim, figure->values[0], claim->unit);
    const struct token *first = fact_token(&facts->scan, -amount->before);
    const struct token *last = fact_token(&facts->scan, amount->after - 1);
    set_text(facts, claim, first->at, last->end);
}

static void claim_dates(struct facts *facts, const struct fact_dates *dates, int32_t place)
{
    for (size_t i = 0; i < dates->count; i++) {
        struct claim *claim = add_claim(facts, FACT_DATE, place);
        if (!claim)
            return;
        const struct fact_date *date = &dates->dates[i];
        want(claim, date_key(date_kind(date), date), 0);
        if (dates->readings && dates->count == 2)
            want(claim, date_key(KEY_DAY, &dates->dates[1]), 0);
        set_text(facts, claim, fact_token(&facts->scan, 0)->at,
                 fact_token(&facts->scan, dates->tokens - 1)->end);
        if (dates->readings)
            return;
    }
}

// "2025": a date within the year, or the number.
static void claim_year(struct facts *facts, const struct amount *amount, int32_t place)
{
    struct claim *claim = add_claim(facts, FACT_DATE, place);
    if (!claim)
        return;
    struct fact_date year = {.year = (int16_t)decimal_whole(amount->figure.values[0])};
    want(claim, date_key(KEY_YEAR, &year), 0);
    want(claim, number_key(amount->figure.values[0]), 0);
    set_text(facts, claim, fact_token(&facts->scan, 0)->at, fact_token(&facts->scan, 0)->end);
}

static int claim_name(struct facts *facts, int32_t place)
{
    int name;
    size_t from;
    int tokens = fact_names_claim(facts->names, &facts->scan, &name, &from);
    struct claim *claim = name >= 0 ? add_claim(facts, FACT_NAME, place) : NULL;
    if (claim) {
        claim->name = name;
        set_text(facts, claim, from, fact_token(&facts->scan, tokens - 1)->end);
    }
    return tokens;
}

// Takes up what begins at the current token; the tokens that it takes.
static int claim_here(struct facts *facts, int32_t place)
{
    const struct token *token = fact_token(&facts->scan, 0);
    bool figures = token->kind == TOKEN_NUMBER || token->kind == TOKEN_DATE;
    if (!figures && !(token->meanings & BEGINS_FACT)) {
        int name = claim_name(facts, place);
        return name ? name : 1;
    }
    struct fact_dates dates = fact_dates_at(&facts->scan);
    if (dates.tokens) {
        claim_dates(facts, &dates, place);
        return dates.tokens;
    }
    struct amount amount = fact_amount_at(&facts->scan);
    if (amount.figure.tokens) {
        bool said = amount.currencies || amount.percent || amount.unit || amount.code;
        if (amount.figure.year && !said && !amount.label)
            claim_year(facts, &amount, place);
        else
            claim_amount(facts, &amount, place);
        return amount.after;
    }
    int tokens = claim_name(facts, place);
    return tokens ? tokens : 1;
}

void facts_claim(struct facts *facts, const char *text, size_t len, int32_t place)
{
    fact_scan_init(&facts->scan, facts->words, text, len);
    while (fact_scan_ready(&facts->scan)) {
        int tokens = claim_here(facts, place);
        for (int i = 0; i < tokens; i++)
            fact_language_seen(&facts->claimed, fact_token(&facts->scan, i));
        fact_scan_skip(&facts->scan, (size_t)tokens);
    }
}

void facts_claim_number(struct facts *facts, const char *number, int32_t place)
{
    const char *c = number + (*number == '-');
    struct decimal value = {0, 0};
    bool point = false;
    for (; (*c >= '0' && *c <= '9') || (*c == '.' && !point); c++) {
        if (*c == '.')
            point = true;
        else if (!decimal_add_figure(&value, (unsigned)(*c - '0')))
            return;
        else
            value.exponent -= point;
    }
    if (*c == 'e' || *c == 'E')
        value.exponent += (int32_t)strtol(c + 1, NULL, 10) % 1000;
    decimal_trim(&value);
    struct claim *claim =
        decimal_is_small(value, SMALL_COUNT) ? NULL : add_claim(facts, FACT_NUMBER, place);
    if (!claim)
        return;
    claim->bare = true;
    want(claim, number_key(value), 0);
    want(claim, number_key(decimal_shift(value, 2)), 0); // 0.05 for 5 %
    want_other_units(claim, value, UNIT_MONTH);
    visible_line(claim->text, sizeof(claim->text), number, strlen(number));
}

// ------------------------------------------------------------------------------------- evidence

static struct evidence *slot_of(struct facts *facts, uint64_t key)
{
    size_t at = key >> 1 & (facts->slots - 1);
    while (facts->table[at].key && facts->table[at].key != key)
        at = (at + 1) & (facts->slots - 1);
    return &facts->table[at];
}

// NULL: nobody wants it.
static struct evidence *evidence_of(struct facts *facts, uint64_t key)
{
    struct evidence *evidence = slot_of(facts, key);
    return evidence->key ? evidence : NULL;
}

static void make_table(struct facts *facts)
{
    facts->slots = 64;
    while (facts->slots < facts->count * MAX_WANTS * 2)
        facts->slots *= 2;
    facts->table = own_array(facts->slots, sizeof(struct evidence));
    for (size_t i = 0; i < facts->count; i++)
        for (size_t k = 0; k < facts->claims[i].want_count; k++) {
            uint64_t key = facts->claims[i].wants[k].key;
            slot_of(facts, key)->key = key;
        }
}

static void see_value(struct facts *facts, const struct amount *amount, struct decimal value)
{
    struct evidence *evidence = evidence_of(facts, number_key(value));
    if (!evidence)
        return;
    bool said = amount->currencies || amount->percent || amount->unit;
    bool year = amount->figure.year && !said;
    evidence->currencies |= amount->currencies;
    evidence->percent |= amount->percent;
    evidence->units |= amount->unit;
    evidence->year |= year;
    evidence->any = true;
    bool loose = !said && !year && !amount->label && !amount->noun && !amount->code;
    evidence->loose |= loose;
    evidence->formed |= loose && amount->formed;
}

static void see_amount(struct facts *facts, const struct amount *amount)
{
    facts->currencies |= amount->currencies;
    for (size_t i = 0; i < amount->figure.count; i++)
        see_value(facts, amount, amount->figure.values[i]);
}

// `order` is ORDER_NONE, or the reading of an open date that this one is.
static void see_key(struct facts *facts, int kind, const struct fact_date *date, int order)
{
    struct evidence *evidence = evidence_of(facts, date_key(kind, date));
    if (!evidence)
        return;
    evidence->any |= order == ORDER_NONE;
    evidence->orders[order] = true;
}

static void see_date(struct facts *facts, const struct fact_date *date, int order)
{
    if (date->day) {
        see_key(facts, KEY_MONTH_DAY, date, order);
        struct evidence *evidence = evidence_of(facts, number_key(decimal_of((uint64_t)date->day)));
        if (evidence)
            evidence->any = true;
    }
    if (date->year == 0)
        return;
    see_key(facts, KEY_YEAR, date, ORDER_NONE);
    if (date->month)
        see_key(facts, KEY_MONTH, date, order);
    if (date->day)
        see_key(facts, KEY_DAY, date, order);
}

// A day without a year has that of a date near it.
static void lend_year(struct facts *facts, const struct fact_date *open, int year)
{
    struct fact_date date = *open;
    date.year = (int16_t)year;
    see_date(facts, &date, ORDER_NONE);
}

static void see_dates(struct facts *facts, const struct fact_dates *dates)
{
    facts->orders[dates->order] = true;
    for (size_t i = 0; i < dates->count; i++) {
        const struct fact_date *date = &dates->dates[i];
        int order =
            dates->order == ORDER_OPEN ? (i ? ORDER_MONTH_FIRST : ORDER_DAY_FIRST) : ORDER_NONE;
        see_date(facts, date, order);
        if (date->year && facts->open_no && facts->token_no - facts->open_no < NEAR_TOKENS)
            lend_year(facts, &facts->last_open, date->year);
        if (!date->year && facts->full_no && facts->token_no - facts->full_no < NEAR_TOKENS)
            lend_year(facts, date, facts->last_full.year);
        if (date->year) {
            facts->last_full = *date;
            facts->full_no = facts->token_no;
        } else {
            facts->last_open = *date;
            facts->open_no = facts->token_no;
        }
    }
}

// Evidence of what begins at the current token; the tokens that it takes.
static int see_here(struct facts *facts)
{
    struct fact_scan *scan = &facts->scan;
    const struct token *token = fact_token(scan, 0);
    bool figures = token->kind == TOKEN_NUMBER || token->kind == TOKEN_DATE;
    if (!figures && !(token->meanings & BEGINS_FACT))
        return 1;
    struct fact_dates dates = fact_dates_at(scan);
    if (dates.tokens) {
        see_dates(facts, &dates);
        return dates.tokens;
    }
    struct amount amount = fact_amount_at(scan);
    if (amount.figure.tokens == 0)
        return 1;
    see_amount(facts, &amount);
    return amount.figure.tokens;
}

static void see_token(struct facts *facts, const struct token *token)
{
    fact_language_seen(&facts->source, token);
    if (!token->word)
        return;
    if (fact_token_is(token, '%') && fact_token_is(fact_token(&facts->scan, -1), '('))
        facts->percent_column = true;
    const struct fact_word *currency = fact_word_as(token, MEANS_CURRENCY);
    if (currency && (token->capital || token->kind != TOKEN_WORD)) // the head of a table's column
        facts->currencies |= currency->value;
}

// ------------------------------------------------------------------------------------- verdict

static bool amount_supported(const struct facts *facts, const struct claim *claim,
                             const struct evidence *evidence)
{
    if (evidence->currencies & claim->currencies)
        return true;
    bool known = facts->currencies == 0 || (facts->currencies & claim->currencies);
    return evidence->currencies == 0 && evidence->formed && known;
}

// "4/7/20" may be either date, unless the other dates of the text show which.
static bool date_supported(const struct facts *facts, const struct evidence *evidence)
{
    bool day_first = facts->orders[ORDER_DAY_FIRST], month_first = facts->orders[ORDER_MONTH_FIRST];
    return evidence->any || evidence->year ||
           (evidence->orders[ORDER_DAY_FIRST] && (day_first || !month_first)) ||
           (evidence->orders[ORDER_MONTH_FIRST] && (month_first || !day_first));
}

static bool number_supported(const struct claim *claim, const struct want *want,
                             const struct evidence *evidence)
{
    if (want->unit)
        return (evidence->units & want->unit) || (evidence->loose && want->unit == claim->unit);
    return evidence->any;
}

static bool want_supported(struct facts *facts, const struct claim *claim, const struct want *want)
{
    const struct evidence *evidence = slot_of(facts, want->key);
    switch (claim->kind) {
    case FACT_AMOUNT:
        return amount_supported(facts, claim, evidence);
    case FACT_PERCENTAGE:
        return evidence->percent || (facts->percent_column && evidence->loose && claim->fractional);
    case FACT_DATE:
        return date_supported(facts, evidence);
    case FACT_NUMBER:
        return number_supported(claim, want, evidence);
    case FACT_NAME:
        break;
    }
    return false;
}

static bool is_supported(struct facts *facts, const struct claim *claim)
{
    if (claim->kind == FACT_NAME)
        return fact_names_supported(facts->names, claim->name, &facts->claimed, &facts->source);
    for (size_t i = 0; i < claim->want_count; i++)
        if (want_supported(facts, claim, &claim->wants[i]))
            return true;
    return false;
}

void facts_search(struct facts *facts, const char *source, size_t len)
{
    if (facts->count == 0)
        return;
    make_table(facts);
    facts->token_no = 1;
    struct fact_scan *scan = &facts->scan;
    fact_scan_init(scan, facts->words, source, len);
    while (fact_scan_ready(scan)) {
        int tokens = see_here(facts);
        for (int i = 0; i < tokens; i++) {
            see_token(facts, fact_token(scan, 0));
            fact_names_seen(facts->names, scan);
            fact_scan_skip(scan, 1);
            facts->token_no++;
        }
    }
    for (size_t i = 0; i < facts->count; i++)
        facts->claims[i].missing = !is_supported(facts, &facts->claims[i]);
}

// ------------------------------------------------------------------------------------- public

static bool said_before(const struct facts *facts, size_t at)
{
    const struct claim *claim = &facts->claims[at];
    for (size_t i = 0; i < at; i++) {
        const struct claim *other = &facts->claims[i];
        if (other->missing && other->kind == claim->kind && other->place == claim->place &&
            strcmp(other->text, claim->text) == 0)
            return true;
    }
    return false;
}

bool facts_missing(const struct facts *facts, size_t *cursor, struct fact_missing *out)
{
    while (*cursor < facts->count) {
        size_t at = (*cursor)++;
        const struct claim *claim = &facts->claims[at];
        if (!claim->missing || said_before(facts, at))
            continue;
        *out = (struct fact_missing){claim->kind, claim->place, claim->text};
        return true;
    }
    return false;
}

bool facts_were_too_many(const struct facts *facts)
{
    return facts->too_many;
}

size_t facts_count(const struct facts *facts)
{
    return facts->count;
}

const char *fact_kind_name(enum fact_kind kind)
{
    static const char *const names[] = {[FACT_AMOUNT] = "amount",
                                        [FACT_PERCENTAGE] = "percentage",
                                        [FACT_DATE] = "date",
                                        [FACT_NUMBER] = "number",
                                        [FACT_NAME] = "name"};
    return names[kind];
}
