// SPDX-License-Identifier: Apache-2.0
// Completion for zsh: a function for _arguments and _describe, with the words of the help.
#include <stdio.h>

#include "cmd/completion.h"

static const char head[] =
    "#compdef precis\n"
    "# zsh completion of precis; made by `precis completion zsh`.\n"
    "_precis() {\n"
    "  local curcontext=$curcontext state line\n"
    "  typeset -A opt_args\n"
    "  _arguments -C '1:command:->command' '*::argument:->argument' && return\n"
    "  case $state in\n"
    "  command)\n"
    "    local -a commands=(\n";

static const char middle[] = "    )\n"
                             "    _describe command commands\n"
                             "    ;;\n"
                             "  argument)\n"
                             "    case $words[1] in\n";

static const char foot[] = "    esac\n"
                           "    ;;\n"
                           "  esac\n"
                           "}\n"
                           "if [[ $funcstack[1] == _precis ]]; then\n"
                           "  _precis \"$@\"\n"
                           "else\n"
                           "  compdef _precis precis\n"
                           "fi\n";

// Text within '…' of the script; brackets and colons mean something to _arguments and _describe.
static void print_quoted(const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

// The ":message:action" of a value.
static void print_action(const char *placeholder)
{
    struct buf words OWN_BUF;
    buf_init(&words, 0);
    enum completion_kind kind = completion_of(placeholder, &words);
    putchar(':');
    print_quoted(kind == COMPLETION_WORDS ? "word" : placeholder);
    switch (kind) {
    case COMPLETION_WORDS:
        printf(":(%s)", buf_str(&words));
        return;
    case COMPLETION_FILES:
        printf(":_files");
        return;
    case COMPLETION_FOLDERS:
        printf(":_files -/");
        return;
    case COMPLETION_NOTHING:
        printf(": ");
        return;
    }
}

static void print_option(void *context, const struct option_row *row)
{
    (void)context;
    if (command_is_later(row->help))
        return;
    printf(" \\\n        '--%s%s[", row->name, row->value ? "=" : "");
    print_quoted(row->help);
    putchar(']');
    if (row->value)
        print_action(row->value);
    putchar('\'');
}

static void print_command(const struct command *command)
{
    struct buf words OWN_BUF;
    buf_init(&words, 0);
    printf("    %s)\n      _arguments", command->name);
    command_each_option(command, print_option, NULL);
    command_each_option(NULL, print_option, NULL);
    switch (completion_of(command->arguments, &words)) {
    case COMPLETION_WORDS:
        printf(" \\\n        '1:word:(%s)'", buf_str(&words));
        break;
    case COMPLETION_FILES:
    case COMPLETION_FOLDERS:
        printf(" \\\n        '*:path:_files'");
        break;
    case COMPLETION_NOTHING:
        break;
    }
    printf("\n      ;;\n");
}

void completion_zsh(const struct command *const *commands)
{
    fputs(head, stdout);
    for (const struct command *const *one = commands; *one; one++)
        if (!command_is_later((*one)->summary)) {
            printf("      '%s:", (*one)->name);
            print_quoted((*one)->summary);
            printf("'\n");
        }
    fputs(middle, stdout);
    for (const struct command *const *one = commands; *one; one++)
        if (!command_is_later((*one)->summary))
            print_command(*one);
    fputs(foot, stdout);
}
