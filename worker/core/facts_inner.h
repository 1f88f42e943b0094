// SPDX-License-Identifier: Apache-2.0
// What the files of core/facts share.
//
// A text becomes tokens (facts_token.c, with the words of facts_words.def), tokens become facts
// (facts_number.c, facts_date.c, facts_read.c), and facts are claims or evidence (facts.c); names
// go their own way (facts_name.c). Every recogniser looks forward only, at most FACTS_AHEAD tokens.
#ifndef PRECIS_CORE_FACTS_INNER_H
#define PRECIS_CORE_FACTS_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/facts.h"

#define FACTS_AHEAD  24  // tokens that a recogniser may look at
#define FACTS_BEHIND 4   // tokens that it may look back at
#define FACTS_WINDOW 128 // tokens held at a time

// ------------------------------------------------------------------------------------- words

// What a word of facts_words.def means; a word may mean several things, in rows beside each other.
enum meaning {
    MEANS_NUMBER, // value 0 to 99
    MEANS_HUNDREDS,
    MEANS_SCALE,   // value: power of ten
    MEANS_LETTER,  // "k", "m", "bn" behind figures; value: power of ten
    MEANS_ORDINAL, // value: 1 to 31
    MEANS_SUFFIX,  // "th" behind figures
    MEANS_ONE,     // "a", "ein": one before a unit
    MEANS_MONTH,
    MEANS_CURRENCY, // value: the currencies that it can be
    MEANS_DOLLAR,   // "hk" before "$"; value: the currencies
    MEANS_CENT,
    MEANS_PERCENT,  // value: power of ten that makes percent of it
    MEANS_PER,      // "per", "pour" before "cent"
    MEANS_FRACTION, // 百分之 before the number; value as of PERCENT
    MEANS_UNIT,     // value: a unit of time
    MEANS_RANGE,    // "to", "bis"
    MEANS_OF,
    MEANS_ERA, // value: the year before its first
    MEANS_SAME_YEAR,
    MEANS_YEAR_MARK,
    MEANS_MONTH_MARK,
    MEANS_DAY_MARK,
    MEANS_LABEL, // "section": the number behind it counts nothing
    MEANS_FORM,  // a legal form; value 1: only behind a name that has other words
    MEANS_HAN_FORM,
    MEANS_GENERIC, // capitalised often, and no name
    MEANS_STOP,    // value: a language
};

enum unit {
    UNIT_MINUTE = 1,
    UNIT_HOUR = 2,
    UNIT_DAY = 4,
    UNIT_WEEK = 8,
    UNIT_MONTH = 16,
    UNIT_YEAR = 32
};

enum language { LANGUAGE_EN, LANGUAGE_DE, LANGUAGE_FR, LANGUAGE_ES, LANGUAGE_COUNT };

struct fact_word {
    const char *text; // folded: small letters without marks
    uint8_t len;
    uint8_t meaning; // enum meaning
    uint16_t value;
};

#define FACT_WORD_SLOTS 4096

struct token;

struct fact_words {
    struct {
        uint16_t row; // + 1; 0 is free
        uint16_t tag; // of the hash: other words are seldom compared
        uint32_t meanings;
    } slots[FACT_WORD_SLOTS];
    uint8_t han_first[256]; // which Han and Kana characters may begin a word of the table
};

// Sets the token's word and meanings, or NULL and none.
void fact_words_find(const struct fact_words *words, const char *text, size_t len,
                     struct token *out);
bool fact_words_may_begin(const struct fact_words *words, uint32_t han);

// ------------------------------------------------------------------------------------- tokens

// digits × 10^exponent; digits have no trailing zero, and zero is 0 × 10^0.
struct decimal {
    uint64_t digits;
    int32_t exponent;
};

struct fact_date {
    int16_t year;      // 0: not said
    int8_t month, day; // 0: not said
};

// Which reading of a date in figures, parted by "/" or "-", was possible.
enum date_order { ORDER_NONE, ORDER_DAY_FIRST, ORDER_MONTH_FIRST, ORDER_OPEN };

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_DATE, TOKEN_SIGN, TOKEN_HAN };

struct token {
    enum token_kind kind;
    bool glued;                   // nothing stands between it and the token before
    bool line;                    // it begins a line
    bool capital;                 // WORD: begins with a capital letter
    bool worded;                  // NUMBER: in letters or Han numerals
    uint8_t figures;              // NUMBER: how many, where there is no separator; else 0
    uint8_t count;                // NUMBER, DATE: readings
    uint8_t order;                // DATE: enum date_order
    uint8_t unit;                 // NUMBER: the unit that is part of the word ("dreimonatig")
    uint32_t sign;                // SIGN, HAN: the character
    const struct fact_word *word; // its first row; NULL: it is not in the table
    uint32_t meanings;            // of all its rows: 1 << enum meaning
    uint64_t hash;                // WORD: of its stem
    struct decimal values[2];     // NUMBER: the likelier first
    struct fact_date dates[2];
    size_t at, end; // bytes of the text
};

