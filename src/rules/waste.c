#include "rules/waste.h"

#include <string.h>

#include "base/str.h"

/* Four for each doubling: of the numbers within one, the greatest is a quarter over the least. */
static int
bucket_of(int64_t cpu_us)
{
	uint64_t us = cpu_us > 4 ? (uint64_t)cpu_us : 4;
	int power = 63 - __builtin_clzll(us);
	int bucket = (power - 2) * 4 + (int)(us >> (power - 2) & 3);
	return bucket < QL_WASTE_BUCKETS ? bucket : QL_WASTE_BUCKETS - 1;
}

static int
find(const struct ql_waste *waste, const char *language)
{
	for (int i = 0; i < waste->count; i++) {
		if (!strncmp(waste->languages[i].name, language, QL_WASTE_NAME - 1))
			return i;
	}
	return waste->count < QL_WASTE_LANGUAGES ? -1 : QL_WASTE_LANGUAGES - 1;
}

void
ql_waste_finished(struct ql_waste *waste, const char *language, int64_t cpu_us)
{
	const char *name = language ? language : "";
	int at = find(waste, name);
	if (at < 0) {
		at = waste->count++;
		ql_str_copy(waste->languages[at].name, QL_WASTE_NAME, name);
	}
	int bucket = bucket_of(cpu_us);
	waste->languages[at].counts[bucket]++;
	waste->languages[at].sums_us[bucket] += (double)cpu_us;
}

int64_t
ql_waste_saved(const struct ql_waste *waste, const char *language, int64_t cpu_us)
{
	int at = find(waste, language ? language : "");
	uint64_t count = 0;
	double sum_us = 0;
	if (at < 0)
		return -1;
	for (int i = cpu_us > 0 ? bucket_of(cpu_us) + 1 : 0; i < QL_WASTE_BUCKETS; i++) {
		count += waste->languages[at].counts[i];
		sum_us += waste->languages[at].sums_us[i];
	}
	return count < QL_WASTE_LEAST ? -1 : (int64_t)(sum_us / (double)count) - cpu_us;
}
