// SPDX-License-Identifier: Apache-2.0
// precis: the table of commands.
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "cmd/command.h"
#include "io/extract.h"

#define COMMAND(id) extern const struct command command_##id;
#include "cmd/commands.def"
#undef COMMAND

// Where one of the first three is closed, the next socket would take its number, and get our log.
static void open_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard_files();
    // What the extractor's pool starts: no options, no configuration, one document.
    if (argc == 3 && strcmp(argv[1], "extract") == 0 && strcmp(argv[2], "--child") == 0)
        return extract_child(STDIN_FILENO, STDOUT_FILENO);
    static const struct command *const commands[] = {
#define COMMAND(id) &command_##id,
#include "cmd/commands.def"
#undef COMMAND
        NULL,
    };
    return commands_main(commands, argc, argv);
}
