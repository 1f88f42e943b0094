// SPDX-License-Identifier: Apache-2.0
// Facts measured on the shared contracts: real ones in another form or language, of which under 1 %
// may be called missing, and altered amounts and dates, of which none may pass.
//
// Facts are the gold ones and, since those are few, what stands in the documents in one plain form
// ("$1,200.50", "March 4, 2016", "5%"), found by a reader that has nothing in common with
// core/facts. An altered fact that the document has elsewhere, by that same reader, is not counted.
#include "trust_gold.h"

#include <ctype.h>

#include "core/facts.h"
#include "trust_forms.h"

#define MOST 40 // facts of each sort that are taken of one document

// What a document has, by the plain reader.
struct mined {
    int64_t cents[3000];
    size_t cent_count;
    struct date dates[3000];
    size_t date_count;
    int64_t percents[1000]; // in hundredths of a percent
    size_t percent_count;
};

// ------------------------------------------------------------------------------- the plain reader

static bool has_cents(const struct mined *mined, int64_t cents)
{
    for (size_t i = 0; i < mined->cent_count; i++)
        if (mined->cents[i] == cents)
            return true;
    return false;
}

static bool has_date(const struct mined *mined, struct date date)
{
    for (size_t i = 0; i < mined->date_count; i++)
        if (memcmp(&mined->dates[i], &date, sizeof(date)) == 0)
            return true;
    return false;
}

static const char *read_number(const char *at, int64_t *out, int *out_digits)
{
    *out = 0;
    *out_digits = 0;
    for (; isdigit((unsigned char)*at) ||
           (*at == ',' && isdigit((unsigned char)at[1]) && isdigit((unsigned char)at[2]) &&
            isdigit((unsigned char)at[3]));
         at++)
        if (*at != ',' && ++*out_digits < 14)
            *out = *out * 10 + (*at - '0');
    return at;
}

// "$1,200.50", not "$1.2 million".
static void mine_money(struct mined *mined, const char *at)
{
    int64_t whole;
    int digits;
    const char *end = read_number(at + 1 + (at[1] == ' '), &whole, &digits);
    if (digits == 0 || digits > 11 || mined->cent_count == 3000)
        return;
    int64_t cents = whole * 100;
    if (*end == '.' && isdigit((unsigned char)end[1])) {
        if (!isdigit((unsigned char)end[2]) || isdigit((unsigned char)end[3]))
            return;
        cents += (end[1] - '0') * 10 + end[2] - '0';
        end += 3;
    }
    static const char *const scales[] = {"million", "billion", "thousand", "mm",
                                         "Million", "-",       "/"};
    const char *word = *end == ' ' ? end + 1 : end;
    for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++)
        if (strncmp(word, scales[i], strlen(scales[i])) == 0)
            return;
    if (!isalnum((unsigned char)*end) && cents > 0 && !has_cents(mined, cents))
        mined->cents[mined->cent_count++] = cents;
}

static void mine_date(struct mined *mined, const char *at)
{
    for (int month = 0; month < 12; month++) {
        size_t len = strlen(english[month]);
        int day, year, used = 0;
        if (strncmp(at, english[month], len) != 0 || at[len] != ' ' ||
            sscanf(at + len + 1, "%2d, %4d%n", &day, &year, &used) != 2 || used < 7)
            continue;
        struct date date = {year, month + 1, day};
        if (year > 1900 && year < 2100 && day > 0 && day < 32 && mined->date_count < 3000 &&
            !has_date(mined, date))
            mined->dates[mined->date_count++] = date;
    }
}

// "12/31/99", where it can only be read with the month first.
static void mine_short_date(struct mined *mined, const char *at)
{
    int month, day, year, used = 0;
    if (sscanf(at, "%2d/%2d/%2d%n", &month, &day, &year, &used) != 3 || used < 6 ||
        isdigit((unsigned char)at[used]) || month < 1 || month > 12 || day < 13 || day > 31)
        return;
    struct date date = {year < 50 ? 2000 + year : 1900 + year, month, day};
    if (mined->date_count < 3000 && !has_date(mined, date))
        mined->dates[mined->date_count++] = date;
}

