// SPDX-License-Identifier: Apache-2.0
// Amounts, dates and percentages as six languages write them, for claims of tests.
#ifndef PRECIS_TESTS_TRUST_FORMS_H
#define PRECIS_TESTS_TRUST_FORMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct date {
    int year, month, day;
};

static const char *const english[] = {"January",   "February", "March",    "April",
                                      "May",       "June",     "July",     "August",
                                      "September", "October",  "November", "December"};
static const char *const german[] = {"Januar",    "Februar", "M\xc3\xa4rz", "April",
                                     "Mai",       "Juni",    "Juli",        "August",
                                     "September", "Oktober", "November",    "Dezember"};
static const char *const french[] = {"janvier",   "f\xc3\xa9vrier", "mars",     "avril",
                                     "mai",       "juin",           "juillet",  "ao\xc3\xbbt",
                                     "septembre", "octobre",        "novembre", "d\303\251cembre"};
static const char *const spanish[] = {"enero",      "febrero", "marzo",     "abril",
                                      "mayo",       "junio",   "julio",     "agosto",
                                      "septiembre", "octubre", "noviembre", "diciembre"};

struct forms {
    char text[24][160];
    size_t count;
};

__attribute__((format(printf, 2, 3))) static inline void add_form(struct forms *forms,
                                                                  const char *format, ...)
{
    assert_true(forms->count < 24);
    va_list args;
    va_start(args, format);
    vsnprintf(forms->text[forms->count++], sizeof(forms->text[0]), format, args);
    va_end(args);
}

// The number with a separator before each three figures, and decimals where there are any.
static inline const char *number(char out[48], int64_t cents, const char *group, const char *point)
{
    char figures[24];
    snprintf(figures, sizeof(figures), "%lld", (long long)(cents / 100));
    size_t len = strlen(figures), used = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            used += (size_t)snprintf(out + used, 48 - used, "%s", group);
        out[used++] = figures[i];
    }
    out[used] = '\0';
    if (cents % 100)
        snprintf(out + used, 48 - used, "%s%02d", point, (int)(cents % 100));
    return out;
}

struct money {
    const char *sign, *code, *plural, *german, *spanish, *han, *kana;
};

static const struct money dollar = {"$",
                                    "USD",
                                    "dollars",
                                    "US-Dollar",
                                    "d\xc3\xb3lares",
                                    "\xe7\xbe\x8e\xe5\x85\x83",
                                    "\xe3\x83\x89\xe3\x83\xab"};
static const struct money euro = {"\xe2\x82\xac",
                                  "EUR",
                                  "euros",
                                  "Euro",
                                  "euros",
                                  "\xe6\xac\xa7\xe5\x85\x83",
                                  "\xe3\x83\xa6\xe3\x83\xbc\xe3\x83\xad"};
static const struct money yuan = {"\xc2\xa5",
                                  "CNY",
                                  "yuan",
                                  "RMB",
                                  "yuan",
                                  "\xe5\x85\x83",
                                  "\xe4\xba\xba\xe6\xb0\x91\xe5\x85\x83"};

static inline void money_forms(struct forms *forms, int64_t cents, const struct money *money)
{
    char out[48];
    forms->count = 0;
    add_form(forms, "The amount is %s%s.", money->sign, number(out, cents, ",", "."));
    add_form(forms, "The amount is %s %s in all.", money->code, number(out, cents, ",", "."));
    add_form(forms, "It costs %s %s a year.", number(out, cents, ",", "."), money->plural);
    add_form(forms, "It costs %s%s a year.", money->sign, number(out, cents, "", "."));
    add_form(forms, "Die Haftung ist auf %s %s begrenzt.", number(out, cents, ".", ","),
             money->code);
    add_form(forms, "Die Miete betr\xc3\xa4gt %s %s.", number(out, cents, ".", ","), money->german);
    add_form(forms, "Die Miete betr\xc3\xa4gt %s,- %s.", number(out, cents - cents % 100, ".", ","),
             money->german);
    forms->count -= cents % 100 != 0;
    add_form(forms, "Le prix est de %s %s par an.", number(out, cents, " ", ","), money->sign);
    add_form(forms, "Le prix est de %s %s.", number(out, cents, "\xe2\x80\xaf", ","), money->code);
    add_form(forms, "El precio es de %s %s.", number(out, cents, ".", ","), money->spanish);
    add_form(forms, "CH: %s %s.", money->code, number(out, cents, "'", "."));
    add_form(forms, "\xe8\xb4\xb9\xe7\x94\xa8\xe4\xb8\xba%s%s\xe3\x80\x82",
             number(out, cents, ",", "."), money->han);
    add_form(forms, "\xe6\x96\x99\xe9\x87\x91\xe3\x81\xaf%s%s\xe3\x81\xa7\xe3\x81\x99\xe3\x80\x82",
             number(out, cents, ",", "."), money->kana);
    if (cents >= 100000000 && cents % 1000000 == 0)
        add_form(forms, "The cap is %s %g million.", money->code, (double)cents / 1e8);
    if (cents >= 1000000 && cents % 100000 == 0)
        add_form(forms, "\xe8\xb4\xb9\xe7\x94\xa8\xe4\xb8\xba%g\xe4\xb8\x87%s\xe3\x80\x82",
                 (double)cents / 1e6, money->han);
}

