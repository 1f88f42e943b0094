// SPDX-License-Identifier: Apache-2.0
// precis doctor: what this machine gives to a process, and the port of the worker's HTTP server.
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/doctor.h"
#include "cmd/screen.h"
#include "io/web.h"

#define OWN_FILES    200                  // Kafka, PostgreSQL, HTTP, logs
#define OWN_MEMORY   (INT64_C(128) << 20) // beside worker.memory: code, buffers of Kafka
#define CGROUP_LIMIT "/sys/fs/cgroup/memory.max"

// ------------------------------------------------------------------------------- limits

static void check_files(struct doctor *doctor, const struct config *config)
{
    struct rlimit limit;
    int64_t needed = OWN_FILES;
    for (size_t i = 0; i < config->provider_count; i++)
        needed += config->providers[i].connections_max;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    // The worker raises its soft limit to the hard one.
    if (limit.rlim_max != RLIM_INFINITY && (int64_t)limit.rlim_max < needed)
        doctor_add(doctor, DOCTOR_FAIL, "files",
                   "Raise it (`ulimit -Hn`, LimitNOFILE= of systemd), or lower connections.max of "
                   "the providers.",
                   "a process may open %" PRId64 " files; connections.max of all providers and "
                   "precis itself need %" PRId64,
                   (int64_t)limit.rlim_max, needed);
    else
        doctor_add(doctor, DOCTOR_OK, "files", NULL, "%" PRId64 " descriptors are enough", needed);
}

static void check_cores(struct doctor *doctor)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur > 0)
        doctor_add(doctor, DOCTOR_WARN, "core dumps", "Set `ulimit -c 0` where commands run.",
                   "are on: one of a command would hold keys and documents (the worker turns its "
                   "own off)");
}

// The memory that there is for this process; 0: not known.
static int64_t memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    int64_t bytes = pages > 0 && size > 0 ? (int64_t)pages * size : 0;
    FILE *file = fopen(CGROUP_LIMIT, "re");
    char text[40] = "";
    if (file && fgets(text, sizeof(text), file) && text[0] >= '0' && text[0] <= '9') {
        int64_t limit = strtoll(text, NULL, 10);
        bytes = bytes == 0 || limit < bytes ? limit : bytes;
    }
    if (file)
        fclose(file);
    return bytes;
}

static void check_memory(struct doctor *doctor, const struct config *config)
{
    int64_t there = memory_bytes(), needed = config->worker.memory_bytes + OWN_MEMORY;
    if (there == 0 || needed <= there)
        return;
    struct buf have OWN_BUF, want OWN_BUF;
    buf_init(&have, 0);
    buf_init(&want, 0);
    screen_add_bytes(&have, there);
    screen_add_bytes(&want, needed);
    doctor_add(doctor, DOCTOR_FAIL, "memory", "Lower worker.memory, or give the machine more.",
               "a worker may take %s, and there are %s", buf_str(&want), buf_str(&have));
}

void doctor_limits(struct doctor *doctor, const struct config *config)
{
    check_files(doctor, config);
    check_memory(doctor, config);
    check_cores(doctor);
}

// ------------------------------------------------------------------------------- http.listen

static void set_port(struct sockaddr *address, unsigned port)
{
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
}

// 0, or why nothing can listen there.
static int try_port(const struct addrinfo *info, unsigned port)
{
    int one = 1, fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    set_port(info->ai_addr, port);
    int problem = 0;
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, 1) != 0)
        problem = errno;
    close(fd);
    return problem;
}

static void judge_ports(struct doctor *doctor, const char *listen_at, const struct addrinfo *info,
                        unsigned port)
{
    int first = try_port(info, port), problem = first;
    unsigned next = port;
    while (problem && port > 0 && next + 1 < port + WEB_PORTS && next < 65535)
        problem = try_port(info, ++next);
    if (!first)
        doctor_add(doctor, DOCTOR_OK, "http", NULL, "%s is free", listen_at);
    else if (!problem)
        doctor_add(doctor, DOCTOR_OK, "http", NULL,
                   "%s is taken (by a worker?); the next worker listens on port %u", listen_at,
                   next);
    else
        doctor_add(doctor, DOCTOR_FAIL, "http", "Set http.listen to an address of this machine.",
                   "nothing can listen on %s, nor on the next %d ports: %s", listen_at,
                   WEB_PORTS - 1, strerror(first));
}

void doctor_listen(struct doctor *doctor, const struct config *config)
{
    const char *listen_at = config->http.listen;
    const char *colon = listen_at ? strrchr(listen_at, ':') : NULL;
    if (!colon)
        return;
    size_t len = (size_t)(colon - listen_at);
    bool brackets = len > 2 && listen_at[0] == '[' && listen_at[len - 1] == ']';
    char host[300];
    snprintf(host, sizeof(host), "%.*s", (int)(brackets ? len - 2 : len),
             listen_at + (brackets ? 1 : 0));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *info = NULL;
    if (getaddrinfo(host, NULL, &hints, &info) == 0 && info)
        judge_ports(doctor, listen_at, info, (unsigned)strtoul(colon + 1, NULL, 10));
    else
        doctor_add(doctor, DOCTOR_FAIL, "http", "Set http.listen to an address of this machine.",
                   "%s is no address of this machine", host);
    if (info)
        freeaddrinfo(info);
}
