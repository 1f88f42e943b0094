// SPDX-License-Identifier: Apache-2.0
// Names in claims, and whether the source has them.
//
// A claim's name is a list of hashes of its words' stems. While the source goes by word for word,
// each name remembers how long a piece of it, ending at each of its words, has just been seen in a
// row; so the longest end of the name that the source contains is known without a second look. A
// Chinese or Japanese name has no spaces around it: there the characters before (or behind) the
// legal form are compared, until one of the two texts has a mark or a particle.
#include "core/facts_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/visible.h"

#define MAX_WORDS 12
#define MAX_NAMES 500
#define BUCKETS   256
#define HAN_CHARS 32

enum name_kind { NAME_FORMED, NAME_PLAIN, NAME_HAN_BEFORE, NAME_HAN_BEHIND };

struct name_word {
    uint64_t hash;
    bool generic, small; // small: "of", "de"
    bool seen;
    size_t run;   // words of the name that ended here in a row, when it was last seen
    size_t stamp; // number of the source's word at which it was seen
};

struct name {
    enum name_kind kind;
    bool begins; // stands at the beginning of a sentence
    bool found;  // Han
    struct name_word words[MAX_WORDS];
    size_t count;
    size_t best;             // longest end of the name seen
    uint32_t han[HAN_CHARS]; // from the legal form away
    size_t han_count;
};

struct wanted {
    uint64_t hash;
    int32_t name, word;
    int32_t next; // -1: none
};

struct fact_names {
    struct name *names;
    size_t count;
    struct wanted *wanted;
    size_t wanted_count;
    int32_t buckets[BUCKETS];
    size_t word_no;
    bool has_han;
};

struct fact_names *fact_names_new(void)
{
    struct fact_names *names = own_alloc(sizeof(*names));
    memset(names->buckets, 0xff, sizeof(names->buckets));
    names->word_no = 1;
    return names;
}

void fact_names_free(struct fact_names *names)
{
    if (!names)
        return;
    free(names->names);
    free(names->wanted);
    free(names);
}

static struct name *add_name(struct fact_names *names)
{
    if (names->count % 16 == 0)
        names->names = own_grow(names->names, names->count + 16, sizeof(struct name));
    return &names->names[names->count++];
}

static void want_words(struct fact_names *names, size_t name)
{
    const struct name *wanted = &names->names[name];
    names->wanted = own_grow(names->wanted, names->wanted_count + MAX_WORDS, sizeof(struct wanted));
    for (size_t i = 0; i < wanted->count; i++) {
        int32_t *bucket = &names->buckets[wanted->words[i].hash % BUCKETS];
        names->wanted[names->wanted_count] =
            (struct wanted){wanted->words[i].hash, (int32_t)name, (int32_t)i, *bucket};
        *bucket = (int32_t)names->wanted_count++;
    }
}

// ------------------------------------------------------------------------------------- claims

// "and", "&": left out of names on both sides.
static bool is_and(const struct token *token)
{
    static const char *const words[] = {"and", "und", "et", "y", "&"};
    if (!fact_word_as(token, MEANS_RANGE))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(token->word->text, words[i]) == 0)
            return true;
    return false;
}

// Small words inside a name.
static bool is_small(const struct fact_scan *scan, const struct token *token)
{
    static const char *const words[] = {"of", "de", "del", "des", "du",  "der", "von", "van", "la",
                                        "le", "di", "da",  "for", "the", "am",  "an",  "zu"};
    size_t len = token->end - token->at;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && token->kind == TOKEN_WORD; i++)
        if (strlen(words[i]) == len && memcmp(words[i], scan->text + token->at, len) == 0)
            return true;
    return false;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

// A legal form, written as one: "SA", "Inc.", not "sa".
static bool is_form(const struct fact_scan *scan, const struct token *token)
{
    const struct fact_word *form = fact_word_as(token, MEANS_FORM);
    if (!form)
        return false;
    const char *text = scan->text + token->at;
    bool second = token->end - token->at > 1 && (is_upper(text[1]) || text[1] == '.');
    if (form->value)
        return token->capital && second;
    return token->capital || second || strcmp(form->text, "gmbh") == 0;
}