static inline const char *han(char out[32], int value)
{
    static const char *const ones[] = {"",
                                       "\xe4\xb8\x80",
                                       "\xe4\xba\x8c",
                                       "\xe4\xb8\x89",
                                       "\xe5\x9b\x9b",
                                       "\xe4\xba\x94",
                                       "\xe5\x85\xad",
                                       "\xe4\xb8\x83",
                                       "\xe5\x85\xab",
                                       "\xe4\xb9\x9d"};
    snprintf(out, 32, "%s%s%s", value >= 20 ? ones[value / 10] : "",
             value >= 10 ? "\xe5\x8d\x81" : "", ones[value % 10]);
    return out;
}

static inline void date_forms(struct forms *forms, struct date date)
{
    static const char *const suffixes[] = {"th", "st", "nd", "rd"};
    int month = date.month - 1, last = date.day % 10;
    const char *suffix = suffixes[last <= 3 && date.day / 10 != 1 ? last : 0];
    bool heisei = date.year > 1989 && date.year < 2019;
    char one[32], two[32];
    forms->count = 0;
    add_form(forms, "It is dated %s %d, %d.", english[month], date.day, date.year);
    add_form(forms, "It is dated %d %s %d.", date.day, english[month], date.year);
    add_form(forms, "as of the %d%s day of %s, %d", date.day, suffix, english[month], date.year);
    add_form(forms, "%s %d%s, %d", english[month], date.day, suffix, date.year);
    add_form(forms, "%04d-%02d-%02d", date.year, date.month, date.day);
    add_form(forms, "signed on %d/%d/%02d", date.month, date.day, date.year % 100);
    add_form(forms, "signed on %02d/%02d/%d", date.day, date.month, date.year);
    add_form(forms, "vom %d. %s %d", date.day, german[month], date.year);
    add_form(forms, "vom %02d.%02d.%d", date.day, date.month, date.year);
    add_form(forms, "le %d%s %s %d", date.day, date.day == 1 ? "er" : "", french[month], date.year);
    add_form(forms, "el %d de %s de %d", date.day, spanish[month], date.year);
    add_form(forms, "%d\xe5\xb9\xb4%d\xe6\x9c\x88%d\xe6\x97\xa5", date.year, date.month, date.day);
    add_form(forms, "%d \xe5\xb9\xb4 %d \xe6\x9c\x88 %d \xe6\x97\xa5", date.year, date.month,
             date.day);
    if (heisei)
        add_form(forms, "\xe5\xb9\xb3\xe6\x88\x90%d\xe5\xb9\xb4%s\xe6\x9c\x88%s\xe6\x97\xa5",
                 date.year - 1988, han(one, date.month), han(two, date.day));
    add_form(forms, "in %s %d", english[month], date.year);
    add_form(forms, "during %d", date.year);
}

static inline void percent_forms(struct forms *forms, int64_t hundredths)
{
    char plain[24], comma[24];
    snprintf(plain, sizeof(plain), "%g", (double)hundredths / 100);
    snprintf(comma, sizeof(comma), "%s", plain);
    for (char *c = comma; *c; c++)
        *c = *c == '.' ? ',' : *c;
    forms->count = 0;
    add_form(forms, "a rate of %s%%", plain);
    add_form(forms, "a rate of %s percent", plain);
    add_form(forms, "eine Rate von %s %%", comma);
    add_form(forms, "eine Rate von %s Prozent", comma);
    add_form(forms, "un taux de %s pour cent", comma);
    add_form(forms, "una tasa del %s por ciento", comma);
    add_form(forms, "\xe7\x99\xbe\xe5\x88\x86\xe4\xb9\x8b%s", plain);
    add_form(forms, "%s\xe3\x83\x91\xe3\x83\xbc\xe3\x82\xbb\xe3\x83\xb3\xe3\x83\x88", plain);
    add_form(forms, "%lld basis points", (long long)hundredths);
}

#endif
