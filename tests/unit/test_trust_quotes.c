// SPDX-License-Identifier: Apache-2.0
// Quotes measured on the shared contracts: real ones in noisy text, of which under 1 % may be
// called missing, and planted false ones, of which none may pass.
//
// Quotes are the gold spans and evidence; the noise is what PDFs do to text, put in with a fixed
// seed. A lie that the document says elsewhere is not counted.
#include "trust_gold.h"

#include "core/ground.h"

// ------------------------------------------------------------------------------------- noise

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 16;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

enum noise {
    LINE_BREAKS,
    HYPHENS,
    LIGATURES,
    CURLY,
    DOUBLED,
    PAGES,
    NO_BREAK,
    SPACED,
    ALL_NOISE,
    NOISES
};

static const char *const noise_names[NOISES] = {
    "line breaks", "hyphenation",     "ligatures",          "curly quotes", "doubled spaces",
    "page breaks", "no-break spaces", "spaced-out letters", "all together"};

static bool has(enum noise asked, enum noise noise)
{
    return asked == noise || (asked == ALL_NOISE && noise != SPACED);
}

static void noisy_space(struct buf *out, enum noise noise, uint32_t *state, size_t *page)
{
    uint32_t dice = draw(state) % 60;
    if (has(noise, PAGES) && dice == 0)
        buf_printf(out, "\n\n%zu\n\f", ++*page);
    else if (has(noise, LINE_BREAKS) && dice % 8 == 1)
        buf_add_str(out, dice % 16 == 1 ? "\n" : "\r\n   ");
    else if (has(noise, DOUBLED) && dice % 8 == 2)
        buf_add_str(out, "  ");
    else if (has(noise, NO_BREAK) && dice % 8 == 3)
        buf_add_str(out, "\xc2\xa0");
    else
        buf_add_char(out, ' ');
}

// The bytes of the text that were taken.
static size_t noisy_letter(struct buf *out, const char *text, enum noise noise, uint32_t *state)
{
    if (has(noise, LIGATURES) && (memcmp(text, "fi", 2) == 0 || memcmp(text, "fl", 2) == 0)) {
        buf_add_str(out, text[1] == 'i' ? "\xef\xac\x81" : "\xef\xac\x82");
        return 2;
    }
    buf_add_char(out, *text);
    bool inner = text[1] >= 'a' && text[1] <= 'z' && *text >= 'a' && *text <= 'z';
    if (has(noise, HYPHENS) && inner && draw(state) % 40 == 0)
        buf_add_str(out, draw(state) % 4 ? "-\n" : "\xc2\xad");
    if (noise == SPACED && is_letter(text[1]) && out->len / 2000 % 2)
        buf_add_char(out, ' ');
    return 1;
}

static void add_noise(struct buf *out, const struct buf *text, enum noise noise)
{
    uint32_t state = 7;
    size_t page = 0;
    bool open = false;
    for (size_t at = 0; at < text->len;) {
        const char *c = text->data + at;
        if (*c == ' ') {
            noisy_space(out, noise, &state, &page);
            at++;
        } else if (*c == '"' && has(noise, CURLY)) {
            open = !open;
            buf_add_str(out, open ? "\xe2\x80\x9c" : "\xe2\x80\x9d");
            at++;
        } else if (*c == '\'' && has(noise, CURLY)) {
            buf_add_str(out, "\xe2\x80\x99");
            at++;
        } else if (is_letter(*c)) {
            at += noisy_letter(out, c, noise, &state);
        } else {
            buf_add_char(out, *c);
            at++;
        }
    }
}

// ------------------------------------------------------------------------------------- gold quotes

struct quotes {
    const char *text[400];
    size_t count;
};

static void add_quote(struct quotes *quotes, const json_t *text)
{
    const char *quote = json_string_value(text);
    if (quote && quotes->count < 400)
        quotes->text[quotes->count++] = quote;
}

