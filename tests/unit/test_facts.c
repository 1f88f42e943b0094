// SPDX-License-Identifier: Apache-2.0
// Facts of claims against sources, in six languages: what is the same, and what is not.
#include "core/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "core/facts_inner.h"

struct row {
    const char *source, *claim;
    const char *missing; // texts of the missing facts, with "|" between; "": all are there
};

static void add_missing(struct buf *out, const char *source, const char *claim)
{
    struct facts *facts = facts_new(NULL);
    facts_claim(facts, claim, strlen(claim), 0);
    facts_search(facts, source, strlen(source));
    size_t cursor = 0;
    struct fact_missing missing;
    while (facts_missing(facts, &cursor, &missing)) {
        buf_add_str(out, out->len ? "|" : "");
        buf_add_str(out, missing.text);
    }
    facts_free(facts);
}

static void check_rows(const struct row *rows, size_t count)
{
    int bad = 0;
    for (size_t i = 0; i < count; i++) {
        struct buf found OWN_BUF;
        buf_init(&found, 0);
        add_missing(&found, rows[i].source, rows[i].claim);
        if (strcmp(buf_str(&found), rows[i].missing) == 0)
            continue;
        printf("source: %s\nclaim: %s\nmissing: [%s], expected [%s]\n", rows[i].source,
               rows[i].claim, buf_str(&found), rows[i].missing);
        bad++;
    }
    assert_int_equal(bad, 0);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void amounts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"a fee of $5 million", "The fee is $5,000,000.", ""},
        {"a fee of $5 million", "The fee is USD 5,000,000.00.", ""},
        {"a fee of $5 million", "The fee is $6 million.", "$6 million"},
        {"a fee of $5m", "The fee is 5 million dollars.", ""},
        {"Die Vergütung beträgt 38.400,00 EUR", "The fee is EUR 38,400.", ""},
        {"Die Vergütung beträgt 38.400,00 EUR", "The fee is €38,400 a year.", ""},
        {"Die Vergütung beträgt 38.400,00 EUR", "The fee is EUR 38,500.", "EUR 38,500"},
        {"Die Vergütung beträgt 38.400,00 EUR", "The fee is EUR 384,000.", "EUR 384,000"},
        {"Die Vergütung beträgt 38.400,00 EUR", "The fee is USD 38,400.", "USD 38,400"},
        {"Haftung bis 2,5 Mio. €", "Liability up to EUR 2.5 million.", ""},
        {"Haftung bis 2,5 Mio. €", "Liability up to EUR 2,500,000.", ""},
        {"Haftung bis 2,5 Mio. €", "Liability up to EUR 25 million.", "EUR 25 million"},
        {"Haftung bis 500 TEUR", "Haftung bis 500.000 Euro.", ""},
        {"Haftung bis TEUR 500", "Haftung bis 500.000 Euro.", ""},
        {"le prix est de 1 950 euros hors taxes", "1.950 € monatlich", ""},
        {"le prix est de 1\xc2\xa0"
         "950 euros hors taxes",
         "EUR 1,950 a month", ""},
        {"le prix est de 1\xe2\x80\xaf"
         "950 €",
         "EUR 1,950 a month", ""},
        {"le prix est de 1 950 euros", "EUR 2,950 a month", "EUR 2,950"},
        {"un precio de 11.880,00 euros", "EUR 11,880", ""},
        {"CHF 1'234.50 pro Jahr", "1.234,50 Franken", ""},
        {"thirty thousand dollars", "$30,000", ""},
        {"two hundred fifty thousand U.S. dollars", "US$250,000", ""},
        {"achtunddreißigtausendvierhundert Euro", "EUR 38,400", ""},
        {"deux cent cinquante mille euros", "250.000 EUR", ""},
        {"quatre-vingt-dix-sept euros", "97 EUR", ""},
        {"treinta y cinco mil euros", "EUR 35,000", ""},
        {"doscientos cincuenta mil euros", "EUR 250,000", ""},
        {"每月人民币42,000元（大写：肆万贰仟元整）", "The rent is CNY 42,000 a month.", ""},
        {"每月人民币42,000元", "每月租金4.2万元", ""},
        {"每月租金为肆万贰仟元整", "RMB 42,000", ""},
        {"每月租金为肆万贰仟元整", "RMB 43,000", "RMB 43,000"},
        {"押金人民币84,000元", "押金为人民币八万四千元", ""},
        {"押金人民币84,000元", "押金为人民币八万五千元", "人民币八万五千元"},
        {"金五百万円也", "The price is JPY 5,000,000.", ""},
        {"１億２，０００万円", "JPY 120 million", ""},
        {"1.5億円", "¥150,000,000", ""},
        {"1.5億円", "¥1,500,000,000", "¥1,500,000,000"},
        {"3万5千円", "35,000 yen", ""},
        {"between $5 and $10 million", "from $5 million to $10 million", ""},
        {"EUR 5.000 bis 10.000", "EUR 10,000", ""},
        {"Fee (EUR)\n12,500\n13,000\n", "a fee of EUR 12,500", ""},
        {"Fee (EUR)\n12,500\n13,000\n", "a fee of USD 12,500", "USD 12,500"},
        {"$1,234,567.89", "1.234.567,89 $", ""},
        {"a fine of fifty cents (50¢)", "a fine of $0.50", ""},
        {"a fee of $.05 per unit", "0.05 dollars a unit", ""},
        {"Rs. 5,00,000", "INR 500,000", ""},
        {"HK$500", "HKD 500", ""},
        {"a fee of $1,200,000", "a fee of $1,2…", ""},
        {"a fee of $1,200,000", "a fee of $1,2...", ""},
        {"HK$500", "US$500", "US$500"},
        {"$2,000 due by 2001", "$2,001", "$2,001"},
        {"a penalty of 250,- EUR", "EUR 250", ""},
        {"as set out in section 17", "$17", "$17"},
        {"in dollars\n200\n\f", "$200", "$200"},
        {"a cap of £1 million", "£10 million", "£10 million"},
    };
    CHECK_ROWS(rows);
}