struct fact_scan {
    const struct fact_words *words;
    const char *text;
    size_t len, at;
    struct token tokens[FACTS_WINDOW];
    size_t first, count; // of the window: the token that is looked at, and those held
    bool after_number;   // figures were the last token: Han scales behind them are no numerals
};

void fact_scan_init(struct fact_scan *scan, const struct fact_words *words, const char *text,
                    size_t len);
// Makes the tokens around the current one ready; false at the end of the text.
bool fact_scan_ready(struct fact_scan *scan);
void fact_scan_skip(struct fact_scan *scan, size_t tokens);
// The token so many behind the current one (-FACTS_BEHIND to FACTS_AHEAD); one of kind END past
// either end of the text.
const struct token *fact_token(const struct fact_scan *scan, int ahead);
// The row of the token's word with this meaning; NULL: it has none.
const struct fact_word *fact_word_as(const struct token *token, enum meaning meaning);
bool fact_token_is(const struct token *token, uint32_t sign);
bool fact_is_cut(const struct fact_scan *scan,
                 int ahead);  // an ellipsis is glued to the token before
bool fact_is_han(uint32_t c); // Han, Hiragana, Katakana

// ------------------------------------------------------------------------------------- numbers

bool decimal_add_figure(struct decimal *decimal, unsigned figure); // false: too long
void decimal_trim(struct decimal *decimal);
struct decimal decimal_of(uint64_t value);
struct decimal decimal_shift(struct decimal decimal, int power);
// False: the sum does not fit, and *a is what it was.
bool decimal_add(struct decimal *a, struct decimal b);
bool decimal_is_small(struct decimal decimal, uint64_t max); // a whole number of at most `max`
int64_t decimal_whole(struct decimal decimal);               // -1: not whole, or large

// Reads figures with separators at `text`, "1.234,50" or "12 000"; the bytes read. Sets values,
// count, figures. At least one figure, maybe behind a point, is there.
size_t fact_figures(const char *text, size_t len, struct token *out);
// Reads "12.04.2022", "4/7/20", "2024-07-01", "05/2024"; the bytes read, 0: it is none. Sets dates,
// count.
size_t fact_figure_date(const char *text, size_t len, struct token *out);
// A German number in one word, with the unit behind it if there is one. False: it is none.
bool fact_german_number(const char *word, size_t len, struct token *out);
// A run of Han numerals; the bytes read, 0: none.
size_t fact_han_number(const char *text, size_t len, struct token *out);

struct figure {
    struct decimal values[3];
    size_t count;
    int tokens;        // how many it takes; 0: there is no number
    bool worded, year; // year: four bare figures that may be one
    uint8_t unit;
    bool letter; // a letter that may be a scale was read as one
};

// The number that begins at the token, with its scale ("2.5 million", "1億2,000万").
struct figure fact_figure_at(const struct fact_scan *scan, int ahead);

// ------------------------------------------------------------------------------------- facts

// A number with what stands around it.
struct amount {
    struct figure figure;
    uint32_t currencies; // 0: none is named
    bool percent;        // the values are percent
    uint8_t unit;        // of time; 0: none
    bool noun;           // some other word follows
    bool label;          // the number of a section or of a list's entry
    bool code;           // letters are glued to it
    bool cut;            // an ellipsis is glued to it
    bool formed;         // written as money is: with separators, or five figures and more
    bool scaled;         // the last value is one in a scale that stands behind a second number
    int before, after;   // tokens that belong to it before the number and behind it
};

struct fact_dates {
    struct fact_date dates[4];
    size_t count;
    int tokens;    // 0: there is no date
    bool readings; // the dates are readings of one date, not several; with two the day is first in
                   // [0]
    uint8_t order;
};

struct amount fact_amount_at(const struct fact_scan *scan);
struct fact_dates fact_dates_at(const struct fact_scan *scan);

// ------------------------------------------------------------------------------------- names

struct fact_names;

// Which language a text is in, as its small words say.
struct fact_language {
    size_t stops[LANGUAGE_COUNT];
    size_t letters, han;
};

void fact_language_seen(struct fact_language *language, const struct token *token);

struct fact_names *fact_names_new(void);
void fact_names_free(struct fact_names *names);
// The name of a claim that begins at the current token: the tokens that it takes, 0 where none
// begins here. *out_name is its number, or -1 where there is nothing in it to ask for; *out_from
// the byte of the text where it begins, which may lie before the token.
int fact_names_claim(struct fact_names *names, const struct fact_scan *scan, int *out_name,
                     size_t *out_from);
// Looks at the current token of the source.
void fact_names_seen(struct fact_names *names, const struct fact_scan *scan);
bool fact_names_supported(const struct fact_names *names, int name,
                          const struct fact_language *claims, const struct fact_language *source);

#endif