static void add_spans(struct quotes *quotes, const json_t *fact)
{
    const json_t *spans = json_object_get(fact, "spans");
    const json_t *found = json_object_get(fact, "spans_found_in_text");
    for (size_t i = 0; i < json_array_size(spans); i++)
        if (json_is_true(json_array_get(found, i)))
            add_quote(quotes, json_array_get(spans, i));
}

// Every string of the gold facts that is said to stand in the text.
static void collect_quotes(struct quotes *quotes, json_t *gold)
{
    quotes->count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(gold, key, value) add_spans(quotes, value);
    json_t *must = json_object_get(gold, "must_mention");
    json_object_foreach(must, key, value)
    {
        for (size_t i = 0; i < json_array_size(value); i++)
            add_quote(quotes, json_array_get(value, i));
    }
    json_t *nli = json_object_get(gold, "nli");
    json_object_foreach(nli, key, value)
    {
        const json_t *evidence = json_object_get(value, "evidence");
        for (size_t i = 0; i < json_array_size(evidence); i++)
            add_quote(quotes, json_array_get(evidence, i));
    }
}

static bool is_found(struct ground *ground, const char *quote)
{
    size_t from, to;
    return ground_find(ground, quote, strlen(quote), &from, &to);
}

static void real_quotes_of(const char *name, const struct buf *text, const struct quotes *quotes,
                           struct tally tallies[NOISES])
{
    struct buf noisy OWN_BUF, quote OWN_BUF;
    buf_init(&noisy, 0);
    buf_init(&quote, 0);
    for (int noise = 0; noise < NOISES; noise++) {
        buf_clear(&noisy);
        add_noise(&noisy, text, (enum noise)noise);
        struct ground *ground = ground_new(buf_str(&noisy), noisy.len);
        for (size_t i = 0; i < quotes->count; i++) {
            tidy(&quote, quotes->text[i]);
            count(&tallies[noise], !is_found(ground, buf_str(&quote)), name, buf_str(&quote));
        }
        ground_free(ground);
    }
}

static void real_quotes(void **state)
{
    struct gold_world *world = world_of(state);
    struct tally tallies[NOISES] = {{.count = 0}}, all = {.what = "real quotes not found"};
    for (int i = 0; i < NOISES; i++)
        tallies[i].what = noise_names[i];
    const char *name;
    json_t *gold;
    json_object_foreach(world->gold, name, gold)
    {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        struct quotes quotes;
        collect_quotes(&quotes, gold);
        if (quotes.count && read_document(world, name, &text))
            real_quotes_of(name, &text, &quotes, tallies);
    }
    for (int i = 0; i < NOISES; i++) {
        print_tally(&tallies[i]);
        all.count += tallies[i].count;
        all.bad += tallies[i].bad;
        assert_true(percent_bad(&tallies[i]) < 1);
    }
    print_tally(&all);
    assert_true(all.count > 1000);
}

// ------------------------------------------------------------------------------ planted quotes

enum lie { OTHER_FIGURE, OTHER_WORD, NEGATED, AFFIRMED, WORD_GONE, LIES };

static const char *const lie_names[LIES] = {"another figure", "another word", "a negation put in",
                                            "a negation taken out", "a word left out"};

static bool is_word_at(const char *text, const char *at, const char *word)
{
    size_t len = strlen(word);
    return strncmp(at, word, len) == 0 && (at == text || at[-1] == ' ') &&
           (at[len] == ' ' || at[len] == '\0');
}

// The first place of the word; NULL: it is not in the text.
static const char *word_in(const char *text, const char *word)
{
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        if (is_word_at(text, at, word))
            return at;
    return NULL;
}

static void splice(struct buf *out, const char *text, const char *at, size_t drop, const char *put)
{
    buf_clear(out);
    buf_add(out, text, (size_t)(at - text));
    buf_add_str(out, put);
    buf_add_str(out, at + drop);
}

static bool swap_figure(struct buf *out, const char *text)
{
    size_t at = strcspn(text, "0123456789");
    if (!text[at])
        return false;
    char figure[2] = {text[at] == '9' ? '8' : (char)(text[at] + 1), '\0'};
    splice(out, text, text + at, 1, figure);
    return true;
}

