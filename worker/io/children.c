// SPDX-License-Identifier: Apache-2.0
// Child processes of `precis dev`. They get PR_SET_PDEATHSIG, so that none outlives us.
#include "io/children.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/pg_query.h"

#define STEPS_PER_SECOND 20
#define START_SECONDS    30

struct spawn {
    const char *const *argv;
    const struct passwd *user; // NULL: as we are
    int out;                   // becomes stdout; -1: /dev/null
    const char *log;           // stderr goes to its end; NULL: /dev/null
    int death_signal;
};

static void nap(void)
{
    usleep(1000000 / STEPS_PER_SECOND);
}

static void become(const struct spawn *spawn)
{
    prctl(PR_SET_PDEATHSIG, spawn->death_signal);
    setsid(); // a terminal's Ctrl-C is ours to pass on
    if (spawn->user && (initgroups(spawn->user->pw_name, spawn->user->pw_gid) != 0 ||
                        setgid(spawn->user->pw_gid) != 0 || setuid(spawn->user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, spawn->death_signal); // a change of user takes it away
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = spawn->log ? open(spawn->log, O_WRONLY | O_APPEND | O_CLOEXEC) : null;
    dup2(null, 0);
    dup2(spawn->out >= 0 ? spawn->out : null, 1);
    dup2(log >= 0 ? log : null, 2);
    execvp(spawn->argv[0], (char *const *)spawn->argv);
    _exit(127);
}

static pid_t start(const struct spawn *spawn)
{
    pid_t pid = fork();
    if (pid == 0)
        become(spawn);
    return pid;
}

static bool run(const struct spawn *spawn)
{
    int status;
    pid_t pid = start(spawn);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void stop(pid_t *pid, int number)
{
    if (*pid <= 0)
        return;
    kill(*pid, number);
    for (int i = 0; i < 10 * STEPS_PER_SECOND; i++) {
        if (waitpid(*pid, NULL, WNOHANG) != 0) {
            *pid = 0;
            return;
        }
        nap();
    }
    kill(*pid, SIGKILL);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int port = -1;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(address.sin_port);
    if (fd >= 0)
        close(fd);
    return port;
}

// ------------------------------------------------------------------------------- PostgreSQL

// The newest installed server's directory of programs.
static bool find_programs(char *out, size_t out_bytes)
{
    glob_t found;
    bool ok = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0 && found.gl_pathc > 0;
    if (ok)
        snprintf(out, out_bytes, "%.*s",
                 (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/initdb")),
                 found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return ok;
}

static bool prepare_directory(const char *directory, const struct passwd *user)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return false;
    return !user || chown(directory, user->pw_uid, user->pw_gid) == 0;
}

static bool make_cluster(const char *programs, const char *data, const struct passwd *user)
{
    char initdb[300];
    snprintf(initdb, sizeof(initdb), "%s/initdb", programs);
    const char *argv[] = {initdb,     "-D", data,   "-A",          "trust", "-U",
                          "postgres", "-E", "UTF8", "--no-locale", NULL};
    struct spawn spawn = {argv, user, -1, NULL, SIGKILL};
    return run(&spawn);
}

static bool make_database(const char *server)
{
    struct pg_error error;
    struct pg_session *session = NULL;
    for (int i = 0; i < START_SECONDS * STEPS_PER_SECOND && !session; i++) {
        session = pg_session_open(server, "dev", &error);
        if (!session)
            nap();
    }
    if (!session)
        return false;
    bool ok = pg_query(session, "create database precis", NULL, 0, NULL, &error) ||
              strcmp(error.sqlstate, "42P04") == 0; // it is there already
    pg_session_close(session);
    return ok;
}

static bool start_server(struct private_postgres *postgres, const char *programs, const char *data,
                         const struct passwd *user)
{
    char program[300], port[16];
    snprintf(program, sizeof(program), "%s/postgres", programs);
    snprintf(port, sizeof(port), "%d", free_port());
    const char *argv[] = {program,
                          "-D",
                          data,
                          "-p",
                          port,
                          "-c",
                          "listen_addresses=127.0.0.1",
                          "-c",
                          "unix_socket_directories=",
                          "-c",
                          "log_error_verbosity=terse",
                          "-c",
                          "log_parameter_max_length_on_error=0",
                          "-c",
                          "max_connections=50",
                          NULL};
    struct spawn spawn = {argv, user, -1, NULL, SIGINT};
    postgres->pid = start(&spawn);
    char server[128];
    snprintf(server, sizeof(server), "postgresql://postgres@127.0.0.1:%s/postgres", port);
    snprintf(postgres->conninfo, sizeof(postgres->conninfo),
             "postgresql://postgres@127.0.0.1:%s/precis", port);
    return postgres->pid > 0 && make_database(server);
}

bool private_postgres_start(struct private_postgres *postgres, const char *directory, char *problem,
                            size_t problem_bytes)
{
    *postgres = (struct private_postgres){0};
    char programs[256], data[300], version[320];
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    struct stat about;
    if (!find_programs(programs, sizeof(programs)) || (geteuid() == 0 && !user)) {
        snprintf(problem, problem_bytes,
                 "PostgreSQL's server is not installed; `tools/setup --run` installs it");
        return false;
    }
    snprintf(data, sizeof(data), "%s/postgresql", directory);
    snprintf(version, sizeof(version), "%s/PG_VERSION", data);
    bool fresh = stat(version, &about) != 0;
    if (!prepare_directory(data, user) || (fresh && !make_cluster(programs, data, user))) {
        snprintf(problem, problem_bytes,
                 "no database could be made in %s; may the user `%s` enter that folder?", data,
                 user ? user->pw_name : "you");
        return false;
    }
    if (!start_server(postgres, programs, data, user)) {
        snprintf(problem, problem_bytes, "PostgreSQL in %s did not start", data);
        private_postgres_stop(postgres);
        return false;
    }
    return true;
}

void private_postgres_stop(struct private_postgres *postgres)
{
    stop(&postgres->pid, SIGINT);
}

// ------------------------------------------------------------------------------- simulator

// "listening on 127.0.0.1:PORT" is its first line.
static bool read_address(int fd, char *out, size_t out_bytes)
{
    char line[200];
    size_t len = 0;
    while (len + 1 < sizeof(line) && read(fd, line + len, 1) == 1 && line[len] != '\n')
        len++;
    line[len] = '\0';
    const char *at = strstr(line, "127.0.0.1:");
    if (at)
        snprintf(out, out_bytes, "%s", at);
    return at != NULL;
}

bool simulator_start(struct simulator *simulator, const char *program, const char *const *arguments,
                     char *problem, size_t problem_bytes)
{
    *simulator = (struct simulator){0};
    const char *argv[32] = {program, "--listen", "127.0.0.1:0"};
    for (size_t i = 0; i < 28 && arguments[i]; i++)
        argv[3 + i] = arguments[i];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    struct spawn spawn = {argv, NULL, ends[1], NULL, SIGTERM};
    simulator->pid = start(&spawn);
    close(ends[1]);
    bool ok =
        simulator->pid > 0 && read_address(ends[0], simulator->address, sizeof(simulator->address));
    close(ends[0]);
    if (!ok) {
        snprintf(problem, problem_bytes, "the model simulator %s did not start", program);
        simulator_stop(simulator);
    }
    return ok;
}

void simulator_stop(struct simulator *simulator)
{
    stop(&simulator->pid, SIGTERM);
}
