// SPDX-License-Identifier: Apache-2.0
// The child's side, called without a child: what documents are, their encodings, and the text of
// web pages and Word documents.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "edge_archive.h"
#include "io/extract.h"
#include "io/extract_frame.h"
#include "io/extract_kind.h"
#include "io/extract_name.h"
#include "io/extract_url.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct extract_ask ask_of(char *media_type, char *name)
{
    return (struct extract_ask){.media_type = media_type,
                                .name = name,
                                .max_bytes = 1000000,
                                .max_text_bytes = 1000000,
                                .memory_bytes = 1000000000,
                                .timeout_ms = 10000};
}

// The text, or "code: detail" of the failure; the caller frees. Warnings follow, each after " | ".
static char *read_as(char *media_type, char *name, const char *bytes, size_t len)
{
    struct extract_ask ask = ask_of(media_type, name);
    struct extract_answer answer;
    struct buf out;
    buf_init(&out, 0);
    extract_answer_init(&answer, (size_t)ask.max_text_bytes);
    extract_document(&ask, bytes, len, &answer);
    if (answer.failure.code != ERR_NONE)
        buf_printf(&out, "%s: %s", err_code_text(answer.failure.code), answer.failure.detail);
    else
        buf_add(&out, buf_str(&answer.text), answer.text.len);
    for (size_t i = 0; i < answer.warning_count; i++)
        buf_printf(&out, " | %s", answer.warnings[i]);
    extract_answer_deinit(&answer);
    return buf_take(&out);
}

static void expect(char *media_type, char *name, const char *bytes, size_t len,
                   const char *expected)
{
    char *got = read_as(media_type, name, bytes, len);
    assert_string_equal(got, expected);
    free(got);
}

static void expect_part(char *media_type, const char *bytes, size_t len, const char *part)
{
    char *got = read_as(media_type, NULL, bytes, len);
    if (!strstr(got, part))
        fail_msg("`%s` is not in `%s`", part, got);
    free(got);
}

