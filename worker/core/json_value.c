// SPDX-License-Identifier: Apache-2.0
// Equality, order and divisibility of JSON values.
#include "core/json_value.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

_Static_assert(LDBL_MANT_DIG >= 64, "a long double must hold every int64 exactly");

__extension__ typedef unsigned __int128 wide;

static long double number_of(const json_t *value)
{
    return json_is_integer(value) ? (long double)json_integer_value(value)
                                  : (long double)json_real_value(value);
}

int json_value_compare(const json_t *a, const json_t *b)
{
    long double x = number_of(a), y = number_of(b);
    return (x > y) - (x < y);
}

bool json_value_is_integer(const json_t *value)
{
    if (json_is_integer(value))
        return true;
    return json_is_real(value) && floor(json_real_value(value)) == json_real_value(value);
}

static bool objects_equal(const json_t *a, const json_t *b)
{
    if (json_object_size(a) != json_object_size(b))
        return false;
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)a, name, member)
    {
        const json_t *other = json_object_get(b, name);
        if (!other || !json_value_equal(member, other))
            return false;
    }
    return true;
}

static bool arrays_equal(const json_t *a, const json_t *b)
{
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!json_value_equal(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return true;
}

bool json_value_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_value_compare(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_object(a))
        return objects_equal(a, b);
    if (json_is_array(a))
        return arrays_equal(a, b);
    if (json_is_string(a))
        return json_string_length(a) == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
    return true;
}

static uint64_t mix(uint64_t hash, uint64_t more)
{
    hash = (hash ^ more) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

static uint64_t hash_bytes(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return mix(hash, len);
}

// The same for 1 and 1.0, and for 0 and -0.0.
static uint64_t hash_number(const json_t *value)
{
    double real = json_number_value(value);
    if (real == 0)
        return 1;
    uint64_t bits;
    memcpy(&bits, &real, sizeof(bits));
    return mix(2, bits);
}

uint64_t json_value_hash(const json_t *value)
{
    if (json_is_number(value))
        return hash_number(value);
    uint64_t hash = mix(3, (uint64_t)json_typeof(value));
    if (json_is_string(value))
        return hash_bytes(hash, json_string_value(value), json_string_length(value));
    for (size_t i = 0; i < json_array_size(value); i++)
        hash = mix(hash, json_value_hash(json_array_get(value, i)));
    const char *name;
    json_t *member;
    uint64_t members = 0; // a sum, because members have no order
    json_object_foreach((json_t *)value, name, member) members +=
        mix(hash_bytes(4, name, strlen(name)), json_value_hash(member));
    return mix(hash, members);
}

struct hashed {
    uint64_t hash;
    const json_t *value;
};

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct hashed *)a)->hash, y = ((const struct hashed *)b)->hash;
    return (x > y) - (x < y);
}

// Sorted by hash; only those with equal hashes are compared.
bool json_value_has_twins(const json_t *array)
{
    size_t len = json_array_size(array);
    struct hashed *items OWN_FREE = own_array(len, sizeof(struct hashed));
    for (size_t i = 0; i < len; i++) {
        const json_t *value = json_array_get(array, i);
        items[i] = (struct hashed){.hash = json_value_hash(value), .value = value};
    }
    qsort(items, len, sizeof(struct hashed), by_hash);
    for (size_t i = 0; i < len; i++)
        for (size_t j = i + 1; j < len && items[j].hash == items[i].hash; j++)
            if (json_value_equal(items[i].value, items[j].value))
                return true;
    return false;
}

// The amount of a number as mantissa · 10^exponent.
struct decimal {
    uint64_t mantissa;
    int exponent;
};

// The decimal of fewest digits that reads back as the same real: what was written, for anything a
// person or a model writes.
static struct decimal decimal_of_real(double real)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, real);
        if (strtod(text, NULL) == real)
            break;
    }
    struct decimal decimal = {0};
    bool fraction = false;
    const char *at = text;
    for (; *at && *at != 'e'; at++) {
        if (*at == '.')
            fraction = true;
        else {
            decimal.mantissa = decimal.mantissa * 10 + (uint64_t)(*at - '0');
            decimal.exponent -= fraction ? 1 : 0;
        }
    }
    CHECK(*at == 'e');
    decimal.exponent += (int)strtol(at + 1, NULL, 10);
    return decimal;
}

static struct decimal decimal_of(const json_t *value)
{
    struct decimal decimal = {0};
    if (json_is_integer(value)) {
        json_int_t integer = json_integer_value(value);
        decimal.mantissa = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    } else {
        decimal = decimal_of_real(fabs(json_real_value(value)));
    }
    for (; decimal.mantissa != 0 && decimal.mantissa % 10 == 0; decimal.exponent++)
        decimal.mantissa /= 10;
    return decimal;
}

bool json_value_is_multiple(const json_t *value, const json_t *divisor)
{
    struct decimal a = decimal_of(value), b = decimal_of(divisor);
    CHECK(b.mantissa > 0);
    if (a.mantissa == 0)
        return true;
    // a · 10^shift modulo b, one digit at a time
    int shift = a.exponent - b.exponent;
    uint64_t rest = a.mantissa % b.mantissa;
    for (; shift > 0 && rest != 0; shift--)
        rest = (uint64_t)((wide)rest * 10 % b.mantissa);
    if (shift >= 0)
        return rest == 0;
    // a modulo b · 10^-shift: a has no trailing zero, so it is no multiple of a multiple of ten
    return false;
}