static void mine_percent(struct mined *mined, const char *from, const char *at)
{
    const char *begin = at;
    while (begin > from && (isdigit((unsigned char)begin[-1]) || begin[-1] == '.'))
        begin--;
    double value;
    if (begin == at || *begin == '.' || (begin > from && begin[-1] == ',') ||
        strchr(begin, '.') == at - 1 || sscanf(begin, "%lf", &value) != 1 || value > 1000 ||
        mined->percent_count == 1000)
        return;
    int64_t hundredths = (int64_t)(value * 100 + 0.5);
    if ((double)hundredths / 100 - value > 1e-9 || value - (double)hundredths / 100 > 1e-9)
        return;
    for (size_t i = 0; i < mined->percent_count; i++)
        if (mined->percents[i] == hundredths)
            return;
    mined->percents[mined->percent_count++] = hundredths;
}

static void mine(struct mined *mined, const char *text)
{
    *mined = (struct mined){.cent_count = 0};
    for (const char *at = text; *at; at++) {
        if (*at == '$')
            mine_money(mined, at);
        else if (*at == '%')
            mine_percent(mined, text, at);
        else if (isupper((unsigned char)*at) && (at == text || !isalpha((unsigned char)at[-1])))
            mine_date(mined, at);
        else if (isdigit((unsigned char)*at) && (at == text || !isdigit((unsigned char)at[-1])))
            mine_short_date(mined, at);
    }
}

// ------------------------------------------------------------------------------------- claims

// Which of many claims of one document are called missing: one search for all of them.
struct claims {
    struct facts *facts;
    char *texts[FACTS_MAX];
    size_t count;
};

static void claim(struct claims *claims, const char *text)
{
    assert_true(facts_count(claims->facts) + 2 < FACTS_MAX);
    facts_claim(claims->facts, text, strlen(text), (int32_t)claims->count);
    claims->texts[claims->count++] = own_strdup(text);
}

static void claim_forms(struct claims *claims, const struct forms *forms)
{
    for (size_t i = 0; i < forms->count; i++)
        claim(claims, forms->text[i]);
}

// Every claim counts; bad are those missing, or those that are not.
static void settle(struct claims *claims, const struct buf *text, struct tally *tally,
                   bool missing_is_bad, const char *name)
{
    bool missing[FACTS_MAX] = {false};
    facts_search(claims->facts, buf_str(text), text->len);
    size_t cursor = 0;
    struct fact_missing fact;
    while (facts_missing(claims->facts, &cursor, &fact))
        missing[fact.place] = true;
    for (size_t i = 0; i < claims->count; i++) {
        count(tally, missing[i] == missing_is_bad, name, claims->texts[i]);
        free(claims->texts[i]);
    }
    facts_free(claims->facts);
    free(claims);
}

static struct claims *claims_new(const struct fact_words *words)
{
    struct claims *claims = own_alloc(sizeof(*claims));
    claims->facts = facts_new(words);
    return claims;
}

struct tallies {
    struct tally amounts, dates, percents, names, other_amounts, other_dates, other_percents;
    struct fact_words *words;
};

static void print_tallies(const struct tallies *all, bool real)
{
    print_tally(real ? &all->amounts : &all->other_amounts);
    print_tally(real ? &all->dates : &all->other_dates);
    print_tally(real ? &all->percents : &all->other_percents);
    if (real)
        print_tally(&all->names);
}

// ------------------------------------------------------------------------------------- real facts

static void real_of(struct tallies *all, const char *name, const struct buf *text,
                    const struct mined *mined)
{
    struct forms forms;
    struct claims *amounts = claims_new(all->words), *dates = claims_new(all->words),
                  *percents = claims_new(all->words);
    for (size_t i = 0; i < mined->cent_count && i < MOST; i++) {
        money_forms(&forms, mined->cents[i], &dollar);
        claim_forms(amounts, &forms);
    }
    for (size_t i = 0; i < mined->date_count && i < MOST; i++) {
        date_forms(&forms, mined->dates[i]);
        claim_forms(dates, &forms);
    }
    for (size_t i = 0; i < mined->percent_count && i < MOST; i++) {
        percent_forms(&forms, mined->percents[i]);
        claim_forms(percents, &forms);
    }
    settle(amounts, text, &all->amounts, true, name);
    settle(dates, text, &all->dates, true, name);
    settle(percents, text, &all->percents, true, name);
}

// ------------------------------------------------------------------------------------- gold facts

