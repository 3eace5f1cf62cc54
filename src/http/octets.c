#include "evenkeel/http/octets.h"

#define T OCTETS_TOKEN
#define V OCTETS_TARGET
#define R OCTETS_REG_NAME

/* Ranges do not overlap: each byte is set once. */
const unsigned char octets_class[256] = {
    ['!'] = T | V | R,
    ['"'] = V,
    ['#'] = T,
    ['$'] = T | V | R,
    ['%'] = T | V,
    ['&' ... '\''] = T | V | R,
    ['(' ... ')'] = V | R,
    ['*' ... '+'] = T | V | R,
    [','] = V,
    ['-' ... '.'] = T | V | R,
    ['/'] = V,
    ['0' ... '9'] = T | V | R,
    [':'] = V,
    [';'] = V | R,
    ['<'] = V,
    ['='] = V | R,
    ['>' ... '@'] = V,
    ['A' ... 'Z'] = T | V | R,
    ['[' ... ']'] = V,
    ['^'] = T | V,
    ['_'] = T | V | R,
    ['`'] = T | V,
    ['a' ... 'z'] = T | V | R,
    ['{'] = V,
    ['|'] = T | V,
    ['}'] = V,
    ['~'] = T | V | R,
};
