/* Randomness from the kernel. Blocks only before the kernel's pool is ready, early in a boot. */
#ifndef QL_BASE_RAND_H
#define QL_BASE_RAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void ql_rand_bytes(void *ret_bytes, size_t len);

/* Never 0. */
uint64_t ql_rand_u64(void);

/* The next of a row that its seed, which is not 0, determines: for worlds that are replayed. */
uint64_t ql_rand_draw(uint64_t *seed);

/* Of that row: true as often as `chance` says, out of 1000. Nothing is drawn for a chance of 0. */
bool ql_rand_strikes(uint64_t *seed, int chance);

/* Of that row: 1 .. most; 0 where that is 0. */
int64_t ql_rand_delay(uint64_t *seed, int64_t most);

/* 26 characters of Crockford's base32 (lower case): time first, so that ids sort by age. */
#define QL_RAND_ID 27
void ql_rand_id(int64_t now_ms, char ret_id[static QL_RAND_ID]);

#endif