// A gold date that its own spans spell out: year, month and day stand in one of them.
static bool is_spelled(const json_t *fact, struct date date)
{
    char year[8], short_year[8], day[8];
    snprintf(year, sizeof(year), "%d", date.year);
    snprintf(short_year, sizeof(short_year), "/%02d", date.year % 100);
    snprintf(day, sizeof(day), "%d", date.day);
    const json_t *spans = json_object_get(fact, "spans"),
                 *found = json_object_get(fact, "spans_found_in_text");
    for (size_t i = 0; i < json_array_size(spans); i++) {
        const char *span = json_string_value(json_array_get(spans, i));
        bool month = strcasestr(span, english[date.month - 1]) || strstr(span, "/");
        if (json_is_true(json_array_get(found, i)) && month && strstr(span, day) &&
            (strstr(span, year) || strstr(span, short_year)))
            return true;
    }
    return false;
}

static size_t gold_dates(json_t *gold, struct date out[8])
{
    static const char *const keys[] = {"agreement_date", "effective_date", "expiration_date"};
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        const json_t *fact = json_object_get(gold, keys[i]);
        const char *iso = json_string_value(json_object_get(fact, "iso"));
        struct date date;
        if (iso && sscanf(iso, "%d-%d-%d", &date.year, &date.month, &date.day) == 3 &&
            is_spelled(fact, date))
            out[count++] = date;
    }
    // files whose facts are exact, or read by hand
    json_t *facts = json_object_get(gold, "facts");
    const char *key;
    json_t *value;
    json_object_foreach(facts, key, value)
    {
        struct date date;
        if (json_is_string(value) && count < 8 &&
            sscanf(json_string_value(value), "%4d-%2d-%2d", &date.year, &date.month, &date.day) ==
                3)
            out[count++] = date;
    }
    return count;
}

static void add_gold_dates(struct mined *mined, json_t *gold)
{
    struct date dates[8];
    size_t count = gold_dates(gold, dates);
    for (size_t i = 0; i < count && mined->date_count < 3000; i++)
        if (!has_date(mined, dates[i]))
            mined->dates[mined->date_count++] = dates[i];
}

static const struct money *currency_of(const char *key)
{
    return strstr(key, "_cny") ? &yuan : strstr(key, "_eur") ? &euro : NULL;
}

static size_t gold_amounts(json_t *gold, int64_t out[8], const struct money *currencies[8])
{
    size_t count = 0;
    const char *key;
    json_t *value, *facts = json_object_get(gold, "facts");
    json_object_foreach(facts, key, value)
    {
        if (!currency_of(key) || !json_is_number(value) || count == 8)
            continue;
        out[count] = (int64_t)(json_number_value(value) * 100 + 0.5);
        currencies[count++] = currency_of(key);
    }
    return count;
}

static const struct {
    const char *form, *others[3];
} legal_forms[] = {{" Inc.", {" Inc", ", Inc.", " Incorporated"}},
                   {" Inc", {" Inc.", ", Inc.", " Incorporated"}},
                   {", Inc.", {" Inc", " Inc.", " Incorporated"}},
                   {" Corporation", {" Corp.", " Corp", " CORPORATION"}},
                   {" Ltd.", {" Limited", " Ltd", ", Ltd."}},
                   {" Limited", {" Ltd.", " LTD", ", Ltd"}},
                   {", LLC", {" LLC", " L.L.C.", ", L.L.C."}},
                   {", LLC.", {" LLC", " L.L.C.", ", L.L.C."}},
                   {" SAS", {" S.A.S.", " S.A.S", ", SAS"}},
                   {" SARL", {" S.A.R.L.", " Sarl", ", SARL"}},
                   {" GmbH", {" GMBH", " mbH", ", GmbH"}},
                   {" AG", {" A.G.", " Aktiengesellschaft", ", AG"}}};

