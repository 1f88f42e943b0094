// SPDX-License-Identifier: Apache-2.0
// A document that a job names by its URL: file: below documents.allow, https: from documents.hosts.
// Part of the child: it blocks.
//
// file: the file is found first and read afterwards, by the same handle: what is not a regular file
// below an allowed folder, after every link on the way, is refused (forbidden_url), whether it is
// there or not.
// https: TLS is checked, redirects are not followed, no proxy is used, and the address that is
// really connected to must be public. Port 443, unless documents.hosts names another.
#ifndef PRECIS_IO_EXTRACT_URL_H
#define PRECIS_IO_EXTRACT_URL_H

#include <sys/socket.h>

#include "io/extract.h"

struct fetched {
    struct buf bytes;
    char *media_type; // as the server says; NULL: nothing said
    char *name;       // the last part of the path; NULL: none
};

void fetched_init(struct fetched *fetched, size_t max_bytes);
void fetched_deinit(struct fetched *fetched);

// False with a failure in `answer`: forbidden_url, too_large, unreadable; transient ones where
// another try may help.
bool url_fetch(const struct extract_ask *ask, struct fetched *out, struct extract_answer *answer);

// The parts of it, by scheme. `path` of file_fetch is decoded and absolute.
bool file_fetch(const struct extract_ask *ask, const char *path, struct fetched *out,
                struct extract_answer *answer);
bool https_fetch(const struct extract_ask *ask, struct fetched *out, struct extract_answer *answer);

// Is the address one of the public internet? Private, loopback, link-local, shared (CGNAT),
// multicast, documentation and IPv4-in-IPv6 ones are not.
bool address_is_public(const struct sockaddr *address);
// Does `documents.hosts` name the host with this port? "*.example.com" is every host below it.
bool host_is_allowed(char *const *hosts, const char *host, int port);

#endif
