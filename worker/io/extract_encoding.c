// SPDX-License-Identifier: Apache-2.0
// Which encoding, and its decoding by iconv.
#include "io/extract_encoding.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <uchardet/uchardet.h>
#include <utf8proc.h>

#include "core/text.h"
#include "core/visible.h"

#define REPLACEMENT    "\xef\xbf\xbd"
#define FEW_BYTES      12    // fewer bytes beyond ASCII than this are no ground for a guess
#define DETECTOR_BYTES 65536 // as much as libuchardet is shown

// What is said, and what it means on the web and in mails: the larger sets of the same bytes.
static const char *const meant[][2] = {
    {"iso-8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"iso8859-1", "WINDOWS-1252"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"iso-8859-11", "CP874"},
    {"tis-620", "CP874"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"gb_2312-80", "GB18030"},
    {"x-gbk", "GB18030"},
    {"cp936", "GB18030"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"x-sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"euc-kr", "CP949"},
    {"uhc", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"big5", "BIG5-HKSCS"},
    {"utf8", "UTF-8"},
    {"macintosh", "MACINTOSH"},
    {"x-mac-roman", "MACINTOSH"},
    {"mac-cyrillic", "MAC-CYRILLIC"},
    {"x-mac-cyrillic", "MAC-CYRILLIC"},
};

// Those that an error names, when a text can be read as one of them.
static const char *const candidates[] = {
    "WINDOWS-1252", "WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1253", "GB18030",
    "BIG5-HKSCS",   "CP932",        "EUC-JP",       "CP949",
};

static const char *meaning_of(const char *charset)
{
    for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++)
        if (strcasecmp(meant[i][0], charset) == 0)
            return meant[i][1];
    return charset;
}

// ------------------------------------------------------------------------------- iconv

// What iconv made of the bytes.
struct conversion {
    bool known; // iconv has such a charset
    bool full;  // the buffer's cap was reached
    size_t bad; // sequences that stand for nothing, each now U+FFFD
};

// One run of iconv into the buffer; its errno, 0 at the end of the bytes.
static int convert_run(iconv_t iconv_handle, char **from, size_t *left, struct buf *out)
{
    char piece[16384];
    char *to = piece;
    size_t room = sizeof(piece);
    size_t result = iconv(iconv_handle, from, left, &to, &room);
    int error = result == (size_t)-1 ? errno : 0;
    buf_add(out, piece, sizeof(piece) - room);
    return error;
}

// `step` bytes are passed over at a bad place: the size of the charset's unit.
static struct conversion convert(struct buf *out, const char *charset, const char *bytes,
                                 size_t len, size_t step)
{
    struct conversion result = {0};
    if (strspn(charset, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+-") !=
        strlen(charset))
        return result; // "//TRANSLIT" and the like
    iconv_t handle = iconv_open("UTF-8", charset);
    if (handle == (iconv_t)-1) // NOLINT(performance-no-int-to-ptr): iconv's own word for "none"
        return result;
    result.known = true;
    char *from = (char *)(uintptr_t)bytes; // iconv reads it, whatever its prototype says
    while (len > 0 && !out->overflow) {
        int error = convert_run(handle, &from, &len, out);
        if (error != EILSEQ && error != EINVAL)
            continue; // the end, or the piece is full
        size_t skip = error == EINVAL || step > len ? len : step;
        result.bad++;
        buf_add_str(out, REPLACEMENT);
        from += skip;
        len -= skip;
        iconv(handle, NULL, NULL, NULL, NULL);
    }
    result.full = out->overflow;
    iconv_close(handle);
    return result;
}

// ------------------------------------------------------------------------------- sense

// Letters of a text, by where they stand.
struct letters {
    size_t ascii, latin, other, cjk;
    size_t mixed;     // Greek, Cyrillic, … beside an ASCII letter
    size_t cjk_mixed; // ideographs beside an ASCII letter
    size_t jumps;     // small to capital inside a word, beyond ASCII
    size_t impossible;
};

enum letter {
    LETTER_NONE,
    LETTER_ASCII,
    LETTER_LATIN,
    LETTER_OTHER,
    LETTER_CJK,
    LETTER_IMPOSSIBLE
};

static enum letter letter_of(uint32_t c)
{
    if (c < 0x80)
        return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? LETTER_ASCII : LETTER_NONE;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    if (c == 0xfffd || (c < 0xa0 && c != 0x85) || category == UTF8PROC_CATEGORY_CN ||
        category == UTF8PROC_CATEGORY_CO)
        return LETTER_IMPOSSIBLE;
    if (category != UTF8PROC_CATEGORY_LU && category != UTF8PROC_CATEGORY_LL &&
        category != UTF8PROC_CATEGORY_LO)
        return LETTER_NONE;
    if (c < 0x250 || (c >= 0x1e00 && c < 0x1f00))
        return LETTER_LATIN;
    return c >= 0x2e80 ? LETTER_CJK : LETTER_OTHER;
}

static bool is_jump(uint32_t before, uint32_t c)
{
    return before >= 0x80 && c >= 0x80 &&
           utf8proc_category((utf8proc_int32_t)before) == UTF8PROC_CATEGORY_LL &&
           utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_LU;
}

static void count_pair(struct letters *letters, enum letter a, enum letter b)
{
    letters->mixed +=
        (a == LETTER_ASCII && b == LETTER_OTHER) || (a == LETTER_OTHER && b == LETTER_ASCII);
    letters->cjk_mixed +=
        (a == LETTER_ASCII && b == LETTER_CJK) || (a == LETTER_CJK && b == LETTER_ASCII);
}

static struct letters count_letters(const char *text, size_t len)
{
    struct letters letters = {0};
    enum letter last = LETTER_NONE;
    uint32_t before = 0;
    size_t bytes;
    for (size_t at = 0; at < len; at += bytes) {
        uint32_t c = visible_decode(text + at, len - at, &bytes);
        enum letter now = letter_of(c);
        letters.ascii += now == LETTER_ASCII;
        letters.latin += now == LETTER_LATIN;
        letters.other += now == LETTER_OTHER;
        letters.cjk += now == LETTER_CJK;
        letters.impossible += now == LETTER_IMPOSSIBLE;
        letters.jumps += is_jump(before, c);
        count_pair(&letters, last, now);
        last = now;
        before = c;
    }
    return letters;
}

// Would a person have written this? Words of two scripts, capitals within words, and more accents
// than plain letters are what a wrong encoding leaves behind.
static bool reads_like_text(const char *text, size_t len)
{
    struct letters letters = count_letters(text, len);
    size_t beyond = letters.latin + letters.other;
    return letters.impossible == 0 && letters.mixed * 10 <= letters.other &&
           letters.cjk_mixed * 3 <= letters.cjk && letters.jumps * 20 <= beyond &&
           letters.latin * 2 <= letters.ascii + letters.other + letters.cjk;
}

// Appends the text if the charset fits it without a single bad byte and the result makes sense.
static bool try_charset(struct buf *out, const char *charset, const char *bytes, size_t len)
{
    struct buf text OWN_BUF;
    buf_init(&text, out->cap);
    struct conversion done = convert(&text, charset, bytes, len, 1);
    return done.known && !done.full && done.bad == 0 && reads_like_text(buf_str(&text), text.len) &&
           buf_add(out, buf_str(&text), text.len);
}

// ------------------------------------------------------------------------------- counts

struct byte_counts {
    size_t high; // bytes beyond ASCII
    size_t same; // of those, the ones that every Windows code page reads the same
    size_t good; // UTF-8 sequences of several bytes
    size_t bad;  // bytes that begin no valid sequence
    size_t zero_even, zero_odd;
    bool escape; // ESC: perhaps ISO-2022
};

// Quotation marks, dashes, dots, and what Latin-1 has of signs, where 1250 to 1258 agree.
static bool same_everywhere(unsigned char c)
{
    static const char bytes[] = "\x82\x84\x85\x86\x87\x89\x8b\x91\x92\x93\x94\x95\x96\x97\x99\x9b"
                                "\xa0\xa7\xa9\xab\xac\xae\xb0\xb1\xb5\xb6\xb7\xbb";
    return memchr(bytes, c, sizeof(bytes) - 1) != NULL;
}

static struct byte_counts count_bytes(const char *bytes, size_t len)
{
    struct byte_counts counts = {0};
    size_t step;
    for (size_t at = 0; at < len; at += step) {
        unsigned char c = (unsigned char)bytes[at];
        step = 1;
        counts.zero_even += c == 0 && at % 2 == 0;
        counts.zero_odd += c == 0 && at % 2 == 1;
        counts.escape |= c == 0x1b;
        if (c < 0x80)
            continue;
        visible_decode(bytes + at, len - at, &step);
        counts.good += step > 1;
        counts.bad += step == 1;
        for (size_t i = at; i < at + step; i++)
            counts.same += same_everywhere((unsigned char)bytes[i]);
        counts.high += step;
    }
    return counts;
}

// ------------------------------------------------------------------------------- the ways

struct decoding {
    struct buf *out;
    const char *bytes;
    size_t len;
    const struct encoding_hints *hints;
    struct byte_counts counts;
    struct encoding_result *result;
    struct failure *failure;
};

static bool refuse(struct decoding *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool refuse(struct decoding *d, const char *format, ...)
{
    char sentence[FAILURE_DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    failure_set(d->failure, ERR_UNREADABLE, "%s", sentence);
    snprintf(d->failure->suggestion, sizeof(d->failure->suggestion), "%s",
             "Say the encoding in the media type, as in text/plain; charset=windows-1252, or turn "
             "the file into UTF-8 before it is sent: iconv -f WINDOWS-1252 -t UTF-8 FILE.");
    return false;
}

static bool too_much(struct decoding *d)
{
    failure_set(d->failure, ERR_EXTRACTOR_LIMIT,
                "The document has more than %zu bytes of text (documents.max_text_bytes)",
                d->out->cap);
    return false;
}

static bool finish(struct decoding *d, const char *name, bool guessed, const char *text, size_t len)
{
    snprintf(d->result->name, sizeof(d->result->name), "%s", name);
    d->result->guessed = guessed;
    return text_clean(d->out, text, len, &d->result->flags) || too_much(d);
}

static bool finish_utf8(struct decoding *d)
{
    return finish(d, "UTF-8", false, d->bytes, d->len);
}

// What was told, or marked: a few bad places are mended, many mean that it was said wrongly.
static bool decode_as(struct decoding *d, const char *charset, size_t mark, size_t unit)
{
    struct buf text OWN_BUF;
    buf_init(&text, d->out->cap);
    struct conversion done = convert(&text, charset, d->bytes + mark, d->len - mark, unit);
    if (!done.known)
        return refuse(d, "The charset `%.40s`, which was told for the document, is unknown here",
                      charset);
    if (done.full)
        return too_much(d);
    if (done.bad > 1 + d->len / unit / 1000)
        return refuse(d, "The document is said to be %.40s, and has %zu places that are not",
                      charset, done.bad);
    bool fine = finish(d, charset, false, buf_str(&text), text.len);
    d->result->flags |= done.bad ? TEXT_HAD_INVALID : 0;
    return fine;
}

static bool is_utf8_name(const char *charset)
{
    return strcasecmp(charset, "UTF-8") == 0;
}

static bool decode_told(struct decoding *d)
{
    const char *charset = meaning_of(d->hints->charset);
    if (!is_utf8_name(charset))
        return decode_as(d, charset, 0, strncasecmp(charset, "UTF-16", 6) == 0 ? 2 : 1);
    if (d->counts.bad > d->counts.good)
        return refuse(d, "The document is said to be UTF-8, and has %zu bytes that are not",
                      d->counts.bad);
    return finish_utf8(d);
}

static const struct mark {
    const char *bytes;
    size_t len;
    const char *charset;
    size_t unit;
} marks[] = {
    {"\xff\xfe\0\0", 4, "UTF-32LE", 4},
    {"\0\0\xfe\xff", 4, "UTF-32BE", 4},
    {"\xff\xfe", 2, "UTF-16LE", 2},
    {"\xfe\xff", 2, "UTF-16BE", 2},
};

static const struct mark *find_mark(const char *bytes, size_t len)
{
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (len >= marks[i].len && memcmp(bytes, marks[i].bytes, marks[i].len) == 0)
            return &marks[i];
    return NULL;
}

// Every second byte is zero: UTF-16 of a Western text, without a mark. NULL: it is not so.
static const char *unmarked_utf16(const struct decoding *d)
{
    size_t half = d->len / 2, even = d->counts.zero_even, odd = d->counts.zero_odd;
    if (d->len % 2 != 0 || half == 0)
        return NULL;
    if (odd > half / 2 && even <= half / 50)
        return "UTF-16LE";
    return even > half / 2 && odd <= half / 50 ? "UTF-16BE" : NULL;
}

// The detector's word, as iconv knows it; "" where it has none.
static void detect(const struct decoding *d, char *out, size_t out_bytes)
{
    out[0] = '\0';
    uchardet_t detector = uchardet_new();
    if (!detector)
        return;
    size_t len = d->len < DETECTOR_BYTES ? d->len : DETECTOR_BYTES;
    if (uchardet_handle_data(detector, d->bytes, len) == 0) {
        uchardet_data_end(detector);
        snprintf(out, out_bytes, "%s", meaning_of(uchardet_get_charset(detector)));
    }
    uchardet_delete(detector);
}

static bool accept_guess(struct decoding *d, const char *charset)
{
    struct buf text OWN_BUF;
    buf_init(&text, d->out->cap);
    return try_charset(&text, charset, d->bytes, d->len) &&
           finish(d, charset, true, buf_str(&text), text.len);
}

static bool refuse_unsure(struct decoding *d)
{
    struct buf names OWN_BUF;
    buf_init(&names, 300);
    size_t count = 0;
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, d->out->cap);
        if (try_charset(&text, candidates[i], d->bytes, d->len))
            buf_printf(&names, "%s%s", count++ ? ", " : "", candidates[i]);
    }
    if (count == 0)
        return refuse(d, "The document is not UTF-8, and no other encoding fits all of its bytes; "
                         "perhaps it is no text at all");
    return refuse(d,
                  "The document is not UTF-8, and its encoding cannot be told for sure; it "
                  "could be %s",
                  buf_str(&names));
}

static bool decode_guess(struct decoding *d)
{
    char guess[48];
    // A lone quotation mark or section sign in a Western text.
    if (d->counts.good == 0 && d->counts.same == d->counts.high &&
        d->counts.high <= d->len / 20 + 1 && accept_guess(d, "WINDOWS-1252"))
        return true;
    if (d->counts.high >= FEW_BYTES || d->counts.escape) {
        detect(d, guess, sizeof(guess));
        bool useful = guess[0] && !is_utf8_name(guess) && strcasecmp(guess, "ASCII") != 0;
        if (useful && accept_guess(d, guess))
            return true;
    }
    return d->failure->code != ERR_NONE ? false : refuse_unsure(d);
}

// ISO-2022 is ASCII to every other test.
static bool decode_escapes(struct decoding *d)
{
    char guess[48];
    detect(d, guess, sizeof(guess));
    return strncasecmp(guess, "ISO-2022", 8) == 0 && accept_guess(d, guess);
}

static bool decode_untold(struct decoding *d)
{
    const struct byte_counts *counts = &d->counts;
    const char *utf16 = unmarked_utf16(d);
    if (utf16)
        return decode_as(d, utf16, 0, 2);
    if (counts->zero_even + counts->zero_odd > d->len / 4)
        return refuse(d, "The document is binary data and no text");
    if (counts->escape && counts->bad == 0 && decode_escapes(d))
        return true;
    if (counts->bad == 0 || counts->bad <= counts->good)
        return finish_utf8(d);
    if (d->hints->declared && !is_utf8_name(meaning_of(d->hints->declared)) &&
        accept_guess(d, meaning_of(d->hints->declared))) {
        d->result->guessed = false;
        return true;
    }
    return decode_guess(d);
}

bool encoding_decode(struct buf *out, const char *bytes, size_t len,
                     const struct encoding_hints *hints, struct encoding_result *out_result,
                     struct failure *failure)
{
    *out_result = (struct encoding_result){0};
    *failure = (struct failure){.retry_after_ms = -1};
    struct decoding d = {out, bytes, len, hints, count_bytes(bytes, len), out_result, failure};
    const struct mark *mark = find_mark(bytes, len);
    if (hints->charset && hints->charset[0] &&
        !(mark && strncasecmp(hints->charset, "utf", 3) == 0))
        return decode_told(&d);
    if (mark)
        return decode_as(&d, mark->charset, mark->len, mark->unit);
    return decode_untold(&d);
}
