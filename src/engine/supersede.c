/*
 * Whom a submission supersedes: its owner's older ones with the same key are scanned for, brought
 * into memory, held there, and cancelled in the commit in which the newer one is queued.
 */
#include "engine/submission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

struct older {
	struct older *prev, *next;
	struct ql_live *live; /* pinned */
	const char *by; /* the eval_id that supersedes it: the submission's record's */
};

static void scan_older(struct submission *submission);

static void
drop_older(struct submission *submission)
{
	struct older *older, *next;
	DL_FOREACH_SAFE (submission->older, older, next) {
		ql_live_release(older->live);
		free(older);
	}
	submission->older = NULL;
}

void
ql_supersede_leave(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	drop_older(submission);
	if (!submission->at_door)
		return;
	DL_DELETE(engine->superseding, submission);
	if (engine->superseding)
		scan_older(engine->superseding);
}

static void
cancel_older(struct submission *submission, const struct older *older)
{
	char reason[QL_EVAL_ID + 32];
	snprintf(reason, sizeof(reason), "superseded by %s", older->by);
	struct ql_decision decision;
	struct feeding feeding = {
		.event = {.kind = QL_EVENT_CANCEL,
			.mode = QL_MODE_CANCEL,
			.cause = QL_CAUSE_SUPERSEDED,
			.grace_ms = -1},
		.actor = submission->op->caller.actor,
		.reason = reason,
	};
	ql_feed(older->live, &feeding, &decision);
}

void
ql_supersede_cancel(struct submission *submission)
{
	const struct older *older;
	DL_FOREACH (submission->older, older)
		cancel_older(submission, older);
	drop_older(submission);
}

/* ---- the search ---- */

static void
add_older(struct scan *scan, struct ql_live *live, const struct ql_err *err)
{
	struct submission *submission = QL_OWNER(scan, struct submission, scan);
	if (err && err->code != QL_E_NOT_FOUND)
		submission->err = *err;
	if (err || ql_status_settled((enum ql_status)live->record.state.status))
		return;
	struct older *older = calloc(1, sizeof(*older));
	if (!older) {
		ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory: try again later");
		return;
	}
	older->by = submission->op->records[submission->superseding].eval_id;
	older->live = live;
	live->pins++;
	DL_APPEND(submission->older, older);
}

/* One that was found may have been read again, or forgotten, since it was pinned. */
static void
check_older(struct submission *submission)
{
	struct older *older;
	DL_FOREACH (submission->older, older) {
		if (!ql_live_ready(older->live))
			ql_fail(&submission->err, QL_E_UNAVAILABLE,
				"%s, which this replaces, is being changed: try again",
				older->live->record.eval_id);
	}
}

static void
on_scanned(struct scan *scan, const struct ql_err *err)
{
	struct submission *submission = QL_OWNER(scan, struct submission, scan);
	if (err)
		submission->err = *err;
	submission->superseding++;
	if (submission->err.code)
		ql_submission_finish(submission, &submission->err);
	else
		scan_older(submission);
}

/* Scans for the next key's older ones; decides when there is no further key. */
static void
scan_older(struct submission *submission)
{
	struct ql_submit *op = submission->op;
	size_t i = submission->superseding;
	while (i < op->count && !op->records[i].supersedes)
		i++;
	submission->superseding = i;
	if (i < op->count) {
		submission->scan.each = add_older;
		submission->scan.over = on_scanned;
		submission->scan.read = (struct ql_store_read){.kind = QL_READ_SUPERSEDED,
			.filter = {.owner = op->caller.owner,
				.supersedes = op->records[i].supersedes}};
		ql_scan(submission->engine, &submission->scan);
		return;
	}
	check_older(submission);
	if (submission->err.code)
		ql_submission_finish_later(submission);
	else
		ql_submission_decide(submission);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
refuse_twice(struct ql_submit *op, const char *key, struct ql_err *e)
{
	op->field = "supersedes";
	for (op->index = op->count - 1; op->index; op->index--) {
		const char *other = op->records[op->index].supersedes;
		if (other && !strcmp(other, key))
			break;
	}
	return ql_fail(e, QL_E_INVALID,
		"supersedes %s stands twice in one batch: each would replace the other", key);
}

/* How many records supersede others; -1 when two of them would supersede each other. */
static int
count_keys(struct submission *submission, struct ql_err *e)
{
	struct ql_submit *op = submission->op;
	const char **keys = submission->ids; /* which have been read */
	size_t count = 0;
	for (size_t i = 0; i < op->count; i++) {
		if (op->records[i].supersedes)
			keys[count++] = op->records[i].supersedes;
	}
	qsort(keys, count, sizeof(*keys), compare_names);
	for (size_t i = 1; i < count; i++) {
		if (!strcmp(keys[i - 1], keys[i]))
			return refuse_twice(op, keys[i], e);
	}
	return (int)count;
}

/* One at a time: a key's older ones must be durable before they can be found. */
void
ql_supersede(struct submission *submission)
{
	struct ql_engine *engine = submission->engine;
	int keys = count_keys(submission, &submission->err);
	if (keys < 0) {
		ql_submission_finish_later(submission);
		return;
	}
	if (!keys) {
		ql_submission_decide(submission);
		return;
	}
	bool first = !engine->superseding;
	submission->at_door = true;
	DL_APPEND(engine->superseding, submission);
	if (first)
		scan_older(submission);
}
