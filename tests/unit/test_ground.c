// SPDX-License-Identifier: Apache-2.0
// Quotes in their source: what counts, what does not, and where they are.
#include "core/ground.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *name, *source, *quote;
    int from, to; // -1: not found
};

static const struct row rows[] = {
    {"verbatim", "The fee is $5.", "fee is", 4, 10},
    {"whole", "abc", "abc", 0, 3},
    {"absent", "The fee is $5.", "fee was", -1, -1},
    {"empty quote", "abc", "", -1, -1},
    {"only marks", "abc", " \"...\" ", -1, -1},
    {"empty source", "", "abc", -1, -1},
    {"line break in the source", "The\r\n   fee  is", "The fee is", 0, 15},
    {"line break in the quote", "The fee is", "The\nfee\tis", 0, 10},
    {"no-break space",
     "EUR\xc2\xa0"
     "5,000 due",
     "EUR 5,000", 0, 9},
    {"curly marks",
     "the \xe2\x80\x9c"
     "Buyer\xe2\x80\x9d pays",
     "the \"Buyer\" pays", 0, 16},
    {"single for double", "the \"Buyer\" pays", "the 'Buyer' pays", 0, 16},
    {"apostrophe", "Buyer\xe2\x80\x99s risk", "Buyer's risk", 0, 12},
    {"quote in marks", "The fee is five.",
     "\xe2\x80\x9c"
     "fee is\xe2\x80\x9d",
     4, 10},
    {"quote in ellipses", "The fee is five.", "...fee is\xe2\x80\xa6", 4, 10},
    {"broken word", "shall indem-\nnify the", "shall indemnify the", 0, 21},
    {"broken word, indented", "shall indem-\r\n    nify the", "indemnify", 6, 22},
    {"hyphen kept in the quote", "long-\nterm debt", "long-term debt", 0, 15},
    {"hyphen dropped", "a long-term debt", "longterm", 2, 11},
    {"soft hyphen",
     "in\xc2\xad"
     "demnify",
     "indemnify", 0, 10},
    {"figures are not joined", "pay $1-2 million", "$12 million", -1, -1},
    {"figures over a line", "item 1-\n2", "item 12", -1, -1},
    {"dash is no hyphen", "fee - five", "fee five", -1, -1},
    {"en dash",
     "2019\xe2\x80\x93"
     "2020",
     "2019-2020", 0, 9},
    {"ligature",
     "the \xef\xac\x81nal o\xef\xac\x83"
     "ce",
     "final office", 4, 13},
    {"ligature in the quote", "final", "\xef\xac\x81nal", 0, 5},
    {"superscript is no figure", "10\xc2\xb2 units", "102 units", -1, -1},
    {"composed", "caf\xc3\xa9 x", "cafe\xcc\x81", 0, 4},
    {"decomposed", "cafe\xcc\x81 x", "caf\xc3\xa9", 0, 5},
    {"zero width in the source",
     "in\xe2\x80\x8b"
     "fringe",
     "infringe", 0, 9},
    {"case counts", "the SUPPLIER pays", "the supplier pays", -1, -1},
    {"first letter's case", "and the Supplier pays", "The Supplier pays", 4, 21},
    {"added full stop", "The fee is five, due now", "The fee is five.", 0, 15},
    {"full stop that is there", "Five. Six.", "Five.", 0, 5},
    {"Han over a line", "\xe7\x94\xb2\xe6\x96\xb9\n\xe4\xb9\x99\xe6\x96\xb9",
     "\xe7\x94\xb2\xe6\x96\xb9\xe4\xb9\x99\xe6\x96\xb9", 0, 5},
    {"Han beside a figure", "\xe7\xac\xac 3 \xe6\x9d\xa1",
     "\xe7\xac\xac"
     "3\xe6\x9d\xa1",
     0, 5},
    {"full width",
     "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x9a"
     "a",
     "12:a", 0, 4},
    {"offsets are code points", "\xe7\x94\xb2\xf0\x9f\x98\x80 pays", "pays", 3, 7},
    {"invalid byte",
     "a\xff"
     "b fee",
     "fee", 4, 7},
    {"invalid byte in the quote", "fee", "f\xff", -1, -1},
    {"first of two", "pay pay", "pay", 0, 3},
    {"space at the edges", "  fee  ", "  fee ", 2, 5},
    {"two single marks for a double", "the ''Buyer'' pays", "the \"Buyer\" pays", 0, 18},
    {"page number between", "shall pay the\n\n12\n\f\nfull fee", "shall pay the full fee", 0, 28},
    {"number of pages between", "shall pay the\nPage 3 of 7\n\ffull fee", "pay the full fee", 6,
     35},
    {"page number without a feed", "shall pay the\n\n- 12 -\n\nfull fee", "pay the full fee", 6,
     31},
    {"German page number", "zahlt die\nSeite 3\n\fvolle Miete", "zahlt die volle Miete", 0, 30},
    {"head and foot that return",
     "one two\nACME 1\n\fDraft of May\nthree four\nACME 2\n\fDraft of May\nfive",
     "two three four five", 4, 65},
    {"a line that does not return stays", "one two\nACME\n\fthree", "two three", -1, -1},
    {"broken word over a page", "shall indem-\n\n12\n\fnify the", "shall indemnify the", 0, 26},
    {"a number that the quote has", "the fee is\n\n12\n\neuros", "the fee is 12 euros", 0, 21},
    {"spaced out", "the S t a d t w e r k e pay", "the Stadtwerke pay", 0, 27},
    {"run together", "theparties agreeon services", "the parties agree on services", 0, 27},
    {"hyphen and blank", "a long- term debt of ours", "a long-term debt of ours", 0, 25},
    {"dash stays a dash", "the whole fee - five euros", "the whole fee five euros", -1, -1},
    {"figures stay apart", "items of section 1 2 of this", "items of section 12 of this", -1, -1},
    {"capitals in small letters", "It is GOVERNED BY THE LAW OF OHIO.",
     "governed by the law of Ohio", 6, 33},
    {"capitals only in part", "It is governed by THE LAW OF OHIO.", "governed by the law of ohio",
     -1, -1},
    {"negation", "the seller shall not pay the fee", "the seller shall pay the fee", -1, -1},
};

static bool find(const char *source, size_t len, const char *quote, size_t *from, size_t *to)
{
    struct ground *ground = ground_new(source, len);
    bool found = ground_find(ground, quote, strlen(quote), from, to);
    ground_free(ground);
    return found;
}

static void test_rows(void **state)
{
    (void)state;
    int bad = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t from = 77, to = 77;
        bool found = find(rows[i].source, strlen(rows[i].source), rows[i].quote, &from, &to);
        bool right = found ? (int)from == rows[i].from && (int)to == rows[i].to
                           : rows[i].from == -1 && from == 77 && to == 77;
        if (!right)
            print_error("%s: found %d, %zu-%zu\n", rows[i].name, found, from, to);
        bad += !right;
    }
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