static void percentages(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"5 % der Jahresvergütung", "5% of the fee", ""},
        {"5 % der Jahresvergütung", "6% of the fee", "6%"},
        {"5 % der Jahresvergütung", "fünf Prozent", ""},
        {"five percent (5%)", "5 pour cent", ""},
        {"five per cent", "5 %", ""},
        {"five per cent", "el cinco por ciento", ""},
        {"fünf vom Hundert", "5%", ""},
        {"递增3%", "an increase of 3 percent", ""},
        {"百分之五", "5%", ""},
        {"百分之五", "50%", "50%"},
        {"逾期金额的万分之五", "0.05% a day", ""},
        {"逾期金额的万分之五", "0.5% a day", "0.5%"},
        {"５％の利息", "5% interest", ""},
        {"五パーセント", "5%", ""},
        {"年3割", "30%", ""},
        {"50 basis points", "0.5%", ""},
        {"150 bps", "1.5 %", ""},
        {"3 ‰", "0.3%", ""},
        {"5 to 10 percent", "5% to 10%", ""},
        {"zwischen 5 und 10 %", "5 % bis 10 %", ""},
        {"12,5 %", "12.5%", ""},
        {"7.125%", "7,125 %", ""},
        {"rent as in section\n2.1\n5%", "a rate of 2.1%", "2.1%"},
        {"Rate (%)\n2.25\n", "a rate of 2.25%", ""},
        {"LIBOR plus 2.25%", "LIBOR plus 2.52%", "2.52%"},
    };
    CHECK_ROWS(rows);
}

