// SPDX-License-Identifier: Apache-2.0
// Results as one HTML file that needs no network: worker/page/report.html with its places filled.
// The documents go out as they come from the database.
#include <string.h>

#include "base/own.h"
#include "cmd/html.h"
#include "cmd/results_page.h"
#include "cmd/screen.h"
#include "page/page.h"

#define OPEN_MAX 30  // with more jobs than that, each is closed at first
#define PART     100 // documents that a browser draws together
#define WHOLE    200 // with more jobs than that, only the parts that are seen are drawn

static const char documents_place[] = "{{documents}}";

static void add_policy(struct buf *out)
{
    buf_add_str(out, "default-src 'none'; style-src ");
    html_add_hash(out, page_report_css);
    buf_add_str(out, "; script-src ");
    html_add_hash(out, page_report_js);
    buf_add_str(out, "; base-uri 'none'; form-action 'none'");
}

static void add_title(struct results_writer *writer)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    ask_add_batch(&name, writer->order.name->tenant, writer->order.name->batch);
    html_add(&writer->text, buf_str(&name));
}

static bool is_place(const char *place, size_t len, const char *name)
{
    return strlen(name) == len && strncmp(place, name, len) == 0;
}

static void fill(struct results_writer *writer, const struct results_totals *totals,
                 const char *place, size_t len)
{
    struct buf *out = &writer->text;
    if (is_place(place, len, "policy"))
        add_policy(out);
    else if (is_place(place, len, "generator"))
        buf_add_str(out, "precis " PRECIS_VERSION);
    else if (is_place(place, len, "title"))
        add_title(writer);
    else if (is_place(place, len, "style"))
        buf_add_str(out, page_report_css);
    else if (is_place(place, len, "script"))
        buf_add_str(out, page_report_js);
    else if (is_place(place, len, "head"))
        results_page_head(out, totals);
    else if (is_place(place, len, "overview"))
        results_page_overview(out, totals);
    else if (is_place(place, len, "foot"))
        buf_add_str(out, "<footer>Made by precis " PRECIS_VERSION ". Summaries are a model\u2019s "
                         "words: check what matters in the document.</footer>");
}

// The frame's text in [from, to), with its places filled.
static void add_frame(struct results_writer *writer, const struct results_totals *totals,
                      const char *from, const char *to)
{
    while (from < to) {
        const char *place = strstr(from, "{{"), *end = place ? strstr(place, "}}") : NULL;
        if (!end || place >= to) {
            buf_add(&writer->text, from, (size_t)(to - from));
            return;
        }
        buf_add(&writer->text, from, (size_t)(place - from));
        fill(writer, totals, place + 2, (size_t)(end - place) - 2);
        from = end + 2;
    }
}

static bool html_begin(struct results_writer *writer)
{
    struct results_totals totals;
    if (!results_totals_load(&writer->order, &totals))
        return false;
    writer->open = ask_number(totals.batch, 0, "total") <= OPEN_MAX;
    writer->in_parts = ask_number(totals.batch, 0, "total") > WHOLE;
    add_frame(writer, &totals, page_report_html, strstr(page_report_html, documents_place));
    results_totals_deinit(&totals);
    return true;
}

static void html_row(struct results_writer *writer, const json_t *row)
{
    if (writer->count % PART == 0)
        buf_printf(&writer->text, "%s<div class=\"%s\">\n", writer->count > 0 ? "</div>\n" : "",
                   writer->in_parts ? "part" : "few");
    results_page_document(writer, row, writer->open);
}

static void html_end(struct results_writer *writer)
{
    buf_add_str(&writer->text, writer->count > 0 ? "</div>\n" : "");
    if (writer->count == 0)
        buf_add_str(&writer->text, "<p class=\"soft\">No job has ended yet.</p>\n");
    add_frame(writer, NULL, strstr(page_report_html, documents_place) + strlen(documents_place),
              page_report_html + strlen(page_report_html));
}

const struct results_form results_html = {
    .name = "html", .begin = html_begin, .object = html_row, .end = html_end};
