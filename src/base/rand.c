#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void
ql_rand_bytes(void *ret_bytes, size_t len)
{
	unsigned char *at = ret_bytes;
	while (len) {
		ssize_t n = getrandom(at, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort();
		at += n;
		len -= (size_t)n;
	}
}

uint64_t
ql_rand_u64(void)
{
	uint64_t value = 0;
	while (!value)
		ql_rand_bytes(&value, sizeof(value));
	return value;
}

void
ql_rand_id(int64_t now_ms, char ret_id[static QL_RAND_ID])
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	unsigned char noise[16];
	ql_rand_bytes(noise, sizeof(noise));
	for (int i = 9; i >= 0; i--, now_ms >>= 5)
		ret_id[i] = digits[now_ms & 31];
	for (int i = 0; i < 16; i++)
		ret_id[10 + i] = digits[noise[i] & 31];
	ret_id[26] = 0;
}

/* xorshift64* */
uint64_t
ql_rand_draw(uint64_t *seed)
{
	uint64_t x = *seed;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*seed = x;
	return x * 0x2545f4914f6cdd1dULL;
}

bool
ql_rand_strikes(uint64_t *seed, int chance)
{
	return chance > 0 && (int)(ql_rand_draw(seed) >> 33) % 1000 < chance;
}

int64_t
ql_rand_delay(uint64_t *seed, int64_t most)
{
	return most > 0 ? 1 + (int64_t)(ql_rand_draw(seed) >> 1) % most : 0;
}