static void dates(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"made this 4th day of March, 2016", "Dated 2016-03-04.", ""},
        {"made this 4th day of March, 2016", "Dated March 4, 2016.", ""},
        {"made this 4th day of March, 2016", "vom 4. März 2016", ""},
        {"made this 4th day of March, 2016", "du 4 mars 2016", ""},
        {"made this 4th day of March, 2016", "el 4 de marzo de 2016", ""},
        {"made this 4th day of March, 2016", "2016年3月4日", ""},
        {"made this 4th day of March, 2016", "平成28年3月4日", ""},
        {"made this 4th day of March, 2016", "04.03.2016", ""},
        {"made this 4th day of March, 2016", "4/3/16", ""},
        {"made this 4th day of March, 2016", "03/04/2016", ""},
        {"made this 4th day of March, 2016", "March 5, 2016", "March 5, 2016"},
        {"made this 4th day of March, 2016", "2016-04-03", "2016-04-03"},
        {"made this 4th day of March, 2016", "in March 2016", ""},
        {"made this 4th day of March, 2016", "in 2016", ""},
        {"made this 4th day of March, 2016", "in April 2016", "April 2016"},
        {"made this 4th day of March, 2016", "in 2017", "2017"},
        {"made this fourth day of March, 2016", "2016-03-04", ""},
        {"on the thirty-first day of December 2004", "2004-12-31", ""},
        {"As of 4/7/20", "April 7, 2020", ""},
        {"As of 4/7/20", "7. April 2020", ""},
        {"As of 4/7/20", "4 July 2020", ""},
        {"As of 4/7/20", "4/8/20", "4/8/20"},
        {"As of 4/7/20 until 4/30/20", "April 7, 2020", ""},
        {"As of 4/7/20 until 4/30/20", "4 July 2020", "4 July 2020"},
        {"As of 4/7/20 until 30/7/20", "April 7, 2020", "April 7, 2020"},
        {"Dated 05/05/98", "May 5, 1998", ""},
        {"18-May-2000", "2000-05-18", ""},
        {"1er octobre 2021", "1 October 2021", ""},
        {"1º de octubre del 2021", "1 October 2021", ""},
        {"vom 1. bis 31. Juli 2024", "1 July 2024 to 31 July 2024", ""},
        {"from July 1 to July 31, 2024", "1 July 2024 to 31 July 2024", ""},
        {"July 1-31, 2024", "2024-07-31", ""},
        {"自2024年7月1日起至2027年6月30日止", "1 July 2024 until 30 June 2027", ""},
        {"自2024年7月1日起至2027年6月30日止", "1 July 2024 until 30 June 2026", "30 June 2026"},
        {"2024年7月1日至31日", "31 July 2024", ""},
        {"2024年7月1日至8月31日", "31 August 2024", ""},
        {"二〇二四年七月一日", "July 1, 2024", ""},
        {"二零二四年十二月二十五日", "December 25, 2024", ""},
        {"２０２４年７月１日", "July 1, 2024", ""},
        {"令和6年4月1日", "1 April 2024", ""},
        {"令和元年5月1日", "1 May 2019", ""},
        {"令和6年4月1日", "1 April 2025", "1 April 2025"},
        {"昭和64年1月7日", "7 January 1989", ""},
        {"February ____, 2017", "in February 2017", ""},
        {"February ____, 2017", "on February 3, 2017", "February 3, 2017"},
        {"each year on 31 December", "every December 31", ""},
        {"each year on 31 December", "every June 30", "June 30"},
        {"the parties may terminate under section 5", "Section 5 may be used", ""},
        {"2024-07-01T00:00:00Z", "1 July 2024", ""},
        {"JUNE 1, 1998", "1. Juni 1998", ""},
        {"Sept. 3, 2001", "3 September 2001", ""},
        {"12/2024", "December 2024", ""},
    };
    CHECK_ROWS(rows);
}

static void numbers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"ninety (90) days' notice", "90 days' notice", ""},
        {"ninety (90) days' notice", "60 days' notice", "60 days"},
        {"at least ninety days' prior notice", "90 days", ""},
        {"innerhalb von dreißig Tagen", "within 30 days", ""},
        {"sous trente jours", "within 30 days", ""},
        {"en treinta días", "within 30 days", ""},
        {"三十日以内", "within 30 days", ""},
        {"提前六十日书面通知", "60 days", ""},
        {"30日以内に", "within 30 days", ""},
        {"十个工作日内", "within ten working days", ""},
        {"trente-six mois", "36 months", ""},
        {"trente-six mois", "three years", ""},
        {"a term of three (3) years", "36 months", ""},
        {"a term of three (3) years", "for 3 years", ""},
        {"a term of three (3) years", "for two years", "two years"},
        {"共计三年", "three years", ""},
        {"a two week period", "14 days", ""},
        {"1,950 employees", "1950 employees", ""},
        {"1,950 employees", "1,960 employees", "1,960"},
        {"two copies", "The two parties sign 3 copies.", ""},
        {"30 calendar days", "30 days", ""},
        {"between 30 and 60 days", "30 days", ""},
        {"eine dreimonatige Frist", "3 months", ""},
        {"eine 36-monatige Laufzeit", "36 months", ""},
        {"six-month period", "6 months", ""},
        {"mit einer Frist von sechs Monaten", "six months' notice", ""},
        {"payable quarterly", "two reports per year", ""},
        {"contract FT18150", "Contract FT18150 and FT99999", ""},
        {"326.5平方米", "326.5 square metres", ""},
        {"326.5平方米", "326.8 square metres", "326.8"},
        {"bis zum 30. April 2026", "Er endet am 30.", ""},
        {"Article 28 GDPR", "Art. 28 GDPR and Art. 30", "30"},
        {"two weeks and 40 days", "20 days", "20 days"},
    };
    CHECK_ROWS(rows);
}

