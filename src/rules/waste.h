/*
 * What a stop saves: the processor time that the run would have used yet. Nobody knows it, so it is
 * estimated from runs of the same language that ended by themselves since the server's start: of
 * those that used more than this one had, the mean of what they used beyond that. It is a guess from
 * likes, not a measurement, and it is none while fewer than QL_WASTE_LEAST such runs were seen: a run
 * that went on for longer than nearly all others may have gone on for ever, and nothing is claimed of it.
 */
#ifndef QL_RULES_WASTE_H
#define QL_RULES_WASTE_H

#include <stdint.h>

#define QL_WASTE_LANGUAGES 32 /* the rest share the last place */
#define QL_WASTE_NAME 32
#define QL_WASTE_BUCKETS 160 /* four for each doubling of microseconds */
#define QL_WASTE_LEAST 5

struct ql_waste_language {
	char name[QL_WASTE_NAME];
	uint32_t counts[QL_WASTE_BUCKETS];
	double sums_us[QL_WASTE_BUCKETS];
};

struct ql_waste {
	struct ql_waste_language languages[QL_WASTE_LANGUAGES];
	int count;
};

/* One ended by itself after that much; language NULL for a bare command. */
void ql_waste_finished(struct ql_waste *waste, const char *language, int64_t cpu_us);

/* What one saves that is stopped after that much; -1 when too few are known. */
int64_t ql_waste_saved(const struct ql_waste *waste, const char *language, int64_t cpu_us);

#endif
