/*
 * Orphans: processes, cgroups, mounts and folders that are Quell's and that no record accounts for;
 * and tasks and containers that live on though their evaluation is settled. What a finder comes upon
 * is a *trace*; these rules say what it is held for, and what is done.
 *
 * Nothing is ended on one mark. An orphan carries two independent ones, of which at least one names
 * this server itself; no live record knows it; it is older than a minute; and it was found in two
 * looks, one after the other. Whatever names another server's data folder is not looked at.
 */
#ifndef QL_RULES_ORPHAN_H
#define QL_RULES_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/record.h"

#define QL_TRACE_NAME 512 /* bytes of a path, or of a process's name and time */
#define QL_TRACE_TEXT 160
#define QL_ORPHAN_REAPS 32 /* at most in one sweep, whoever asks */
#define QL_ORPHAN_LOOKS 2 /* in a row, before one is reaped */
#define QL_ORPHAN_SERVER 17 /* bytes of a server's name, with its NUL */
#define QL_ORPHAN_EARLIER 64 /* names of earlier lives that are known */

enum ql_orphan_kind {
#define X(kind, word, what) QL_ORPHAN_##kind,
#include "rules/orphan.def"
#undef X
	QL_ORPHAN_KINDS
};

enum ql_orphan_mark {
#define X(mark, word, ours, what) QL_MARK_##mark,
#include "rules/orphan_mark.def"
#undef X
	QL_MARK_COUNT
};

/* One thing that was found. */
struct ql_trace {
	enum ql_orphan_kind kind;
	uint32_t marks; /* bits 1 << enum ql_orphan_mark */
	uint64_t incarnation; /* of which run; 0 = it is no run's */
	char eval_id[QL_EVAL_ID]; /* FOLDER, CONTAINER, TASK: whose */
	int32_t attempt;
	int32_t pid; /* PROCESS */
	uint64_t start; /* its start time: with the pid its name for ever */
	char id[QL_TASK_ID]; /* TASK: its own; CONTAINER: in full */
	int64_t since; /* TASK, CONTAINER: unix ms when it began, as its own host counts; 0 = not known */
	int64_t age_ms; /* -1 = not known */
	char name[QL_TRACE_NAME]; /* the path, or "12@3456": the same one has the same name */
	char text[QL_TRACE_TEXT]; /* what it is, for people; may be empty */
};

enum ql_orphan_verdict {
	QL_ORPHAN_LIVE, /* a live record accounts for it */
	QL_ORPHAN_YOUNG, /* whoever makes it may not be through */
	QL_ORPHAN_UNSURE, /* too few marks: shown, never touched */
	QL_ORPHAN_FRESH, /* an orphan, found once so far */
	QL_ORPHAN_RIPE, /* an orphan, found again: may be reaped */
	QL_ORPHAN_VERDICTS
};

/* What is known of it beyond the trace itself. */
struct ql_orphan_facts {
	bool recorded; /* a live record, or one that owns the folder */
	int64_t known_ms; /* since it was first found */
	int64_t min_age_ms;
	int looks; /* in a row, this one included */
};

enum ql_orphan_verdict
ql_orphan_judge(const struct ql_trace *trace, const struct ql_orphan_facts *facts);

/*
 * Did a task or container outlive its record? Then it is the record's own, and what becomes of it is
 * for this server to say. What began after the end may be another's under the same id: of what
 * others send too, only a run that the record knows, or a container that ran before, is told for sure.
 */
bool ql_orphan_outlived(const struct ql_trace *trace, const struct ql_state *state);

/* Two independent marks, one of them this server's own. */
bool ql_orphan_is_sure(uint32_t marks);

/* Is it the same thing? A pid or a path that changed hands isn't. */
bool ql_trace_is(const struct ql_trace *one, const struct ql_trace *other);

const char *ql_orphan_kind_word(enum ql_orphan_kind kind);
const char *ql_orphan_mark_word(enum ql_orphan_mark mark);
const char *ql_orphan_verdict_word(enum ql_orphan_verdict verdict);

/* ---- names ---- */

/* "quell-<server>-<run>" of a cgroup: 0, and whose it is; -1: it is no name of ours. */
int ql_orphan_leaf(
	const char *name, char ret_server[static QL_ORPHAN_SERVER], uint64_t *ret_incarnation);

/* 16 hex digits, nothing behind them; -1 when it isn't that. */
int ql_orphan_run(const char *text, uint64_t *ret_incarnation);

/* "<eval_id>~<attempt>" of a folder under kept/hh; -1 when it isn't that, or stands elsewhere. */
int ql_orphan_kept(const char *shard, const char *name, char ret_eval_id[static QL_EVAL_ID],
	int32_t *ret_attempt);

#endif
