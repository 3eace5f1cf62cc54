/*
 * date - HTTP-date and Retry-After: what a server means by a time.
 *
 * Layer: http.  Pure.
 *
 * Sources: RFC 9110 5.6.7 (the three forms of a date), 10.2.3 (Retry-After).
 */
#ifndef EVENKEEL_HTTP_DATE_H
#define EVENKEEL_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "evenkeel/base/span.h"

/* A longer Retry-After is taken as this. */
#define DATE_RETRY_AFTER_MAX_MS 86400000U

/*
 * Seconds since the Unix epoch (UTC).  Takes IMF-fixdate and the two obsolete
 * forms (RFC 850, asctime), each in full; the name of the day is not compared
 * with the date.  `now_s` tells the century of a two-digit year.  False: it is
 * none of them, or before 1970.
 */
bool date_parse(struct span text, uint64_t now_s, uint64_t *seconds)
    __attribute__((warn_unused_result));

/*
 * How long a Retry-After asks to wait from `now_ms` (Unix epoch): a number of
 * seconds, or a date.  0: not at all (a date in the past), or malformed.
 */
uint64_t date_retry_after_ms(struct span value, uint64_t now_ms);

#endif