static void name_forms(struct forms *forms, const char *name)
{
    char upper[120];
    snprintf(upper, sizeof(upper), "%s", name);
    for (char *c = upper; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    forms->count = 0;
    add_form(forms, "The agreement is between %.100s and another party.", name);
    add_form(forms, "%.100s pays the fee.", name);
    add_form(forms, "Der Vertrag mit der %.100s gilt weiter.", name);
    add_form(forms, "Le contrat avec %.100s est valable.", name);
    add_form(forms, "El contrato con %.100s es de un a\xc3\xb1o.", name);
    add_form(forms,
             "\xe5\x90\x88\xe5\x90\x8c\xe7\x94\xb1%.100s\xe8\xae\xa2\xe7\xab\x8b\xe3\x80\x82",
             name);
    add_form(forms, "The seller is %.100s.", upper);
    for (size_t i = 0; i < sizeof(legal_forms) / sizeof(legal_forms[0]); i++)
        for (size_t k = 0; k < 3 && ends_with(name, legal_forms[i].form); k++)
            add_form(forms, "It binds %.*s%s as well.",
                     (int)(strlen(name) - strlen(legal_forms[i].form)), name,
                     legal_forms[i].others[k]);
}

static void claim_names(struct claims *claims, const json_t *names, const json_t *found)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        struct forms forms;
        if (found && !json_is_true(json_array_get(found, i)))
            continue;
        name_forms(&forms, json_string_value(json_array_get(names, i)));
        claim_forms(claims, &forms);
    }
}

static void gold_of(struct tallies *all, const char *name, const struct buf *text, json_t *gold)
{
    struct claims *amounts = claims_new(all->words), *dates = claims_new(all->words),
                  *names = claims_new(all->words);
    struct forms forms;
    struct date date[8];
    size_t date_count = gold_dates(gold, date);
    for (size_t i = 0; i < date_count; i++) {
        date_forms(&forms, date[i]);
        claim_forms(dates, &forms);
    }
    int64_t cents[8];
    const struct money *currencies[8];
    size_t amount_count = gold_amounts(gold, cents, currencies);
    for (size_t i = 0; i < amount_count; i++) {
        money_forms(&forms, cents[i], currencies[i]);
        claim_forms(amounts, &forms);
    }
    const json_t *parties = json_object_get(gold, "parties"),
                 *must = json_object_get(gold, "must_mention");
    claim_names(names, json_object_get(parties, "names"),
                json_object_get(parties, "names_found_in_text"));
    claim_names(names, json_object_get(json_object_get(gold, "facts"), "parties"), NULL);
    claim_names(names, json_object_get(must, "parties"), NULL);
    claim_names(names, json_object_get(must, "parties_tab_1"), NULL);
    claim_names(names, json_object_get(must, "parties_tab_2"), NULL);
    settle(amounts, text, &all->amounts, true, name);
    settle(dates, text, &all->dates, true, name);
    settle(names, text, &all->names, true, name);
}

// ------------------------------------------------------------------------------------- altered

// One other figure at each place; ten times as much.
static void claim_other_cents(struct claims *claims, int64_t cents, const struct mined *mined,
                              const struct money *money)
{
    int64_t unit = cents % 100 ? 1 : 100, others[24];
    size_t others_count = 0;
    for (int64_t place = unit; place <= cents; place *= 10) {
        int64_t figure = cents / place % 10;
        others[others_count++] = figure == 9 ? cents - place : cents + place;
    }
    others[others_count++] = cents * 10;
    for (size_t i = 0; i < others_count; i++) {
        struct forms forms;
        if (has_cents(mined, others[i]) || others[i] == 0)
            continue;
        money_forms(&forms, others[i], money);
        claim(claims, forms.text[0]);
        claim(claims, forms.text[1]);
        claim(claims, forms.text[4]);
    }
}

static void claim_other_dates(struct claims *claims, struct date date, const struct mined *mined)
{
    struct date others[] = {
        {date.year, date.month, date.day < 28 ? date.day + 1 : 1},
        {date.year, date.month % 12 + 1, date.day},
        {date.year + 1, date.month, date.day},
        {date.year > 1910 ? date.year - 10 : date.year + 10, date.month, date.day},
        {date.year < 2000 ? date.year + 100 : date.year - 100, date.month, date.day},
        {date.year, date.day, date.month}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct forms forms;
        if (others[i].month > 12 || has_date(mined, others[i]) ||
            memcmp(&others[i], &date, sizeof(date)) == 0)
            continue;
        date_forms(&forms, others[i]);
        claim(claims, forms.text[1]);
        claim(claims, forms.text[4]);
        claim(claims, forms.text[8]);
        claim(claims, forms.text[11]);
    }
}

static void claim_other_percents(struct claims *claims, int64_t hundredths,
                                 const struct mined *mined)
{
    int64_t others[] = {hundredths + 100, hundredths + 10, hundredths * 10};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct forms forms;
        bool there = false;
        for (size_t k = 0; k < mined->percent_count; k++)
            there |= mined->percents[k] == others[i];
        percent_forms(&forms, others[i]);
        if (!there)
            claim_forms(claims, &forms);
    }
}

