/*
 * What one principal did that looks like abuse. It is counted and shown, and refuses nothing: people
 * judge. All of it is bounded, and in memory alone.
 */
#ifndef QL_RULES_ABUSE_H
#define QL_RULES_ABUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/record.h"

#define QL_ABUSE_RECENT 32 /* submissions that are remembered, to know them again */
#define QL_ABUSE_LOOP 5 /* resubmissions after a cancel: then they are a loop */
#define QL_ABUSE_SCAN 100 /* misses in one window: then they are a scan */
#define QL_ABUSE_SCAN_MS 60000

enum ql_abuse_pattern {
#define X(pattern, word, what) QL_ABUSE_##pattern##_SEEN,
#include "rules/abuse.def"
#undef X
	QL_ABUSE_COUNT
};

const char *ql_abuse_word(enum ql_abuse_pattern pattern);

/* One submission, known again by what it runs. */
struct ql_abuse_recent {
	uint64_t print; /* of code and labels; 0 = unused */
	uint64_t id; /* hash of the evaluation's */
	bool stopped; /* it was cancelled since */
	int32_t rounds; /* cancels that were followed by a resubmission */
};

struct ql_abuse {
	int64_t seen[QL_ABUSE_COUNT]; /* how often each pattern was */
	int64_t confirmed; /* storms that were confirmed */
	int64_t missed; /* answers 404, in all */
	int64_t miss_since;
	int64_t misses; /* in this window */
	int64_t resubmitted; /* after a cancel, in all */
	uint32_t next; /* the oldest of recent */
	struct ql_abuse_recent recent[QL_ABUSE_RECENT];
};

/* What it runs and how it is labelled, as a number; whose it is and its id don't count. */
uint64_t ql_abuse_print(const struct ql_record *record);

/* Each says whether that makes a pattern, once for each time that it does. */
bool ql_abuse_missed(struct ql_abuse *abuse, int64_t now);
bool ql_abuse_submitted(struct ql_abuse *abuse, uint64_t print, const char *eval_id);

void ql_abuse_stopped(struct ql_abuse *abuse, const char *eval_id);

/* There is something to tell. */
bool ql_abuse_any(const struct ql_abuse *abuse);

#endif
