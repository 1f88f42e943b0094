// SPDX-License-Identifier: Apache-2.0
// What the end of an extractor means for its document.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "core/text.h"
#include "io/extract_run.h"

#define PDF_TAIL_BYTES 2048 // the end mark stands in these

static const char *const pdftotext[] = {"pdftotext", "-enc", "UTF-8", "{in}", "-", NULL};

// One document on its way through a program.
struct errand {
    const struct extract_ask *ask;
    const char *program; // its bare name
    const char *media_type;
    const void *bytes;
    size_t len;
    struct run_end *end;
    struct extract_answer *answer;
};

static const char *bare_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_pdftotext(const struct errand *errand)
{
    return strcmp(errand->program, "pdftotext") == 0;
}

static bool complains(const struct errand *errand, const char *words)
{
    return strcasestr(buf_str(&errand->end->complaints), words) != NULL;
}

static bool fail_missing(const struct errand *errand)
{
    if (errand->end->exec_error != ENOENT)
        return extract_fail(errand->answer, ERR_EXTRACTOR_MISSING, NULL,
                            "`%.100s`, which reads %.100s, cannot be started: %s", errand->program,
                            errand->media_type, strerror(errand->end->exec_error));
    return extract_fail(errand->answer, ERR_EXTRACTOR_MISSING,
                        is_pdftotext(errand)
                            ? "Install it on the workers: apt-get install poppler-utils; then "
                              "`precis retry`."
                            : NULL,
                        "`%.100s`, which reads %.100s, is not installed on this worker",
                        errand->program, errand->media_type);
}

static bool fail_memory(const struct errand *errand)
{
    return extract_fail(errand->answer, ERR_EXTRACTOR_LIMIT, NULL,
                        "`%.100s` needs more than %lld bytes of memory for this document "
                        "(documents.memory)",
                        errand->program, (long long)errand->ask->memory_bytes);
}

static bool fail_signal(const struct errand *errand, int number)
{
    if (number == SIGXCPU)
        return extract_fail(errand->answer, ERR_EXTRACTOR_LIMIT, NULL,
                            "`%.100s` was not done with this document after %lld s "
                            "(documents.timeout)",
                            errand->program, (long long)errand->ask->timeout_ms / 1000);
    if (number == SIGXFSZ)
        return extract_fail(errand->answer, ERR_EXTRACTOR_LIMIT, NULL,
                            "`%.100s` wrote a file of more than %lld bytes (documents.memory)",
                            errand->program, (long long)errand->ask->memory_bytes);
    if (number == SIGKILL) // not ours: an operator's, or the kernel's when memory is short
        return extract_fail(errand->answer, ERR_EXTRACTOR_LOST, NULL,
                            "`%.100s` was killed while it read this document", errand->program);
    return extract_fail(errand->answer, ERR_EXTRACTOR_FAILED, NULL,
                        "`%.100s` crashed on this document (signal %d)", errand->program, number);
}

static bool fail_status(const struct errand *errand, int status)
{
    if (complains(errand, "out of memory") || complains(errand, "bad_alloc"))
        return fail_memory(errand);
    if (is_pdftotext(errand) && complains(errand, "incorrect password"))
        return extract_fail(errand->answer, ERR_PROTECTED, NULL,
                            "The PDF is protected: it needs a password to be opened");
    if (is_pdftotext(errand) && status == 3)
        return extract_fail(errand->answer, ERR_PROTECTED, NULL,
                            "The PDF is protected: its author does not allow that text is copied");
    if (is_pdftotext(errand))
        return extract_fail(errand->answer, ERR_DAMAGED, NULL,
                            "The PDF is cut or damaged: pdftotext finds no document in it");
    return extract_fail(errand->answer, ERR_EXTRACTOR_FAILED, NULL,
                        "`%.100s`, which reads %.100s, ended with status %d", errand->program,
                        errand->media_type, status);
}

static bool judge_end(const struct errand *errand)
{
    const struct run_end *end = errand->end;
    if (end->exec_error)
        return fail_missing(errand);
    if (end->over)
        return extract_fail(errand->answer, ERR_EXTRACTOR_LIMIT, NULL,
                            "The document has more than %lld bytes of text "
                            "(documents.max_text_bytes)",
                            (long long)errand->ask->max_text_bytes);
    if (WIFSIGNALED(end->status))
        return fail_signal(errand, WTERMSIG(end->status));
    if (WEXITSTATUS(end->status) != 0)
        return fail_status(errand, WEXITSTATUS(end->status));
    return true;
}

// Each page ends with a form feed; what follows the last one is a page when there is text in it.
static int32_t count_pages(const char *text, size_t len)
{
    int32_t pages = 0;
    size_t last = 0;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\f') {
            pages++;
            last = i + 1;
        }
    return pages + (text_is_blank(text + last, len - last) ? 0 : 1);
}

static bool has_end_mark(const char *bytes, size_t len)
{
    size_t tail = len < PDF_TAIL_BYTES ? len : PDF_TAIL_BYTES;
    return memmem(bytes + len - tail, tail, "%%EOF", 5) != NULL;
}

static bool fail_blank_pdf(const struct errand *errand, int32_t pages)
{
    if (complains(errand, "syntax error"))
        return extract_fail(errand->answer, ERR_DAMAGED, NULL,
                            "The PDF is cut or damaged: no text could be read from it");
    return extract_fail(
        errand->answer, ERR_NO_TEXT,
        "It needs OCR. Name a program for application/pdf under documents.extractors, such as "
        "[sh, -c, \"ocrmypdf -q --skip-text {in} - | pdftotext -enc UTF-8 - -\"] (apt-get install "
        "ocrmypdf), or send a PDF with text.",
        "The PDF has %d %s and no text: it is a scan, or made of pictures", pages,
        pages == 1 ? "page" : "pages");
}

static bool finish_pdf(const struct errand *errand)
{
    struct extract_answer *answer = errand->answer;
    const struct buf *text = &errand->end->output;
    answer->pages = count_pages(buf_str(text), text->len);
    if (text_is_blank(buf_str(text), text->len))
        return fail_blank_pdf(errand, answer->pages);
    if (is_pdftotext(errand) &&
        (complains(errand, "syntax error") || !has_end_mark(errand->bytes, errand->len)))
        extract_warn(answer, "The PDF is damaged in places; some of its text may be missing.");
    return extract_finish(answer, text);
}

bool extract_by_program(const struct extract_ask *ask, char *const *argv, const char *media_type,
                        const void *bytes, size_t len, struct extract_answer *answer)
{
    struct run run = {argv ? argv : (char *const *)pdftotext, media_type, bytes, len};
    struct run_end end = {0};
    buf_init(&end.output, (size_t)ask->max_text_bytes);
    buf_init(&end.complaints, RUN_ERROR_BYTES);
    struct errand errand = {ask, bare_name(run.argv[0]), media_type, bytes, len, &end, answer};
    bool fine;
    if (!extract_run(ask, &run, &end))
        fine = extract_fail(answer, ERR_EXTRACTOR_LOST, NULL,
                            "`%.100s` could not be started for this document: %s", errand.program,
                            strerror(errno));
    else if (!judge_end(&errand))
        fine = false;
    else if (strcmp(media_type, "application/pdf") == 0)
        fine = finish_pdf(&errand);
    else
        fine = extract_finish(answer, &end.output);
    buf_deinit(&end.output);
    buf_deinit(&end.complaints);
    return fine;
}