static bool is_generic(const struct token *token)
{
    return fact_word_as(token, MEANS_GENERIC) || fact_word_as(token, MEANS_STOP) ||
           fact_word_as(token, MEANS_MONTH) || fact_word_as(token, MEANS_LABEL) ||
           fact_word_as(token, MEANS_FORM) || fact_word_as(token, MEANS_UNIT) ||
           fact_word_as(token, MEANS_CURRENCY) || fact_word_as(token, MEANS_NUMBER) ||
           fact_word_as(token, MEANS_ONE) || fact_word_as(token, MEANS_OF);
}

static bool is_name_word(const struct token *token)
{
    return token->kind == TOKEN_WORD && token->capital;
}

// What stands between two words of a name: its tokens, 0 where the name ends here. `at` is behind
// a word.
static int between(const struct fact_scan *scan, int at, bool *out_inner)
{
    const struct token *token = fact_token(scan, at), *next = fact_token(scan, at + 1);
    const struct token *before = fact_token(scan, at - 1);
    *out_inner = false;
    if (fact_token_is(token, '-') && token->glued && next->glued)
        return is_name_word(next) ? 1 : 0;
    if (fact_token_is(token, '.') && token->glued && next->kind == TOKEN_WORD && next->glued) {
        *out_inner = true; // "Tickets.com"
        return 1;
    }
    if (fact_token_is(token, '.') && token->glued && before->end - before->at <= 2)
        return is_name_word(next) ? 1 : 0; // "J. Smith"
    if (is_and(token) || is_small(scan, token)) {
        if (is_name_word(next))
            return 1;
        return is_small(scan, next) && is_name_word(fact_token(scan, at + 2)) ? 2 : 0;
    }
    return 0;
}

static void add_word(const struct fact_scan *scan, struct name *name, const struct token *token)
{
    if (name->count == MAX_WORDS || token->kind != TOKEN_WORD || is_and(token))
        return;
    name->words[name->count++] = (struct name_word){
        .hash = token->hash, .generic = is_generic(token), .small = is_small(scan, token)};
}

// Legal forms from `at` on, with their commas and full stops; the tokens.
static int forms_at(const struct fact_scan *scan, int at)
{
    int end = at;
    while (at < FACTS_AHEAD - 2) {
        const struct token *token = fact_token(scan, at);
        bool sign = fact_token_is(token, ',') || is_and(token) ||
                    (fact_token_is(token, '.') && token->glued);
        if (is_form(scan, token))
            end = ++at;
        else if (sign && at - end < 2)
            at++;
        else
            break;
    }
    return end;
}

// Reads the name that begins at the current token; the tokens it takes.
static int read_name(const struct fact_scan *scan, struct name *name)
{
    int at = 0;
    *name = (struct name){.kind = NAME_PLAIN};
    while (at < FACTS_AHEAD - 6) {
        if (fact_is_cut(scan, at + 1))
            return at + 1; // half a word at the text's end
        add_word(scan, name, fact_token(scan, at++));
        int forms = forms_at(scan, at);
        if (forms > at) {
            name->kind = NAME_FORMED;
            return forms;
        }
        if (is_name_word(fact_token(scan, at)))
            continue;
        bool inner;
        int more = between(scan, at, &inner);
        if (!more)
            break;
        for (int i = 0; i < more; i++)
            add_word(scan, name, fact_token(scan, at + i));
        at += more;
    }
    return at;
}

static bool has_own_word(const struct name *name, size_t from)
{
    for (size_t i = from; i < name->count; i++)
        if (!name->words[i].generic && !name->words[i].small)
            return true;
    return false;
}

static bool begins_sentence(const struct fact_scan *scan)
{
    const struct token *before = fact_token(scan, -1);
    return before->kind == TOKEN_END || fact_token(scan, 0)->line ||
           (before->kind == TOKEN_SIGN && before->sign != ',' && before->sign != '(');
}

