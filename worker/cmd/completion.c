// SPDX-License-Identifier: Apache-2.0
// precis completion: scripts that complete commands, options and words for a shell.
#include "cmd/completion.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_word_char(char c)
{
    return islower((unsigned char)c) || isdigit((unsigned char)c) || c == '-' || c == '_';
}

// The first group of a placeholder, without its brackets: "[up|down] [ID…]" -> "up|down".
static size_t group_of(const char **placeholder)
{
    *placeholder += **placeholder == '[';
    return strcspn(*placeholder, " ]");
}

static bool are_words(const char *text, size_t len)
{
    size_t letters = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '|' && !is_word_char(text[i]))
            return false;
        letters += islower((unsigned char)text[i]) != 0;
    }
    return letters > 0;
}

// Is one of the words before the first blank, between bars, one of these? "NAME|FILE" is.
static bool has_path(const char *text, size_t len, const char *const *paths)
{
    for (size_t at = 0; at < len; at += strcspn(text + at, "|") + 1)
        for (const char *const *path = paths; *path; path++)
            if (strncmp(text + at, *path, strlen(*path)) == 0)
                return true;
    return false;
}

enum completion_kind completion_of(const char *placeholder, struct buf *words)
{
    if (!placeholder)
        return COMPLETION_NOTHING;
    const char *text = placeholder;
    size_t len = group_of(&text);
    static const char *const files[] = {"PATH", "FILE", "CSV", NULL};
    static const char *const folders[] = {"DIR", NULL};
    if (has_path(text, len, files))
        return COMPLETION_FILES;
    if (has_path(text, len, folders))
        return COMPLETION_FOLDERS;
    if (!are_words(text, len))
        return COMPLETION_NOTHING;
    for (size_t i = 0; i < len; i++)
        buf_add_char(words, text[i] == '|' ? ' ' : text[i]);
    return COMPLETION_WORDS;
}

// ------------------------------------------------------------------------------- the command

static const struct shell {
    const char *name;
    void (*print)(const struct command *const *commands);
} shells[] = {
    {"bash", completion_bash},
    {"zsh", completion_zsh},
    {"fish", completion_fish},
};

static int run(struct invocation *invocation)
{
    const char *name = invocation_argument(invocation, 0);
    if (!name || invocation_argument_count(invocation) > 1)
        return invocation_misuse(invocation, "`completion` needs one of bash, zsh and fish");
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
        if (strcmp(shells[i].name, name) == 0) {
            shells[i].print(invocation_commands(invocation));
            return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
        }
    return invocation_misuse(invocation, "`completion` knows bash, zsh and fish, not \"%s\"", name);
}

const struct command command_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Print what a shell needs to complete commands and options",
    .details =
        "An installed precis brings these scripts along. Without an installation:\n"
        "bash  `eval \"$(precis completion bash)\"` in ~/.bashrc\n"
        "zsh   `precis completion zsh >DIR/_precis`, where DIR is in $fpath before compinit runs\n"
        "fish  `precis completion fish >~/.config/fish/completions/precis.fish`",
    .run = run,
};
