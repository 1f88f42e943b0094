// SPDX-License-Identifier: Apache-2.0
// Runs a program that turns a document into text: pdftotext, or one of documents.extractors. Part
// of the child: it blocks, and the child's own limits (address space, CPU time, file size) hold for
// the program too. The program has the document as a private file, an empty environment but PATH,
// LC_ALL, HOME and TMPDIR, no input, and ends with the child.
#ifndef PRECIS_IO_EXTRACT_RUN_H
#define PRECIS_IO_EXTRACT_RUN_H

#include "io/extract.h"

#define RUN_ERROR_BYTES 8192 // of a program's error output that are looked at

struct run {
    char *const *argv;      // `{in}` in any word becomes the file's path
    const char *media_type; // ends the file's name
    const void *bytes;
    size_t len;
};

struct run_end {
    int exec_error;        // errno of a program that could not be started; else 0
    int status;            // of waitpid
    bool over;             // it wrote more than fits `output`, and was stopped
    struct buf output;     // the caller inits (cap) and deinits
    struct buf complaints; // what it wrote to its error output, cut; deinit too
};

// False: the document's file or the process could not be made, with errno.
bool extract_run(const struct extract_ask *ask, const struct run *run, struct run_end *end);

// By a configured command, or (argv NULL) by pdftotext: fills the answer.
bool extract_by_program(const struct extract_ask *ask, char *const *argv, const char *media_type,
                        const void *bytes, size_t len, struct extract_answer *answer);

#endif
