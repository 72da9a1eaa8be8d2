/*
 * Time for deadlines and records: unix milliseconds that never jump while the machine is up.
 * It is CLOCK_BOOTTIME plus an offset taken from the wall clock once a boot; the offset is kept
 * by the store together with the boot id, so that a restarted server goes on with the same
 * clock and a step of the wall clock cannot cut a grace short. Across boots the clock starts
 * anew from the wall, but never behind the last time that was recorded.
 */
#ifndef QL_BASE_CLOCK_H
#define QL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define QL_BOOT_ID 37 /* a uuid and its NUL */

struct ql_clock {
	int64_t offset_ms; /* added to CLOCK_BOOTTIME */
	char boot_id[QL_BOOT_ID];
};

/*
 * kept is what the store kept from the last time (boot_id empty when nothing), last_ms the latest
 * time it has recorded. Writes the clock to go on with, which the caller keeps in the store.
 */
void ql_clock_init(struct ql_clock *clock, const struct ql_clock *kept, int64_t last_ms);

int64_t ql_clock_now(const struct ql_clock *clock);

/* RFC 3339, UTC, milliseconds: 2026-01-02T03:04:05.678Z (24 characters and a NUL). */
#define QL_TIME_TEXT 25
void ql_time_text(int64_t ms, char ret_text[static QL_TIME_TEXT]);

/* The reverse, for query parameters. -1 when it isn't such a time. */
int ql_time_parse(const char *text, int64_t *ret_ms);

#endif
