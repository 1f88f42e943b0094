// SPDX-License-Identifier: Apache-2.0
// Completion for bash 4 and later, without the package bash-completion.
#include <stdio.h>

#include "cmd/completion.h"

// COMP_WORDBREAKS has "=", so that --format=t comes as three words; both forms are taken.
static const char head[] =
    "# bash completion of precis; made by `precis completion bash`.\n"
    "_precis_files() { # OPTION-OF-COMPGEN CURRENT\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$2\")\n"
    "}\n"
    "_precis() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command=${COMP_WORDS[1]} words= options= kind=\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=\n"
    "    elif [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    if ((COMP_CWORD == 1)); then\n";

static const char middle[] =
    "    esac\n"
    "    case $kind in\n"
    "    words) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n"
    "    files) _precis_files -f \"$cur\" ;;\n"
    "    folders) _precis_files -d \"$cur\" ;;\n"
    "    esac\n"
    "    [[ -z $kind ]] || return\n"
    "    case $command in\n";

static const char foot[] = "    esac\n"
                           "    if [[ $cur == -* ]]; then\n"
                           "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
                           "    elif [[ $words == FILES ]]; then\n"
                           "        _precis_files -f \"$cur\"\n"
                           "    else\n"
                           "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                           "    fi\n"
                           "}\n"
                           "complete -F _precis precis\n";

static void print_names(const struct command *const *commands)
{
    printf("        mapfile -t COMPREPLY < <(compgen -W '");
    for (; *commands; commands++)
        if (!command_is_later((*commands)->summary))
            printf("%s ", (*commands)->name);
    printf("--help --version' -- \"$cur\")\n        return\n    fi\n"
           "    case \"$command $prev\" in\n");
}

// "command --option)" and what its value is.
static void print_value(void *context, const struct option_row *row)
{
    const struct command *command = context;
    struct buf words OWN_BUF;
    buf_init(&words, 0);
    if (!row->value || command_is_later(row->help))
        return;
    if (command)
        printf("    '%s --%s') ", command->name, row->name);
    else
        printf("    *' --%s') ", row->name);
    switch (completion_of(row->value, &words)) {
    case COMPLETION_WORDS:
        printf("kind=words words='%s' ;;\n", buf_str(&words));
        return;
    case COMPLETION_FILES:
        printf("kind=files ;;\n");
        return;
    case COMPLETION_FOLDERS:
        printf("kind=folders ;;\n");
        return;
    case COMPLETION_NOTHING:
        printf("kind=nothing ;;\n");
        return;
    }
}

static void print_option(void *context, const struct option_row *row)
{
    (void)context;
    if (!command_is_later(row->help))
        printf("--%s ", row->name);
}

static void print_command(const struct command *command)
{
    struct buf words OWN_BUF;
    buf_init(&words, 0);
    printf("    %s) options='", command->name);
    command_each_option(command, print_option, NULL);
    command_each_option(NULL, print_option, NULL);
    enum completion_kind kind = completion_of(command->arguments, &words);
    printf("' words='%s' ;;\n", kind == COMPLETION_FILES ? "FILES" : buf_str(&words));
}

void completion_bash(const struct command *const *commands)
{
    fputs(head, stdout);
    print_names(commands);
    for (const struct command *const *one = commands; *one; one++)
        if (!command_is_later((*one)->summary))
            command_each_option(*one, print_value, (void *)(uintptr_t)*one);
    command_each_option(NULL, print_value, NULL);
    fputs(middle, stdout);
    for (const struct command *const *one = commands; *one; one++)
        if (!command_is_later((*one)->summary))
            print_command(*one);
    fputs(foot, stdout);
}
