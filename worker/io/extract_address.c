// SPDX-License-Identifier: Apache-2.0
// Which addresses and hosts https: documents may come from. The ranges are those of the IANA
// registries of special-purpose addresses (RFC 6890 and its updates).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/extract_url.h"

static const struct range {
    uint32_t first;
    int bits;
} closed[] = {
    {0x00000000, 8},  // this network
    {0x0a000000, 8},  // private
    {0x64400000, 10}, // shared by carriers (CGNAT)
    {0x7f000000, 8},  // loopback
    {0xa9fe0000, 16}, // link-local, and the metadata of clouds
    {0xac100000, 12}, // private
    {0xc0000000, 24}, // protocol assignments
    {0xc0000200, 24}, // documentation
    {0xc0586300, 24}, // 6to4 relays
    {0xc0a80000, 16}, // private
    {0xc6120000, 15}, // benchmarks
    {0xc6336400, 24}, // documentation
    {0xcb007100, 24}, // documentation
    {0xe0000000, 4},  // multicast
    {0xf0000000, 4},  // reserved, broadcast
};

static bool is_public_v4(uint32_t address)
{
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        if ((address ^ closed[i].first) >> (32 - closed[i].bits) == 0)
            return false;
    return true;
}

// Only global unicast, 2000::/3, and of it nothing that carries another address.
static bool is_public_v6(const unsigned char bytes[16])
{
    if ((bytes[0] & 0xe0) != 0x20)
        return false;
    if (bytes[0] == 0x20 && bytes[1] == 0x02) // 6to4
        return false;
    if (bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] < 0x02) // 2001::/23: Teredo, ORCHID, …
        return false;
    if (memcmp(bytes, "\x20\x01\x0d\xb8", 4) == 0) // documentation
        return false;
    return !(bytes[0] == 0x3f && bytes[1] == 0xff && bytes[2] < 0x10); // documentation
}

bool address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof(v4));
        return is_public_v4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof(v6));
        return is_public_v6(v6.sin6_addr.s6_addr);
    }
    return false;
}

// "name", "name:port", "*.name", "*.name:port".
static bool host_matches(const char *pattern, const char *host, int port)
{
    const char *colon = strrchr(pattern, ':');
    size_t len = colon ? (size_t)(colon - pattern) : strlen(pattern), host_len = strlen(host);
    char wanted[8];
    snprintf(wanted, sizeof(wanted), "%d", port);
    if (strcmp(colon ? colon + 1 : "443", wanted) != 0)
        return false;
    if (strncmp(pattern, "*.", 2) != 0)
        return len == host_len && strncasecmp(pattern, host, len) == 0;
    size_t tail = len - 1; // with its dot
    return host_len > tail && strncasecmp(host + host_len - tail, pattern + 1, tail) == 0;
}

bool host_is_allowed(char *const *hosts, const char *host, int port)
{
    for (; hosts && *hosts; hosts++)
        if (host_matches(*hosts, host, port))
            return true;
    return false;
}