static bool negate(struct buf *out, const char *text)
{
    static const char *const verbs[] = {"shall", "will", "may", "is", "are", "has", "must"};
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        const char *at = word_in(text, verbs[i]);
        if (!at)
            continue;
        splice(out, text, at + strlen(verbs[i]), 0, " not");
        return true;
    }
    return false;
}

static bool affirm(struct buf *out, const char *text)
{
    const char *at = word_in(text, "not");
    if (!at || at[3] != ' ')
        return false;
    splice(out, text, at, 4, "");
    return true;
}

// The longest word, replaced by another or left out.
static bool change_word(struct buf *out, const char *text, const char *put)
{
    const char *best = NULL;
    size_t best_len = 3;
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, " ");
        if (len > best_len && is_letter(*at)) {
            best = at;
            best_len = len;
        }
        at += len + (at[len] == ' ');
    }
    if (!best || best == text || !best[best_len])
        return false;
    splice(out, text, best, best_len + (*put ? 0 : 1), put);
    return true;
}

static bool make_lie(struct buf *out, const char *text, enum lie lie)
{
    switch (lie) {
    case OTHER_FIGURE:
        return swap_figure(out, text);
    case OTHER_WORD:
        return change_word(out, text, "nonetheless");
    case NEGATED:
        return negate(out, text);
    case AFFIRMED:
        return affirm(out, text);
    case WORD_GONE:
        return change_word(out, text, "");
    case LIES:
        break;
    }
    return false;
}

// Whether the document says it, but for a full stop at its end.
static bool is_in(const struct buf *text, const struct buf *quote)
{
    size_t len = quote->len;
    while (len && strchr(".,;:", quote->data[len - 1]))
        len--;
    return memmem(buf_str(text), text->len, buf_str(quote), len) != NULL;
}

static void lies_of(const char *name, const struct buf *text, const struct quotes *quotes,
                    struct tally tallies[LIES])
{
    struct buf noisy OWN_BUF, quote OWN_BUF, lie OWN_BUF, plain OWN_BUF;
    buf_init(&noisy, 0);
    buf_init(&quote, 0);
    buf_init(&lie, 0);
    buf_init(&plain, 0);
    add_noise(&noisy, text, ALL_NOISE);
    tidy(&plain, buf_str(text));
    struct ground *sources[2] = {ground_new(text->data, text->len),
                                 ground_new(noisy.data, noisy.len)};
    for (size_t i = 0; i < quotes->count; i++)
        for (int kind = 0; kind < LIES; kind++) {
            tidy(&quote, quotes->text[i]);
            if (!make_lie(&lie, buf_str(&quote), (enum lie)kind) || is_in(&plain, &lie))
                continue;
            for (int k = 0; k < 2; k++)
                count(&tallies[kind], is_found(sources[k], buf_str(&lie)), name, buf_str(&lie));
        }
    ground_free(sources[0]);
    ground_free(sources[1]);
}

static void planted_quotes(void **state)
{
    struct gold_world *world = world_of(state);
    struct tally tallies[LIES] = {{.count = 0}}, all = {.what = "planted quotes that pass"};
    for (int i = 0; i < LIES; i++)
        tallies[i].what = lie_names[i];
    const char *name;
    json_t *gold;
    json_object_foreach(world->gold, name, gold)
    {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        struct quotes quotes;
        collect_quotes(&quotes, gold);
        if (quotes.count && read_document(world, name, &text))
            lies_of(name, &text, &quotes, tallies);
    }
    for (int i = 0; i < LIES; i++) {
        print_tally(&tallies[i]);
        all.count += tallies[i].count;
        all.bad += tallies[i].bad;
    }
    print_tally(&all);
    assert_true(all.count > 500);
    assert_int_equal(all.bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_quotes),
                                       cmocka_unit_test(planted_quotes)};
    return cmocka_run_group_tests(tests, world_open, world_close);
}
