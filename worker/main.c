// SPDX-License-Identifier: Apache-2.0
// precis: the table of commands.
#include <stddef.h>

#include "cmd/command.h"

extern const struct command command_worker, command_dev, command_config;

int main(int argc, char **argv)
{
    static const struct command *const commands[] = {
        &command_worker,
        &command_dev,
        &command_config,
        NULL,
    };
    return commands_main(commands, argc, argv);
}