static int claim_name(struct fact_names *names, const struct fact_scan *scan, int *out_name)
{
    const struct token *first = fact_token(scan, 0);
    if (fact_word_as(first, MEANS_STOP) || fact_word_as(first, MEANS_ONE) ||
        fact_word_as(first, MEANS_OF) || is_form(scan, first))
        return 0;
    struct name name;
    int tokens = read_name(scan, &name);
    name.begins = begins_sentence(scan);
    bool asked = has_own_word(&name, 0) && (name.kind == NAME_FORMED || name.count > 1);
    if (asked && names->count < MAX_NAMES) {
        *add_name(names) = name;
        *out_name = (int)names->count - 1;
        want_words(names, names->count - 1);
    }
    return tokens;
}

// ------------------------------------------------------------------------------- Han and Kana

static bool in_name(uint32_t c)
{
    return fact_is_han(c) || (c | 0x20) - 'a' < 26 || c - '0' < 10 || c == 0x30FB || c == '&';
}

static bool is_layout(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == 0x3000 ||
           c == 0xA0 || c == '(' || c == ')' || c == 0xFF08 || c == 0xFF09;
}

static bool is_particle(uint32_t c)
{
    static const uint32_t particles[] = {0x7531, 0x4E0E, 0x548C, 0x53CA, 0x5411, 0x662F, 0x4E3A,
                                         0x5373, 0x5BF9, 0x7ED9, 0x5C06, 0x88AB, 0x7684, 0x65B9,
                                         0x306F, 0x304C, 0x3092, 0x306B, 0x306E, 0x3068, 0x3067,
                                         0x3082, 0x3078, 0x3084, 0x8207};
    for (size_t i = 0; i < sizeof(particles) / sizeof(particles[0]); i++)
        if (particles[i] == c)
            return true;
    return false;
}