// A euro amount of the same value, in a document that speaks of dollars.
static void altered_of(struct tallies *all, const char *name, const struct buf *text,
                       const struct mined *mined, json_t *gold)
{
    struct claims *amounts = claims_new(all->words), *dates = claims_new(all->words),
                  *percents = claims_new(all->words);
    for (size_t i = 0; i < mined->percent_count && i < MOST; i++)
        claim_other_percents(percents, mined->percents[i], mined);
    for (size_t i = 0; i < mined->cent_count && i < MOST; i++)
        claim_other_cents(amounts, mined->cents[i], mined, &dollar);
    for (size_t i = 0; i < mined->date_count && i < MOST; i++)
        claim_other_dates(dates, mined->dates[i], mined);
    int64_t cents[8];
    const struct money *currencies[8];
    size_t amount_count = gold_amounts(gold, cents, currencies);
    struct mined own = {.cent_count = 0}; // of another currency than those
    for (size_t i = 0; i < amount_count; i++)
        own.cents[own.cent_count++] = cents[i];
    for (size_t i = 0; i < amount_count; i++) {
        struct forms forms;
        claim_other_cents(amounts, cents[i], &own, currencies[i]);
        money_forms(&forms, cents[i], &dollar);
        claim(amounts, forms.text[0]);
    }
    settle(amounts, text, &all->other_amounts, false, name);
    settle(dates, text, &all->other_dates, false, name);
    settle(percents, text, &all->other_percents, false, name);
}

// ------------------------------------------------------------------------------------- tests

typedef void measurement(struct tallies *all, const char *name, const struct buf *text,
                         const struct mined *mined, json_t *gold);

static void real_and_gold(struct tallies *all, const char *name, const struct buf *text,
                          const struct mined *mined, json_t *gold)
{
    real_of(all, name, text, mined);
    gold_of(all, name, text, gold);
}

static void for_each_document(struct gold_world *world, struct tallies *all, measurement *measure)
{
    struct mined *mined = own_alloc(sizeof(*mined));
    const char *name;
    json_t *gold;
    json_object_foreach(world->gold, name, gold)
    {
        struct buf text OWN_BUF, plain OWN_BUF;
        buf_init(&text, 0);
        buf_init(&plain, 0);
        if (!read_document(world, name, &text))
            continue;
        tidy(&plain, buf_str(&text));
        mine(mined, buf_str(&plain));
        add_gold_dates(mined, gold);
        measure(all, name, &text, mined, gold);
    }
    free(mined);
}

static struct tallies tallies_new(void)
{
    return (struct tallies){.amounts = {.what = "real amounts called missing"},
                            .dates = {.what = "real dates called missing"},
                            .percents = {.what = "real percentages called missing"},
                            .names = {.what = "real names called missing"},
                            .other_amounts = {.what = "altered amounts that pass"},
                            .other_dates = {.what = "altered dates that pass"},
                            .other_percents = {.what = "altered percentages that pass"},
                            .words = fact_words_new()};
}

static void real_facts(void **state)
{
    struct gold_world *world = world_of(state);
    struct tallies all = tallies_new();
    for_each_document(world, &all, real_and_gold);
    print_tallies(&all, true);
    fact_words_free(all.words);
    assert_true(all.amounts.count > 500 && all.dates.count > 1000 && all.names.count > 200);
    assert_true(percent_bad(&all.amounts) < 1);
    assert_true(percent_bad(&all.dates) < 1);
    assert_true(percent_bad(&all.percents) < 1);
    assert_true(percent_bad(&all.names) < 1);
}

static void altered_facts(void **state)
{
    struct gold_world *world = world_of(state);
    struct tallies all = tallies_new();
    for_each_document(world, &all, altered_of);
    print_tallies(&all, false);
    fact_words_free(all.words);
    assert_true(all.other_amounts.count > 1000 && all.other_dates.count > 1000);
    assert_int_equal(all.other_amounts.bad, 0);
    assert_int_equal(all.other_dates.bad, 0);
    assert_int_equal(all.other_percents.bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_facts),
                                       cmocka_unit_test(altered_facts)};
    return cmocka_run_group_tests(tests, world_open, world_close);
}