static void names(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"between Tickets.com, Inc., and MP3.com, Inc.", "Tickets.com Inc. sponsors MP3.com, Inc.",
         ""},
        {"STADTWERKE MUSTERHEIM GMBH", "the Stadtwerke Musterheim GmbH", ""},
        {"Stadtwerke Musterheim GmbH", "Stadtwerke Mustertal GmbH pays.",
         "Stadtwerke Mustertal GmbH"},
        {"Isarblick Prozess-\nleittechnik AG", "Isarblick Prozessleittechnik AG", ""},
        {"Müller & Söhne OHG", "Mueller und Soehne OHG", ""},
        {"Manufacturers' Services Western US Operations, Inc.",
         "Manufacturers\xe2\x80\x99 Services Western US Operations, Inc. is bound.", ""},
        {"Theravance Biopharma UK Limited", "Theravance Biopharma UK Ltd", ""},
        {"Acme Corporation", "Acme Corp.", ""},
        {"Acme Corporation", "Director of Acme Corp.", ""},
        {"Acme Corporation", "Beta Corp. sells.", "Beta Corp"},
        {"the agreement between Idan Maimon and the company", "Mr. Idan Maimon is employed.", ""},
        {"the agreement between Idan Maimon and the company", "Maimon, Idan signs for the company.",
         ""},
        {"the agreement between Idan Maimon and the company, for services to be rendered",
         "The party is Jonathan Smithers of the company.", "Jonathan Smithers"},
        {"Librairies du Canal SAS", "Boucheries du Canal SAS", "Boucheries du Canal SAS"},
        {"Librairies du Canal SAS", "Librairies du Canal S.A.S.", ""},
        {"出租方（甲方）：杭州临江物业管理有限公司\n", "甲方为杭州临江物业管理有限公司。", ""},
        {"出租方（甲方）：杭州临江物业管理有限公司\n", "双方约定杭州临江物业管理有限公司出租", ""},
        {"出租方（甲方）：杭州临江物业管理有限公司\n", "甲方为杭州临山物业管理有限公司。",
         "甲方为杭州临山物业管理有限公司"},
        {"株式会社みずほ（以下「甲」という。）と", "株式会社みずほは支払う。", ""},
        {"株式会社みずほ（以下「甲」という。）と", "株式会社みずえは支払う。", "株式会社"},
        {"東都建物株式会社（以下甲）", "甲は東都建物株式会社である。", ""},
        {"杭州临江物业管理有限公司",
         "Hangzhou Linjiang Property Management Co., Ltd. is the landlord.", ""},
        {"the information of either party", "the Disclosing Party's Confidential Information", ""},
        {"Acme Widgets Inc.", "Acme Widgets Inc.'s fees and Papa John\xe2\x80\x99s fee", ""},
        {"the materials of John Smithson", "the matters of John Smiths…", ""},
        {"the materials of John Smithson", "the matters of Kate Wills…", ""},
        {"The Services are for the Client and the terms of this agreement",
         "Service Level Agreement", ""},
    };
    CHECK_ROWS(rows);
}

static void leaves(void **state)
{
    (void)state;
    static const struct {
        const char *source, *number;
        bool missing;
    } rows[] = {
        {"38.400,00 EUR", "38400", false},
        {"38.400,00 EUR", "38400.0", false},
        {"38.400,00 EUR", "38401", true},
        {"three (3) years", "36", false},
        {"5 %", "0.05", false},
        {"5 %", "5", false},
        {"nothing", "12", false},
        {"nothing", "13", true},
        {"11.880,00 euros", "1.188e4", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct facts *facts = facts_new(NULL);
        facts_claim_number(facts, rows[i].number, 7);
        facts_search(facts, rows[i].source, strlen(rows[i].source));
        size_t cursor = 0;
        struct fact_missing missing;
        bool found = facts_missing(facts, &cursor, &missing);
        if (found != rows[i].missing)
            fail_msg("%s in %s", rows[i].number, rows[i].source);
        if (found)
            assert_int_equal(missing.place, 7);
        facts_free(facts);
    }
}

static void every_word_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum meaning meaning;
        unsigned value;
    } rows[] = {
#define WORD(TEXT, MEANING, VALUE) {TEXT, MEANS_##MEANING, VALUE},
#include "core/facts_words.def"
#undef WORD
    };
    struct fact_words *words = fact_words_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct token token;
        fact_words_find(words, rows[i].text, strlen(rows[i].text), &token);
        const struct fact_word *word = fact_word_as(&token, rows[i].meaning);
        if (!word || word->value != rows[i].value)
            fail_msg("%s", rows[i].text);
    }
    struct token token;
    fact_words_find(words, "zzz", 3, &token);
    assert_null(token.word);
    fact_words_free(words);
}

static void too_many_facts_are_said(void **state)
{
    (void)state;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (int i = 0; i < FACTS_MAX + 1; i++)
        buf_printf(&text, "$%d; ", 1000 + i);
    struct facts *facts = facts_new(NULL);
    facts_claim(facts, buf_str(&text), text.len, 0);
    assert_int_equal(facts_count(facts), FACTS_MAX);
    assert_true(facts_were_too_many(facts));
    facts_free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts),
        cmocka_unit_test(percentages),
        cmocka_unit_test(dates),
        cmocka_unit_test(numbers),
        cmocka_unit_test(names),
        cmocka_unit_test(leaves),
        cmocka_unit_test(every_word_is_found),
        cmocka_unit_test(too_many_facts_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
