// SPDX-License-Identifier: Apache-2.0
// precis man: the manual page, from the same tables as the help.
//
// The details of a command are plain text with two forms: lines that run on, and lines of a list
// ("word   what it means", continued by indented lines). The page sets the first as paragraphs and
// the second as tagged ones; `words` between backquotes become bold.
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/command.h"
#include "core/visible.h"

// ------------------------------------------------------------------------------- text as roff

static void add_char(struct buf *out, const char *text, size_t len, size_t *bytes)
{
    uint32_t c = visible_decode(text, len, bytes);
    if (c == '\\')
        buf_add_str(out, "\\e");
    else if (c == '-')
        buf_add_str(out, "\\-");
    else if (c == '\'')
        buf_add_str(out, "\\(aq");
    else if (c == '^')
        buf_add_str(out, "\\(ha");
    else if (c == '~')
        buf_add_str(out, "\\(ti");
    else if (c > 126)
        buf_printf(out, "\\[u%04X]", (unsigned)c);
    else
        buf_add_char(out, (char)c);
}

// Text on one line of the page. "\&" keeps a dot at its beginning from being a request.
static void print_text(const char *text, size_t len)
{
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    bool bold = false;
    size_t bytes;
    buf_add_str(&out, len > 0 && text[0] == '.' ? "\\&" : "");
    for (size_t i = 0; i < len; i += bytes) {
        bytes = 1;
        if (text[i] == '`') {
            bold = !bold;
            buf_add_str(&out, bold ? "\\fB" : "\\fR");
        } else {
            add_char(&out, text + i, len - i, &bytes);
        }
    }
    printf("%s%s\n", buf_str(&out), bold ? "\\fR" : "");
}

static void print_words(const char *text)
{
    print_text(text, strlen(text));
}

// The length of "word" in "word   what it means"; 0 where the line is none of a list.
static size_t tag_of(const char *line, size_t len)
{
    const char *gap = memmem(line, len, "  ", 2);
    return gap && gap > line ? (size_t)(gap - line) : 0;
}

static void print_line(const char *line, size_t len, bool *in_list)
{
    size_t tag = tag_of(line, len), indent = strspn(line, " ");
    if (tag > 0) {
        printf(".TP\n.B ");
        print_text(line, tag);
        tag += strspn(line + tag, " ");
        print_text(line + tag, len - tag);
        *in_list = true;
    } else if (indent > 0 && indent < len) {
        print_text(line + indent, len - indent);
    } else {
        if (*in_list || len == 0)
            printf(".PP\n");
        *in_list = false;
        if (len > 0)
            print_text(line, len);
    }
}

static void print_details(const char *details)
{
    bool in_list = false;
    if (tag_of(details, strcspn(details, "\n")) == 0)
        printf(".PP\n");
    while (*details) {
        size_t len = strcspn(details, "\n");
        print_line(details, len, &in_list);
        details += len + (details[len] == '\n');
    }
}

// ------------------------------------------------------------------------------- commands

static void print_option(void *context, const struct option_row *row)
{
    (void)context;
    struct buf left OWN_BUF;
    buf_init(&left, 0);
    buf_printf(&left, "--%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
    printf(".TP\n.B ");
    print_words(buf_str(&left));
    print_words(row->help);
}

static void print_command(const struct command *command)
{
    struct buf usage OWN_BUF;
    buf_init(&usage, 0);
    buf_printf(&usage, "%s%s%s", command->name, command->arguments ? " " : "",
               command->arguments ? command->arguments : "");
    printf(".SS ");
    print_words(buf_str(&usage));
    buf_clear(&usage);
    buf_printf(&usage, "%s.", command->summary);
    print_words(buf_str(&usage));
    if (command->details)
        print_details(command->details);
    command_each_option(command, print_option, NULL);
}

static void print_commands(const struct command *const *commands)
{
    printf(".SH COMMANDS\n");
    for (; *commands; commands++)
        if (!command_is_later((*commands)->summary))
            print_command(*commands);
    printf(".SH OPTIONS OF EVERY COMMAND\n");
    command_each_option(NULL, print_option, NULL);
}

static void print_later(const struct command *const *commands)
{
    printf(".SH NOT IN THIS VERSION\nThese are refused by name until they work:\n");
    for (; *commands; commands++)
        if (command_is_later((*commands)->summary)) {
            printf(".TP\n.B ");
            print_words((*commands)->name);
            print_words((*commands)->summary + strlen("(later) "));
        }
}

// ------------------------------------------------------------------------------- the rest

struct term {
    const char *term, *words;
};

static const struct term variables[] = {
#define VARIABLE(name, words) {name, words},
#include "cmd/environment.def"
#undef VARIABLE
};

static const struct term files[] = {
    {"./precis.yaml, /etc/precis/precis.yaml",
     "the configuration, where neither --config nor $PRECIS_CONFIG names one; `precis config "
     "schema --markdown` describes it"},
    {".env", "by custom: variables for --env-file, as KEY=VALUE lines; readable by its owner only"},
};

static void print_terms(const char *title, const struct term *terms, size_t count)
{
    printf(".SH %s\n", title);
    for (size_t i = 0; i < count; i++) {
        printf(".TP\n.B ");
        print_words(terms[i].term);
        print_words(terms[i].words);
    }
}

static void print_exit_codes(void)
{
    printf(".SH EXIT STATUS\n");
#define EXIT_ROW(name, number, words) printf(".TP\n.B %d\n%s\n", number, words);
#include "cmd/exit_codes.def"
#undef EXIT_ROW
}

static void print_head(void)
{
    printf(".\\\" Made by `precis man` from the program's own tables.\n"
           ".TH PRECIS 1 \"\" \"precis " PRECIS_VERSION "\" \"User Commands\"\n"
           ".SH NAME\n"
           "precis \\- summarise documents from Kafka through model APIs into PostgreSQL\n"
           ".SH SYNOPSIS\n"
           ".B precis\n.I command\n"
           "[\\fIargument\\fR ...] [\\fB\\-\\-\\fIoption\\fR [\\fIvalue\\fR] ...]\n"
           ".SH DESCRIPTION\n");
    print_words(
        "precis takes jobs such as \"summarise this contract\" from Kafka, asks model APIs, "
        "and leaves checked summaries and every cent in PostgreSQL. No job is lost, none has "
        "two results, and nothing is paid for twice knowingly, whatever crashes.");
    printf(".PP\n");
    print_words("`submit` sends documents, any number of `worker` processes do the work, and "
                "`status`, `results`, `show` and `costs` tell what came of it. `doctor` says what "
                "would stop a worker.");
    printf(".PP\n");
    print_words("Options and arguments stand in any order, a value behind its option or behind an "
                "equals sign. After -- everything is an argument. precis itself reads what the "
                "configuration names as ${env:NAME} from the environment and from --env-file.");
}

static int run(struct invocation *invocation)
{
    const struct command *const *commands = invocation_commands(invocation);
    print_head();
    print_commands(commands);
    print_later(commands);
    print_exit_codes();
    print_terms("ENVIRONMENT", variables, sizeof(variables) / sizeof(variables[0]));
    print_terms("FILES", files, sizeof(files) / sizeof(files[0]));
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

const struct command command_man = {
    .name = "man",
    .summary = "Print the manual page",
    .details = "`precis man | man -l -` shows it; an installed precis brings it along.",
    .run = run,
};