static size_t one_back(const char *text, size_t at)
{
    do
        at--;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

// The characters before byte `end`, backwards; *out_from is where they begin.
static size_t han_before(const struct fact_scan *scan, size_t end, uint32_t *out, size_t *out_from)
{
    size_t count = 0, at = end;
    *out_from = end;
    while (at > 0 && count < HAN_CHARS && end - at < 4 * HAN_CHARS) {
        size_t bytes, before = one_back(scan->text, at);
        uint32_t c = visible_decode(scan->text + before, scan->len - before, &bytes);
        if (!in_name(c) && !is_layout(c))
            break;
        at = before;
        if (in_name(c)) {
            out[count++] = c;
            *out_from = at;
        }
    }
    return count;
}

static size_t han_behind(const struct fact_scan *scan, size_t begin, uint32_t *out)
{
    size_t count = 0, at = begin, bytes;
    while (at < scan->len && count < HAN_CHARS && at - begin < 4 * HAN_CHARS) {
        uint32_t c = visible_decode(scan->text + at, scan->len - at, &bytes);
        if (!in_name(c) || is_layout(c))
            break;
        out[count++] = c;
        at += bytes;
    }
    return count;
}

// A Japanese form may stand before its name: it does where nothing of a name stands before it.
static enum name_kind han_kind(const uint32_t *before, size_t count)
{
    return count == 0 || is_particle(before[0]) ? NAME_HAN_BEHIND : NAME_HAN_BEFORE;
}

static void read_han(const struct fact_scan *scan, struct name *out, size_t *out_from)
{
    const struct token *form = fact_token(scan, 0);
    *out = (struct name){.kind = NAME_HAN_BEFORE};
    out->han_count = han_before(scan, form->at, out->han, out_from);
    out->kind = han_kind(out->han, out->han_count);
    if (out->kind == NAME_HAN_BEHIND) {
        *out_from = form->at;
        out->han_count = han_behind(scan, form->end, out->han);
    }
}

static int claim_han(struct fact_names *names, const struct fact_scan *scan, int *out_name,
                     size_t *out_from)
{
    struct name name;
    read_han(scan, &name, out_from);
    if (name.han_count >= 2 && names->count < MAX_NAMES) {
        *add_name(names) = name;
        *out_name = (int)names->count - 1;
        names->has_han = true;
    }
    return 1;
}

static bool same_han(const struct name *claim, const struct name *source)
{
    size_t same = 0;
    while (same < claim->han_count && same < source->han_count &&
           claim->han[same] == source->han[same])
        same++;
    if (same < 2)
        return false;
    return same == claim->han_count || same == source->han_count || is_particle(source->han[same]);
}

static void seen_han(struct fact_names *names, const struct fact_scan *scan)
{
    struct name source;
    size_t from;
    read_han(scan, &source, &from);
    for (size_t i = 0; i < names->count; i++)
        if (names->names[i].kind == source.kind && same_han(&names->names[i], &source))
            names->names[i].found = true;
}

// ------------------------------------------------------------------------------------- public

int fact_names_claim(struct fact_names *names, const struct fact_scan *scan, int *out_name,
                     size_t *out_from)
{
    const struct token *token = fact_token(scan, 0);
    *out_name = -1;
    *out_from = token->at;
    if (fact_word_as(token, MEANS_HAN_FORM))
        return claim_han(names, scan, out_name, out_from);
    return is_name_word(token) ? claim_name(names, scan, out_name) : 0;
}

void fact_names_seen(struct fact_names *names, const struct fact_scan *scan)
{
    const struct token *token = fact_token(scan, 0);
    if (names->has_han && fact_word_as(token, MEANS_HAN_FORM))
        seen_han(names, scan);
    if (names->count == 0 || token->kind != TOKEN_WORD || is_and(token))
        return;
    size_t no = names->word_no++;
    for (int32_t at = names->buckets[token->hash % BUCKETS]; at >= 0; at = names->wanted[at].next) {
        const struct wanted *wanted = &names->wanted[at];
        if (wanted->hash != token->hash)
            continue;
        struct name *name = &names->names[wanted->name];
        struct name_word *word = &name->words[wanted->word];
        bool follows = wanted->word > 0 && word[-1].stamp == no - 1;
        word->run = follows ? word[-1].run + 1 : 1;
        word->stamp = no;
        word->seen = true;
        bool last = (size_t)wanted->word + 1 == name->count;
        if (last && word->run > name->best)
            name->best = word->run;
    }
}

// The words before the end that was seen: roles, titles, "Director of".
static bool formed_supported(const struct name *name)
{
    size_t from = name->count - name->best;
    if (name->best == 0 || !has_own_word(name, from))
        return false;
    size_t needed = 0; // the first word that no rule lets go
    for (size_t i = 0; i < name->count; i++)
        if (name->words[i].small && i > 0)
            needed = i + 1;
    bool generic = true, seen = true;
    for (size_t i = 0; i < from; i++) {
        bool plain = name->words[i].generic || name->words[i].small;
        generic &= plain;
        seen &= plain || name->words[i].seen;
    }
    return generic || (seen && from <= needed);
}

static bool plain_supported(const struct name *name)
{
    size_t asked = 0, missing = 0;
    for (size_t i = 0; i < name->count; i++) {
        const struct name_word *word = &name->words[i];
        bool counts = !word->generic && !word->small && !(i == 0 && name->begins && !word->seen);
        asked += counts;
        missing += counts && !word->seen;
    }
    return asked < 2 || 2 * missing < asked;
}

static int main_language(const struct fact_language *language)
{
    int best = 0;
    for (int i = 1; i < LANGUAGE_COUNT; i++)
        if (language->stops[i] > language->stops[best])
            best = i;
    return language->stops[best] ? best : -1;
}

bool fact_names_supported(const struct fact_names *names, int name,
                          const struct fact_language *claims, const struct fact_language *source)
{
    const struct name *asked = &names->names[name];
    bool han = asked->kind == NAME_HAN_BEFORE || asked->kind == NAME_HAN_BEHIND;
    bool source_han = source->han > source->letters;
    if (han)
        return asked->found || source->han == 0;
    if (source_han)
        return true;
    if (asked->kind == NAME_FORMED)
        return formed_supported(asked);
    int spoken = main_language(claims), written = main_language(source);
    return (spoken >= 0 && spoken != written) || plain_supported(asked);
}

void fact_language_seen(struct fact_language *language, const struct token *token)
{
    language->han += token->kind == TOKEN_HAN;
    language->letters += token->kind == TOKEN_WORD;
    if (token->kind == TOKEN_WORD && token->word) {
        const struct fact_word *stop = fact_word_as(token, MEANS_STOP);
        if (stop)
            language->stops[stop->value]++;
    }
}
