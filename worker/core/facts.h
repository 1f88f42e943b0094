// SPDX-License-Identifier: Apache-2.0
// Which amounts, percentages, dates, numbers and names of a claim the source does not contain.
//
// Facts are compared by value, not by spelling, over English, German, French, Spanish, Chinese and
// Japanese: "EUR 38.400,00" is "38,400 euros", "1.5 million" is 1,500,000, 肆万贰仟元 is CNY
// 42,000, "the 4th day of March, 2016" is 2016-03-04 and 令和6年4月1日 is 1 April 2024; "3 years"
// is "thirty-six (36) months"; 万分之五 is 0.05 %. What can be read in two ways (4/7/20, 1.500) may
// be either.
//
// A claimed fact is supported
// - an amount: by an equal one of a currency that can be the same ("$" and "CAD"), or by an equal
//   number that stands nowhere with a currency, in a text that knows the claim's;
// - a percentage: by an equal one, in figures, words, basis points or per mille;
// - a date: by an equal one; without a day or a month, by any date within it;
// - a number with a unit of time: by the same with an equal unit, or by the bare number; any other
//   number above 12: by the number, whatever it counts. Small counts ("two parties") are not
//   checked;
// - a name that ends in a legal form: by the same words in that order, whatever its legal form's
//   spelling; capitalised words in a row without one: if half of them stand in the text at all, and
//   only where claim and source are written in the same language. Names in Latin letters are not
//   looked for in a Chinese or Japanese text, where they would be transliterated.
// What follows by arithmetic (a total, the length of a term) is not in the source and is said so.
//
// Use: facts_claim for every text of the summary, facts_search once, facts_missing until it answers
// false. Time and memory are linear in the claims plus the source; nothing is kept of the source.
#ifndef PRECIS_CORE_FACTS_H
#define PRECIS_CORE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Most facts of one object; those beyond are not checked, and facts_were_too_many says so.
#define FACTS_MAX 2000

enum fact_kind { FACT_AMOUNT, FACT_PERCENTAGE, FACT_DATE, FACT_NUMBER, FACT_NAME };

struct fact_missing {
    enum fact_kind kind;
    int32_t place;    // as facts_claim was told
    const char *text; // as the claim writes it, on one line; owned by the facts
};

struct facts;
struct fact_words; // the words of six languages, for all facts to share

struct fact_words *fact_words_new(void);
void fact_words_free(struct fact_words *words);
// `words` is borrowed until facts_free; NULL: these facts make their own, which costs as much as a
// page of text.
struct facts *facts_new(const struct fact_words *words);
void facts_free(struct facts *facts);
// Takes up the facts of a text, valid UTF-8. `place` is the caller's name for it.
void facts_claim(struct facts *facts, const char *text, size_t len, int32_t place);
// Takes up a bare number, as JSON writes it: any number, amount, percentage or time of that value
// supports it. Whole numbers up to 12 are not checked.
void facts_claim_number(struct facts *facts, const char *number, int32_t place);
// Goes through the source once, and decides. After it nothing may be claimed.
void facts_search(struct facts *facts, const char *source, size_t len);
// The next fact without support, in the order of the claims, a fact once a place; *cursor begins at
// 0. False: there are no more.
bool facts_missing(const struct facts *facts, size_t *cursor, struct fact_missing *out);
bool facts_were_too_many(const struct facts *facts);
// How many facts were taken up.
size_t facts_count(const struct facts *facts);
// "amount", "percentage", …
const char *fact_kind_name(enum fact_kind kind);

#endif