// ------------------------------------------------------------------------------- kinds

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *media_type, *name, *bytes, *expected;
    } rows[] = {
        {NULL, NULL, "hello", "text/plain"},
        {NULL, "a.PDF", NULL, "application/pdf"},
        {NULL, "a.pdf", "just text", "application/pdf"},
        {"text/plain", "a.txt", "%PDF-1.7\n...", "application/pdf"},
        {"text/plain", NULL, "the string %PDF-1.7 in a text", "text/plain"},
        {"Text/HTML; charset=utf-8", NULL, "x", "text/html"},
        {"application/octet-stream", "x.docx", "PK\3\4", NULL},
        {NULL, NULL, "  <!DOCTYPE HTML><p>", "text/html"},
        {NULL, NULL, "<html lang=en>", "text/html"},
        {NULL, NULL, "<htmlish>", "text/plain"},
        {"text/x-markdown", "a.html", NULL, "text/markdown"},
        {NULL, "notes.md", NULL, "text/markdown"},
        {NULL, "old.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"},
        {NULL, "sheet.xls", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/vnd.ms-excel"},
        {NULL, "x", "{\\rtf1", "application/rtf"},
        {NULL, "x.zip", "PK\3\4", "application/zip"},
        {NULL, "noext", "PK\3\4", "application/zip"},
        {NULL, "x.xlsx", "PK\3\4",
         "application/vnd.openxmlformats-officedocument.spreadsheetml."
         "sheet"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *bytes = rows[i].bytes;
        const struct extract_type *type =
            extract_type_of(rows[i].media_type, rows[i].name, bytes, bytes ? strlen(bytes) : 0);
        assert_string_equal(type->media_type,
                            rows[i].expected ? rows[i].expected : extract_docx_type);
    }
    char out[16];
    assert_true(extract_parameter("text/plain; format=flowed; Charset=\"GB18030\"", "charset", out,
                                  sizeof(out)));
    assert_string_equal(out, "gb18030");
    assert_false(extract_parameter("text/plain; charset=", "charset", out, sizeof(out)));
    assert_false(extract_parameter("text/plain", "charset", out, sizeof(out)));
    extract_suffix("application/pdf", out, sizeof(out));
    assert_string_equal(out, ".pdf");
}

// A reader's name changes with its command.
static void test_names(void **state)
{
    (void)state;
    char *one[] = {"/usr/bin/antiword", "{in}", NULL}, *two[] = {"antiword", "-w", "{in}", NULL};
    struct config_command commands[] = {
        {"application/msword", one}, {"application/pdf", two}, {NULL, NULL}};
    const struct config_command *found = extract_command_for(commands, "Application/PDF; x=1");
    assert_ptr_equal(found, &commands[1]);
    assert_null(extract_command_for(commands, "text/plain"));
    assert_null(extract_command_for(commands, NULL));
    char *first = extract_reader_name(&commands[0], EXTRACT_TEXT, NULL);
    char *second = extract_reader_name(&commands[1], EXTRACT_TEXT, NULL);
    assert_int_equal(strncmp(first, "antiword-", 9), 0);
    assert_int_equal(strlen(first), 17);
    assert_string_not_equal(first, second);
    free(first);
    free(second);
}

// ------------------------------------------------------------------------------- encodings

static void test_told(void **state)
{
    (void)state;
    static const struct {
        char *media_type;
        const char *bytes, *expected;
    } rows[] = {
        {"text/plain", "plain", "plain"},
        {"text/plain", "a\r\nb\rc\n", "a\nb\nc\n"},
        {"text/plain; charset=utf-8", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"text/plain; charset=iso-8859-1", "\x93x\x94", "\xe2\x80\x9cx\xe2\x80\x9d"},
        {"text/plain; charset=windows-1251", "\xcf\xf0", "\xd0\x9f\xd1\x80"},
        {"text/plain; charset=gb2312", "\xd6\xd0", "\xe4\xb8\xad"},
        {"text/plain; charset=shift_jis", "\x83\x65\x83\x58", "\xe3\x83\x86\xe3\x82\xb9"},
        {"text/plain; charset=klingon", "x",
         "unreadable: The charset `klingon`, which was told for the document, is unknown here"},
        {"text/plain; charset=utf-8//TRANSLIT", "x\xff",
         "unreadable: The charset `utf-8//translit`, which was told for the document, is unknown "
         "here"},
        {"text/plain; charset=utf-8", "\xe4\xf6\xfc",
         "unreadable: The document is said to be UTF-8, and has 3 bytes that are not"},
        {"text/plain; charset=shift_jis", "\xff\xff\xff",
         "unreadable: The document is said to be CP932, and has 3 places that are not"},
        {"text/plain",
         "\xef\xbb\xbf"
         "mark",
         "mark"},
        {"text/plain", "tag\xf3\xa0\x81\x81s",
         "tags | Invisible tag characters (U+E0000 to U+E007F), which can carry orders that no "
         "reader sees, were taken out of the document's text."},
        {"text/plain", "a\x1b[31mb",
         "a[31mb | Control characters were taken out of the document's "
         "text."},
        {"text/plain", "ok \xe2\x80\xae",
         "ok \xe2\x80\xae | The text overrides the direction of writing: a reader may see it in "
         "another order than the model read it."},
        {"text/plain", " \n\t\xc2\xa0\xe2\x80\x8b ",
         "no_text: The document has no text: nothing but white space"},
        {"text/plain", "", "no_text: The document is empty: it has no bytes"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect(rows[i].media_type, NULL, rows[i].bytes, strlen(rows[i].bytes), rows[i].expected);
}

static void test_marks(void **state)
{
    (void)state;
    expect(NULL, NULL, "\xff\xfeH\0i\0\xe4\0", 8, "Hi\xc3\xa4");
    expect(NULL, NULL, "\xfe\xff\0H\0i", 6, "Hi");
    expect(NULL, NULL, "\xff\xfe\0\0H\0\0\0i\0\0\0", 12, "Hi");
    expect(NULL, NULL, "H\0e\0l\0l\0o\0 \0w\0o\0r\0l\0d\0", 22, "Hello world"); // unmarked
    expect(NULL, NULL, "\0H\0e\0l\0l\0o\0 \0w\0o\0r\0l\0d", 22, "Hello world");
    expect("text/plain; charset=utf-16", NULL, "\xff\xfeH\0i\0", 6, "Hi");
    expect(NULL, NULL, "\1\0\0\0\2\0\0\0\3\0\0\0\0\0\0", 15,
           "unreadable: The document is binary data and no text");
    expect(NULL, NULL, "a few\0 words", 12,
           "a few words | NUL bytes were taken out of the document's text.");
    // Cut in the middle of a character.
    expect(
        NULL, NULL, "\xff\xfeH\0i\0\xe4", 7,
        "Hi\xef\xbf\xbd | Bytes that stand for no character were replaced by U+FFFD; the rest of "
        "the text is as it was.");
}

// What nobody told: guessed only where that is safe.
static void test_guessed(void **state)
{
    (void)state;
    static const char western[] =
        "Die Gesellschaft f\xfcr Pr\xfc"
        "fung und \xdc"
        "berwachung schlie\xdft mit dem K\xe4ufer einen Vertrag \xfc"
        "ber die Lieferung von Ger\xe4ten. Die Kosten tr\xe4gt der K\xe4ufer. F\xfcr "
        "Sch\xe4"
        "den haftet die Gesellschaft nur bei grober Fahrl\xe4ssigkeit.";
    static const char russian[] =
        "\xc4\xee\xe3\xee\xe2\xee\xf0 \xe7\xe0\xea\xeb\xfe\xf7\xe5\xed "
        "\xec\xe5\xe6\xe4\xf3 \xf1\xf2\xee\xf0\xee\xed\xe0\xec\xe8 \xed\xe0 "
        "\xf3\xf1\xeb\xee\xe2\xe8\xff\xf5, \xe8\xe7\xeb\xee\xe6\xe5\xed\xed\xfb\xf5 "
        "\xed\xe8\xe6\xe5.";
    expect_part(NULL, western, strlen(western),
                "Pr\xc3\xbc"
                "fung und \xc3\x9c"
                "berwachung schlie\xc3\x9ft");
    expect_part(NULL, western, strlen(western), "it was read as WINDOWS-1252");
    expect_part(NULL, russian, strlen(russian), "\xd0\x94\xd0\xbe\xd0\xb3\xd0\xbe\xd0\xb2");
    // Quotation marks alone are the same in every Windows code page.
    static const char quotes[] = "The \x93"
                                 "Company\x94 shall pay within thirty days\x97no later.";
    expect_part(NULL, quotes, strlen(quotes),
                "The \xe2\x80\x9c"
                "Company\xe2\x80\x9d");
    // A pound sign is not: too little to tell, so the candidates are named.
    static const char pounds[] = "The price is \xa3"
                                 "500, and later \xa3"
                                 "600 for every unit that is delivered.";
    expect_part(NULL, pounds, strlen(pounds), "unreadable: ");
    expect_part(NULL, pounds, strlen(pounds), "WINDOWS-1252");
    expect_part(NULL, pounds, strlen(pounds), "WINDOWS-1250");
    // Valid UTF-8 with broken bytes stays UTF-8, and every good byte is kept.
    expect_part(NULL, "\xc3\xa9\xc3\xa8\xc3\xa0 x\xff y", 11,
                "\xc3\xa9\xc3\xa8\xc3\xa0 x\xef\xbf\xbd y");
    expect_part(NULL, "\x1b$B%F%9%H\x1b(B end of the Japanese text", 38,
                "\xe3\x83\x86\xe3\x82\xb9");
}

// ------------------------------------------------------------------------------- web pages

static void test_html(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"<p>One</p><p>Two</p>", "One\n\nTwo"},
        {"<title>T</title><h1>Head</h1>text<br>next", "Head\n\ntext\nnext"},
        {"<p>a  b\n\tc</p>", "a b c"},
        {"<p>in<b>side</b> <i>out</i>", "inside out"},
        {"<ul><li>a<li><p>b</p></ul>after", "- a\n- b\n\nafter"},
        {"<ol start=3><li>c</li><li>d</li></ol>", "3. c\n4. d"},
        {"<ol type=a><li>x<ol type=i><li>y</ol></li><li value=28>z</ol>", "a. x\ni. y\nab. z"},
        {"<table><tr><th>A</th><th>B</th></tr><tr><td><p>1</p></td><td>2</td></tr></table>",
         "A\tB\n1\t2"},
        {"<table><tr><td></td><td>x</td><td></td></tr></table>", "\tx"},
        {"a<table><tr><td>b</td></tr><tr><td></td><td>c</td></tr></table>d", "a\n\nb\n\tc\n\nd"},
        {"<pre>a\n  b</pre>", "a\n  b"},
        {"x<script>alert(1)</script><style>p{}</style>y", "xy"},
        {"<nav><ul><li>menu</li></ul></nav><main>text</main>", "text"},
        {"<header role=banner>site</header><header>Lease</header>", "Lease"},
        {"<p>&lt;b&gt; &amp; &#8364; &eacute; &copy;</p>", "<b> & \xe2\x82\xac \xc3\xa9 \xc2\xa9"},
        {"<div>a<div>b</div>c</div>", "a\nb\nc"},
        {"<select><option>x</select>text<button>ok</button>", "text"},
        {"<svg><text>draw</text></svg>text", "text"},
        {"<p>shown<span hidden>SECRET</span>",
         "shown | Text that the page hides from its readers was left out."},
        {"<div style='color:red; DISPLAY : none'>SECRET</div>shown",
         "shown | Text that the page hides from its readers was left out."},
        {"<p style='font-size:0.9em'>small</p>", "small"},
        {"<body style='opacity:0'>all", "all"},
        {"<p>&#0;&#x202e;x</p>", NULL},
        {"<a href='http://x'>link</a> text", "link text"},
        {"<p>unclosed <b>bold <p>next", "unclosed bold\n\nnext"},
        {"<html><body><script>only()</script></body></html>",
         "no_text: The document has no text: nothing but white space"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i][1])
            expect("text/html", NULL, rows[i][0], strlen(rows[i][0]), rows[i][1]);
        else
            free(read_as("text/html", NULL, rows[i][0], strlen(rows[i][0])));
}

static void test_html_charsets(void **state)
{
    (void)state;
    static const struct {
        char *media_type;
        const char *bytes, *expected;
    } rows[] = {
        {"text/html", "<meta charset=windows-1251><p>\xcf\xf0\xe8", "\xd0\x9f\xd1\x80\xd0\xb8"},
        {"text/html",
         "<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><p>\xe4\xf6",
         "\xc3\xa4\xc3\xb6"},
        {"text/html; charset=iso-8859-1", "<meta charset=windows-1251><p>\xe4\xf6",
         "\xc3\xa4\xc3\xb6"},
        {"text/html", "<meta charset=iso-8859-1><p>\xc3\xa4 is UTF-8", "\xc3\xa4 is UTF-8"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect(rows[i].media_type, NULL, rows[i].bytes, strlen(rows[i].bytes), rows[i].expected);
}

// Deeper than any tree could be; longer than any line buffer.
static void test_html_extremes(void **state)
{
    (void)state;
    struct buf page OWN_BUF;
    buf_init(&page, 0);
    for (int i = 0; i < 20000; i++)
        buf_add_str(&page, "<div><b>");
    buf_add_str(&page, "deep");
    expect("text/html", NULL, buf_str(&page), page.len, "deep");
    buf_clear(&page);
    for (int i = 0; i < 50000; i++)
        buf_add_str(&page, "word ");
    char *text = read_as("text/html", NULL, buf_str(&page), page.len);
    assert_int_equal(strlen(text), 50000 * 5 - 1);
    free(text);
}

// ------------------------------------------------------------------------------- Word

#define P(text)  "<w:p><w:r><w:t>" text "</w:t></w:r></w:p>"
#define TC(text) "<w:tc><w:tcPr/>" P(text) "</w:tc>"

static void expect_docx(const char *body, const char *footnotes, const char *expected)
{
    struct buf archive OWN_BUF;
    buf_init(&archive, 0);
    archive_docx(&archive, body, footnotes);
    expect(NULL, "x.docx", buf_str(&archive), archive.len, expected);
}

static void test_docx(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {P("One") P("Two"), "One\nTwo"},
        {"<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>", "a\tb\nc"},
        {"<w:p><w:pPr><w:tabs><w:tab "
         "w:val=\"left\"/></w:tabs></w:pPr><w:r><w:t>x</w:t></w:r></w:p>",
         "x"},
        {"<w:tbl><w:tr>" TC("1") TC("2") "</w:tr><w:tr>" TC("3") TC("4") "</w:tr></w:tbl>" P("end"),
         "1\t2\n3\t4\nend"},
        {"<w:tbl><w:tr>" TC("1") TC("2") "</w:tr><w:tr>" TC("") TC("4") "</w:tr></w:tbl>",
         "1\t2\n\t4"},
        {"<w:tbl><w:tr><w:tc>" P("a") P("b") "</w:tc>" TC("") TC("c") "</w:tr></w:tbl>",
         "a b\t\tc"},
        {"<w:tbl><w:tr><w:tc><w:tbl><w:tr>" TC("i")
             TC("j") "</w:tr></w:tbl>" P("k") "</w:tc>" TC("l") "</w:tr></w:tbl>",
         "i j k\tl"},
        {"<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></"
         "w:r>"
         "</w:ins></w:p>",
         "new | The Word document has tracked changes; what they delete was left out."},
        {"<w:p><w:moveFrom><w:r><w:t>old</w:t></w:r></w:moveFrom><w:moveTo><w:r><w:t>here</w:t>"
         "</w:r></w:moveTo></w:p>",
         "here | The Word document has tracked changes; what they delete was left out."},
        {"<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>ORDERS</w:t></w:r><w:r><w:t>seen</w:t></w:r></"
         "w:p>",
         "seen | Hidden text of the Word document was left out."},
        {"<w:p><w:r><w:rPr><w:vanish w:val=\"0\"/></w:rPr><w:t>seen</w:t></w:r></w:p>", "seen"},
        {"<w:p><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>5</w:t></w:r></w:p>", "5"},
        {"<w:p><w:r><mc:AlternateContent><mc:Choice><w:t>new</w:t></mc:Choice><mc:Fallback>"
         "<w:t>new</w:t></mc:Fallback></mc:AlternateContent></w:r></w:p>",
         "new"},
        {"<w:p><w:r><w:t>twenty</w:t><w:noBreakHyphen/><w:t>one</w:t></w:r></w:p>", "twenty-one"},
        {"<w:p><w:r><w:sym w:font=\"Wingdings\" w:char=\"F0FE\"/><w:t> Monthly </w:t><w:sym "
         "w:font=\"Wingdings\" w:char=\"f0a8\"/><w:t> Yearly</w:t><w:sym w:font=\"Symbol\" "
         "w:char=\"F0FE\"/></w:r></w:p>",
         "\xe2\x98\x92 Monthly \xe2\x98\x90 Yearly"},
        {"<w:p/>", "no_text: The document has no text: nothing but white space"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect_docx(rows[i][0], NULL, rows[i][1]);
    expect_docx("<w:p><w:r><w:t>Text</w:t></w:r><w:r><w:footnoteReference w:id=\"2\"/></w:r></w:p>",
                "<w:footnote w:type=\"separator\" w:id=\"-1\">" P(
                    "--") "</w:footnote>"
                          "<w:footnote w:id=\"2\">" P("A note.") "</w:footnote>",
                "Text[2]\n[2] A note.");
}

#define N(list, level, text)                                                                       \
    "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"" level "\"/><w:numId w:val=\"" list                     \
    "\"/></w:numPr></w:pPr><w:r><w:t>" text "</w:t></w:r></w:p>"
#define S(style, text)                                                                             \
    "<w:p><w:pPr><w:pStyle w:val=\"" style "\"/></w:pPr><w:r><w:t>" text "</w:t></w:r></w:p>"
#define LEVEL(level, form, label)                                                                  \
    "<w:lvl w:ilvl=\"" level "\"><w:start w:val=\"1\"/><w:numFmt w:val=\"" form                    \
    "\"/><w:lvlText w:val=\"" label "\"/></w:lvl>"

// What Word counts and nowhere writes.
static void test_docx_numbers(void **state)
{
    (void)state;
    static const char numbering[] = "<w:abstractNum w:abstractNumId=\"7\">" LEVEL("0", "decimal",
                                                                                  "%1.")
        LEVEL("1", "decimal", "%1.%2") LEVEL("2", "lowerLetter", "(%3)") LEVEL(
            "3", "upperRoman",
            "%4") "<w:lvl w:ilvl=\"4\"><w:isLgl/><w:numFmt w:val=\"lowerLetter\"/><w:lvlText "
                  "w:val=\"%4.%5\"/></w:lvl></w:abstractNum>"
                  "<w:abstractNum w:abstractNumId=\"8\">" LEVEL("0", "bullet", "\xef\x82\xb7")
                      LEVEL("1", "none", "") LEVEL(
                          "2", "chineseCounting",
                          "\xe7\xac\xac%3\xe6\x9d\xa1") "</w:abstractNum>"
                                                        "<w:abstractNum "
                                                        "w:abstractNumId=\"9\"><w:numStyleLink "
                                                        "w:val=\"Legal\"/></w:abstractNum>"
                                                        "<w:num w:numId=\"1\"><w:abstractNumId "
                                                        "w:val=\"7\"/></w:num>"
                                                        "<w:num w:numId=\"2\"><w:abstractNumId "
                                                        "w:val=\"8\"/></w:num>"
                                                        "<w:num w:numId=\"3\"><w:abstractNumId "
                                                        "w:val=\"7\"/><w:lvlOverride w:ilvl=\"0\">"
                                                        "<w:startOverride "
                                                        "w:val=\"5\"/></w:lvlOverride></w:num>"
                                                        "<w:num w:numId=\"4\"><w:abstractNumId "
                                                        "w:val=\"9\"/></w:num>";
    static const char styles[] =
        "<w:style w:styleId=\"Heading1\"><w:pPr><w:numPr><w:numId w:val=\"1\"/></w:numPr></w:pPr>"
        "</w:style><w:style w:styleId=\"Heading2\"><w:basedOn w:val=\"Heading1\"/><w:pPr><w:numPr>"
        "<w:ilvl w:val=\"1\"/></w:numPr></w:pPr></w:style><w:style w:styleId=\"Legal\"><w:pPr>"
        "<w:numPr><w:numId w:val=\"1\"/></w:numPr></w:pPr></w:style><w:style w:styleId=\"Loop\">"
        "<w:basedOn w:val=\"Loop\"/></w:style>";
    static const char *const rows[][2] = {
        {N("1", "0", "Term") N("1", "1", "Start") N("1", "1", "End") N("1", "0", "Fees")
             N("1", "1", "Amount") N("1", "2", "base") N("1", "2", "extra"),
         "1. Term\n1.1 Start\n1.2 End\n2. Fees\n2.1 Amount\n(a) base\n(b) extra"},
        {N("1", "3", "x") N("1", "4", "legal") N("1", "4", "legal"), "I x\n1.1 legal\n1.2 legal"},
        {N("2", "0", "dot") N("2", "1", "none") N("2", "2", "article"),
         "- dot\nnone\n\xe7\xac\xac\xe4\xb8\x80\xe6\x9d\xa1 article"},
        {N("1", "0", "one") N("3", "0", "five") N("1", "0", "six"), "1. one\n5. five\n6. six"},
        {S("Heading1", "A") S("Heading2", "B") S("Heading2", "C") S("Heading1", "D"),
         "1. A\n1.1 B\n1.2 C\n2. D"},
        {N("4", "0", "linked"), "1. linked"},
        {N("0", "0", "taken away") N("99", "0", "unknown") S("None", "unknown") S("Loop", "loop"),
         "taken away\nunknown\nunknown\nloop"},
        {N("1", "9", "too deep") N("1", "-3", "x"), "too deep\n1. x"},
        {N("1", "0", "") N("1", "0", "second"), "2. second"},
        {"<w:p><w:pPr><w:pPrChange><w:pPr><w:numPr><w:numId w:val=\"1\"/></w:numPr></w:pPr>"
         "</w:pPrChange></w:pPr><w:r><w:t>was</w:t></w:r></w:p>",
         "was"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf archive OWN_BUF;
        buf_init(&archive, 0);
        archive_docx_numbered(&archive, rows[i][0], numbering, styles);
        expect(NULL, "x.docx", buf_str(&archive), archive.len, rows[i][1]);
    }
}

static void test_docx_damage(void **state)
{
    (void)state;
    struct buf archive OWN_BUF;
    buf_init(&archive, 0);
    expect_docx("<w:p>", NULL,
                "damaged: The Word document is cut or damaged: its parts cannot be read");
    archive_docx(&archive, P("One"), NULL);
    expect(NULL, "x.docx", buf_str(&archive), archive.len / 2,
           "damaged: The Word document is cut or damaged: its parts cannot be read");
    // A document type declaration, with which entities would come.
    buf_clear(&archive);
    archive_make(&archive,
                 (struct archive_part[]){
                     {"word/document.xml",
                      "<!DOCTYPE d [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><w:document "
                      "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\">"
                      "<w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:document>"},
                     {NULL, NULL}});
    expect(NULL, NULL, buf_str(&archive), archive.len,
           "damaged: The Word document is cut or damaged: its parts cannot be read");
    buf_clear(&archive);
    archive_make(&archive, (struct archive_part[]){{"xl/workbook.xml", "<x/>"}, {NULL, NULL}});
    expect(NULL, NULL, buf_str(&archive), archive.len,
           "unreadable: The document is a spreadsheet (XLSX), which nothing is configured to read");
    buf_clear(&archive);
    archive_make(&archive, (struct archive_part[]){{"a.txt", "x"}, {NULL, NULL}});
    expect(NULL, "x.zip", buf_str(&archive), archive.len,
           "unreadable: The document is a ZIP archive and no Word document");
}

// The main part may have any name.
static void test_docx_main_part(void **state)
{
    (void)state;
    struct buf archive OWN_BUF;
    buf_init(&archive, 0);
    archive_make(&archive,
                 (struct archive_part[]){
                     {"_rels/.rels",
                      "<Relationships><Relationship Type=\"http://purl.oclc.org/ooxml/"
                      "officeDocument/relationships/officeDocument\" Target=\"/word/doc2.xml\"/>"
                      "</Relationships>"},
                     {"word/doc2.xml",
                      "<w:document xmlns:w=\"http://purl.oclc.org/ooxml/wordprocessingml/main\">" P(
                          "Strict") "</w:document>"},
                     {NULL, NULL}});
    expect(NULL, NULL, buf_str(&archive), archive.len, "Strict");
}

// 60 MB of spaces in a few kilobytes: refused by the size that the archive tells, before a byte is
// inflated, and, where that lies, when the cap is reached.
static void test_docx_bomb(void **state)
{
    (void)state;
    struct buf archive OWN_BUF, body;
    buf_init(&archive, 0);
    buf_init(&body, 0);
    size_t len = 60000000;
    char *spaces = own_alloc(len + 1);
    memset(spaces, ' ', len);
    archive_docx(&archive, spaces, NULL);
    free(spaces);
    assert_true(archive.len < 200000);
    static const char expected[] =
        "too_large: The Word document expands to more than 1000000 bytes (documents.max_bytes)";
    expect(NULL, "x.docx", buf_str(&archive), archive.len, expected);
    // The sizes in the central directory made small: "PK\1\2", 24 bytes on.
    for (char *at = archive.data;
         (at = memmem(at, archive.len - (size_t)(at - archive.data), "PK\1\2", 4)) != NULL; at += 4)
        memcpy(at + 24, "\x10\x27\0\0", 4);
    char *got = read_as(NULL, "x.docx", buf_str(&archive), archive.len);
    assert_true(strstr(got, "too_large: ") == got || strstr(got, "damaged: ") == got);
    free(got);
    buf_deinit(&body);
}

static void test_foreign(void **state)
{
    (void)state;
    static const char encrypted[] =
        "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";
    expect(NULL, "x.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8,
           "unreadable: The document is an old Word document (DOC), which nothing is configured to "
           "read");
    expect(NULL, "x.docx", encrypted, sizeof(encrypted),
           "protected: The document is protected: it needs a password to be opened");
    expect("image/png", NULL, "\x89PNG\r\n\x1a\n", 8,
           "unreadable: The document is a picture (PNG), which nothing is configured to read");
}

static void test_limits(void **state)
{
    (void)state;
    struct extract_ask ask = ask_of("text/plain", NULL);
    struct extract_answer answer;
    ask.max_bytes = 4;
    ask.max_text_bytes = 4;
    extract_answer_init(&answer, 4);
    extract_document(&ask, "12345", 5, &answer);
    assert_int_equal(answer.failure.code, ERR_TOO_LARGE);
    assert_int_equal(strlen(answer.sha256), 64);
    extract_answer_deinit(&answer);
    ask.max_bytes = 5;
    extract_answer_init(&answer, 4);
    extract_document(&ask, "12345", 5, &answer);
    assert_int_equal(answer.failure.code, ERR_EXTRACTOR_LIMIT);
    extract_answer_deinit(&answer);
    ask.max_text_bytes = 5;
    ask.sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    extract_answer_init(&answer, 5);
    extract_document(&ask, "12345", 5, &answer);
    assert_int_equal(answer.failure.code, ERR_UNREADABLE);
    extract_answer_deinit(&answer);
}

// ------------------------------------------------------------------------------- frames

static void test_frames(void **state)
{
    (void)state;
    struct extract_answer answer, again;
    struct buf bytes OWN_BUF;
    struct frame frame;
    buf_init(&bytes, 0);
    extract_answer_init(&answer, 100);
    buf_add_str(&answer.text, "page one\f");
    answer.pages = 1;
    answer.media_type = own_strdup("application/pdf");
    answer.extractor = own_strdup("pdftotext-1");
    memset(answer.sha256, 'a', 64);
    extract_warn(&answer, "w");
    extract_warn(&answer, "w");
    frame_add_answer(&bytes, &answer);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(frame_read(bytes.data, len, 100, &frame), FRAME_MORE);
    assert_int_equal(frame_read(bytes.data, bytes.len, 100, &frame), FRAME_WHOLE);
    assert_int_equal(frame_read(bytes.data, bytes.len, 8, &frame), FRAME_BAD);
    extract_answer_init(&again, 0);
    assert_true(frame_parse_answer(&frame, &again));
    assert_int_equal(frame.body_len, 9);
    assert_int_equal(again.pages, 1);
    assert_int_equal(again.warning_count, 1);
    assert_string_equal(again.extractor, "pdftotext-1");
    extract_answer_deinit(&again);
    // Text that the child should have cleaned.
    bytes.data[bytes.len - 1] = '\x1b';
    extract_answer_init(&again, 0);
    assert_false(frame_parse_answer(&frame, &again));
    extract_answer_deinit(&again);
    buf_add_char(&bytes, 'x');
    assert_int_equal(frame_read(bytes.data, bytes.len, 100, &frame), FRAME_BAD);
    assert_int_equal(frame_read("HTTP", 4, 100, &frame), FRAME_BAD);
    extract_answer_deinit(&answer);
}

static bool answer_parses(const char *head)
{
    struct extract_answer answer;
    struct frame frame = {head, "t", strlen(head), 1};
    extract_answer_init(&answer, 0);
    bool fine = frame_parse_answer(&frame, &answer);
    extract_answer_deinit(&answer);
    return fine;
}

#define SHA                                                                                        \
    "\"sha256\":\""                                                                                \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""

static void test_answers(void **state)
{
    (void)state;
    assert_true(answer_parses("{\"failure\":null," SHA
                              ",\"media_type\":\"a/b\",\"extractor\":\"x\",\"pages\":2}"));
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"failure\":null}",
        "not json",
        "{\"failure\":null," SHA ",\"media_type\":\"a/b\"}",
        "{\"failure\":null,\"sha256\":\"zz\",\"media_type\":\"a/b\",\"extractor\":\"x\"}",
        "{\"failure\":null," SHA ",\"media_type\":\"a/b\",\"extractor\":\"x\",\"pages\":-1}",
        "{\"failure\":{\"number\":0,\"detail\":\"d\"}," SHA "}",
        "{\"failure\":{\"number\":100000,\"detail\":\"d\"}," SHA "}",
        "{\"failure\":{\"number\":1,\"detail\":\"throttled: not a child's word\"}," SHA "}",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(answer_parses(bad[i]));
}

// ------------------------------------------------------------------------------- addresses

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool is_public;
    } rows[] = {
        {"8.8.8.8", true},
        {"1.1.1.1", true},
        {"0.0.0.0", false},
        {"10.1.2.3", false},
        {"100.64.0.1", false},
        {"100.128.0.1", true},
        {"127.0.0.1", false},
        {"127.9.9.9", false},
        {"169.254.169.254", false},
        {"172.15.0.1", true},
        {"172.16.0.1", false},
        {"172.31.255.255", false},
        {"172.32.0.1", true},
        {"192.168.1.1", false},
        {"192.0.0.8", false},
        {"198.18.0.1", false},
        {"198.20.0.1", true},
        {"203.0.113.9", false},
        {"224.0.0.1", false},
        {"255.255.255.255", false},
        {"223.255.255.255", true},
        {"::1", false},
        {"::", false},
        {"::ffff:8.8.8.8", false},
        {"::8.8.8.8", false},
        {"fe80::1", false},
        {"fc00::1", false},
        {"fd12::1", false},
        {"ff02::1", false},
        {"64:ff9b::808:808", false},
        {"2002:7f00:1::1", false},
        {"2001::1", false},
        {"2001:db8::1", false},
        {"3fff::1", false},
        {"2001:4860:4860::8888", true},
        {"2606:4700::1111", true},
        {"2a00:1450::1", true},
        {"100::1", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sockaddr_storage address = {0};
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        if (inet_pton(AF_INET, rows[i].address, &v4.sin_addr) == 1) {
            memcpy(&address, &v4, sizeof(v4));
        } else {
            assert_int_equal(inet_pton(AF_INET6, rows[i].address, &v6.sin6_addr), 1);
            memcpy(&address, &v6, sizeof(v6));
        }
        if (address_is_public((struct sockaddr *)&address) != rows[i].is_public)
            fail_msg("%s", rows[i].address);
    }
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(address_is_public(&local));
}

static void test_hosts(void **state)
{
    (void)state;
    char *hosts[] = {"docs.example.com", "*.law.example", "api.example:8443", NULL};
    static const struct {
        const char *host;
        int port;
        bool allowed;
    } rows[] = {
        {"docs.example.com", 443, true},
        {"DOCS.example.com", 443, true},
        {"docs.example.com", 8443, false},
        {"xdocs.example.com", 443, false},
        {"a.law.example", 443, true},
        {"a.b.law.example", 443, true},
        {"law.example", 443, false},
        {"evil-law.example", 443, false},
        {"api.example", 8443, true},
        {"api.example", 443, false},
        {"", 443, false},
        {"docs.example.com.evil.net", 443, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (host_is_allowed(hosts, rows[i].host, rows[i].port) != rows[i].allowed)
            fail_msg("%s:%d", rows[i].host, rows[i].port);
    assert_false(host_is_allowed(NULL, "x", 443));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),         cmocka_unit_test(test_names),
        cmocka_unit_test(test_told),          cmocka_unit_test(test_marks),
        cmocka_unit_test(test_guessed),       cmocka_unit_test(test_html),
        cmocka_unit_test(test_html_charsets), cmocka_unit_test(test_html_extremes),
        cmocka_unit_test(test_docx),          cmocka_unit_test(test_docx_numbers),
        cmocka_unit_test(test_docx_damage),   cmocka_unit_test(test_docx_main_part),
        cmocka_unit_test(test_docx_bomb),     cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
