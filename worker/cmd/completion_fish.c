// SPDX-License-Identifier: Apache-2.0
// Completion for fish: a line for each command, option and word.
#include <stdio.h>

#include "cmd/completion.h"

// Text within '…' of the script.
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void print_option(void *context, const struct option_row *row)
{
    const struct command *command = context;
    struct buf words OWN_BUF;
    buf_init(&words, 0);
    if (command_is_later(row->help))
        return;
    printf("complete -c precis");
    if (command)
        printf(" -n '__fish_seen_subcommand_from %s'", command->name);
    printf(" -l %s", row->name);
    if (row->value) {
        switch (completion_of(row->value, &words)) {
        case COMPLETION_WORDS:
            printf(" -x -a '%s'", buf_str(&words));
            break;
        case COMPLETION_FILES:
            printf(" -r -F");
            break;
        case COMPLETION_FOLDERS:
            printf(" -x -a '(__fish_complete_directories)'");
            break;
        case COMPLETION_NOTHING:
            printf(" -x");
            break;
        }
    }
    printf(" -d ");
    print_quoted(row->help);
    putchar('\n');
}

static void print_command(const struct command *command)
{
    struct buf words OWN_BUF;
    buf_init(&words, 0);
    printf("complete -c precis -n __fish_use_subcommand -a %s -d ", command->name);
    print_quoted(command->summary);
    putchar('\n');
    switch (completion_of(command->arguments, &words)) {
    case COMPLETION_WORDS:
        printf("complete -c precis -n '__fish_seen_subcommand_from %s' -a '%s'\n", command->name,
               buf_str(&words));
        break;
    case COMPLETION_FILES:
    case COMPLETION_FOLDERS:
        printf("complete -c precis -n '__fish_seen_subcommand_from %s' -F\n", command->name);
        break;
    case COMPLETION_NOTHING:
        break;
    }
    command_each_option(command, print_option, (void *)(uintptr_t)command);
}

void completion_fish(const struct command *const *commands)
{
    printf("# fish completion of precis; made by `precis completion fish`.\n"
           "complete -c precis -f\n");
    for (; *commands; commands++)
        if (!command_is_later((*commands)->summary))
            print_command(*commands);
    command_each_option(NULL, print_option, NULL);
}
