// SPDX-License-Identifier: Apache-2.0
// Reads the command line, listens, and serves until a signal says to stop.
#include "respond.h"
#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { EXIT_USAGE = 2 };

uint64_t sim_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// splitmix64
uint64_t sim_random(struct sim *sim, uint64_t below)
{
    uint64_t value = sim->random += 0x9E3779B97F4A7C15U;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
    return below ? (value ^ (value >> 31)) % below : 0;
}

void sim_reset(struct sim *sim)
{
    bill_reset(&sim->bill);
    limits_reset(&sim->limits);
    prefix_free(&sim->prefixes);
    sim->closed_count = 0;
    attempts_free(&sim->attempts);
    sim->random = sim->settings.seed;
    sim->settings.next_count = 0;
    sim->next_fault = 0;
    sim->requests = 0;
    sim->completions = 0;
    sim->in_flight_most = sim->in_flight;
    memset(sim->by_status, 0, sizeof sim->by_status);
}

static void close_key(struct sim *sim, size_t key, uint64_t until_ms)
{
    if (key >= sim->closed_count) {
        sim->closed_until_ms =
            must_realloc(sim->closed_until_ms, (key + 1) * sizeof *sim->closed_until_ms);
        while (sim->closed_count <= key)
            sim->closed_until_ms[sim->closed_count++] = 0;
    }
    sim->closed_until_ms[key] = until_ms;
}

void sim_close_keys(struct sim *sim)
{
    const struct settings *settings = &sim->settings;
    size_t keys = settings->key_count ? settings->key_count : 1;
    uv_update_time(&sim->loop);
    for (size_t i = 0; i < settings->closure_count; i++)
        for (size_t key = 0; key < keys; key++)
            if (strcmp(settings->closures[i].key, "*") == 0 ||
                (settings->key_count > 0 &&
                 strcmp(settings->closures[i].key, settings->keys[key].text) == 0))
                close_key(sim, key, uv_now(&sim->loop) + settings->closures[i].ms);
    settings_drop_closures(&sim->settings);
}

static void on_request(void *context, const struct http_request *request, struct reply *reply)
{
    static const char missing[] = "{\"error\":{\"message\":\"Unknown request URL.\",\"type\":"
                                  "\"invalid_request_error\",\"param\":null,\"code\":null}}\n";
    struct sim *sim = context;
    sim->requests++;
    if (strcmp(request->path, "/v1/chat/completions") == 0) {
        chat_answer(sim, request, reply);
        return;
    }
    if (control_answer(sim, request, reply))
        return;
    struct head head = {.status = 404,
                        .content_type = "application/json",
                        .request_number = sim->requests,
                        .wall_ms = sim_wall_ms()};
    respond_simple(&head, missing, sizeof missing - 1, reply);
}

static void on_played(void *context, reply_call call, bool complete)
{
    struct sim *sim = context;
    sim->in_flight--;
    bill_settle(&sim->bill, call, complete);
}

// --- the command line

static void print_help(void)
{
    struct buf text = {0};
    buf_add_text(&text, "modelsim: a model API to test against (OpenAI chat completions).\n\n"
                        "usage: modelsim [options]\n\n");
    settings_help(&text);
    buf_add_text(&text,
                 "  --list-faults              what can be made to go wrong\n"
                 "  --version, --help\n\n"
                 "GET /sim/bill[?calls=1], GET /sim/usage[?format=csv], GET /sim/stats, POST "
                 "/sim/reset, POST /sim/script {option: value}\n");
    fputs(text.data, stdout);
    buf_free(&text);
}

static void print_faults(void)
{
    for (size_t i = 0; fault_at(i); i++)
        printf("%-26s %s\n", fault_at(i)->name, fault_at(i)->help);
}

// Options that only print. True when there was one.
static bool print_asked(const char *option)
{
    if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0)
        print_help();
    else if (strcmp(option, "--version") == 0)
        puts("modelsim " PRECIS_VERSION);
    else if (strcmp(option, "--list-faults") == 0)
        print_faults();
    else
        return false;
    return true;
}

