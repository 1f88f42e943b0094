// SPDX-License-Identifier: Apache-2.0
// precis: the table of commands.
#include <stddef.h>

#include "cmd/command.h"

#define COMMAND(id) extern const struct command command_##id;
#include "cmd/commands.def"
#undef COMMAND

int main(int argc, char **argv)
{
    static const struct command *const commands[] = {
#define COMMAND(id) &command_##id,
#include "cmd/commands.def"
#undef COMMAND
        NULL,
    };
    return commands_main(commands, argc, argv);
}