// "--name value", "--name=value" or "--flag". False after a message on stderr.
static bool read_option(struct settings *settings, int argc, char **argv, int *at)
{
    char why[WHY_BYTES];
    char *name = argv[*at];
    if (strncmp(name, "--", 2) != 0) {
        fprintf(stderr, "modelsim: unexpected argument: %s (see --help)\n", name);
        return false;
    }
    name += 2;
    char *value = strchr(name, '=');
    if (value)
        *value++ = '\0';
    else if (settings_is_flag(name))
        value = (char *)(uintptr_t) "true";
    else if (*at + 1 < argc)
        value = argv[++*at];
    if (!value) {
        fprintf(stderr, "modelsim: --%s needs a value (see --help)\n", name);
        return false;
    }
    if (settings_set(settings, name, value, why))
        return true;
    fprintf(stderr, "modelsim: %s (see --help)\n", why);
    return false;
}

static bool read_address(const char *listen, struct sockaddr_in *out)
{
    char host[64];
    const char *colon = strrchr(listen, ':');
    char *end;
    if (!colon || (size_t)(colon - listen) >= sizeof host)
        return false;
    memcpy(host, listen, (size_t)(colon - listen));
    host[colon - listen] = '\0';
    long port = strtol(colon + 1, &end, 10);
    return end != colon + 1 && *end == '\0' && port >= 0 && port < 65536 &&
           uv_ip4_addr(host, (int)port, out) == 0;
}

// --- serving

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static int serve(struct sim *sim, const struct sockaddr_in *address)
{
    struct http_handler handler = {sim, on_request, on_played};
    uv_signal_t signals[2];
    int port = 0;
    int error = http_server_start(&sim->server, &sim->loop, address, handler, &port);
    if (error) {
        fprintf(stderr, "modelsim: cannot listen on %s: %s\n", sim->settings.listen,
                uv_strerror(error));
    } else {
        uv_signal_init(&sim->loop, &signals[0]);
        uv_signal_init(&sim->loop, &signals[1]);
        uv_signal_start(&signals[0], on_signal, SIGTERM);
        uv_signal_start(&signals[1], on_signal, SIGINT);
        char host[64];
        uv_ip4_name(address, host, sizeof host);
        printf("listening on %s:%d\n", host, port);
        fflush(stdout);
        uv_run(&sim->loop, UV_RUN_DEFAULT);
        uv_close((uv_handle_t *)&signals[0], NULL);
        uv_close((uv_handle_t *)&signals[1], NULL);
    }
    http_server_stop(&sim->server);
    uv_run(&sim->loop, UV_RUN_DEFAULT);
    http_server_deinit(&sim->server);
    return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

// Thousands of calls in flight are thousands of descriptors.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void sim_free(struct sim *sim)
{
    bill_free(&sim->bill);
    limits_reset(&sim->limits);
    prefix_free(&sim->prefixes);
    free(sim->closed_until_ms);
    attempts_free(&sim->attempts);
    request_free(&sim->request);
    answer_scratch_free(&sim->answer);
    buf_free(&sim->content);
    buf_free(&sim->headers);
    body_free(&sim->body);
    settings_free(&sim->settings);
    uv_loop_close(&sim->loop);
}

int main(int argc, char **argv)
{
    struct sim sim = {.bill = {.generation = 1}};
    struct sockaddr_in address;
    bool good = true;
    for (int i = 1; i < argc; i++)
        if (print_asked(argv[i]))
            return EXIT_SUCCESS;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    uv_loop_init(&sim.loop);
    settings_init(&sim.settings);
    for (int i = 1; good && i < argc; i++)
        good = read_option(&sim.settings, argc, argv, &i);
    if (good && !read_address(sim.settings.listen, &address)) {
        fprintf(stderr, "modelsim: --listen takes an IPv4 address and a port, not %s\n",
                sim.settings.listen);
        good = false;
    }
    sim.random = sim.settings.seed;
    sim_close_keys(&sim);
    sim.bill.most_entries = sim.settings.bill_calls;
    int code = good ? serve(&sim, &address) : EXIT_USAGE;
    sim_free(&sim);
    return code;
}
