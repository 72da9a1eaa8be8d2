#include "store/sql.h"

#include <string.h>

#include "core/record.h"
#include "store/limits.h"

const char ql_sql_schema[] =
#include "store/schema.sql.h"
	;

#define X(name, ...) #name,
static const char *const statuses[] = {
#include "core/status.def"
};
static const char *const causes[] = {
#include "core/cause.def"
};
static const char *const rungs[] = {
#include "core/rung.def"
};
static const char *const modes[] = {
#include "core/mode.def"
};
static const char *const outcomes[] = {
#include "core/outcome.def"
};
static const char *const evidences[] = {
#include "core/evidence.def"
};
static const char *const phases[] = {
#include "core/phase.def"
};
static const char *const outlets[] = {
#include "core/outlet.def"
};
static const char *const objects[] = {
#include "core/object.def"
};
#undef X

const struct ql_sql_words ql_sql_words[] = {
	{"status", QL_STATUS_COUNT, statuses},
	{"cause", QL_CAUSE_COUNT, causes},
	{"rung", QL_RUNG_COUNT, rungs},
	{"mode", QL_MODE_COUNT, modes},
	{"outcome", QL_OUTCOME_COUNT, outcomes},
	{"evidence", QL_EVIDENCE_COUNT, evidences},
	{"phase", QL_PHASE_COUNT, phases},
	{"outlet", QL_OUTLET_COUNT, outlets},
	{"object", QL_OBJECT_COUNT, objects},
	{NULL, 0, NULL},
};

#define X(type, field, means) #field,
static const char *const eval_fields[] = {
#include "core/field_eval.def"
	NULL};
static const char *const cancel_fields[] = {
#include "core/field_cancel.def"
	NULL};
static const char *const run_fields[] = {
#include "core/field_run.def"
	NULL};
#undef X

static const struct {
	const char *prefix;
	const char *const *fields;
} columns[] = {
	{"eval:", eval_fields},
	{"cancel:", cancel_fields},
	{"run:", run_fields},
};

/* The rest of text after prefix, or NULL. */
static const char *
after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);
	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static void
fill_columns(struct ql_buf *buf, const char *const *fields, const char *format, const char *end)
{
	for (; *fields; fields++) {
		for (const char *at = format; at < end; at++) {
			if (*at == '$')
				ql_buf_adds(buf, *fields);
			else
				ql_buf_add(buf, at, 1);
		}
	}
}

static int
fill_last(struct ql_buf *buf, const char *kind, size_t len)
{
	if (after(kind, "run}"))
		return ql_buf_addf(buf, "%d", QL_RUNS - 1);
	if (after(kind, "id}"))
		return ql_buf_addf(buf, "%d", QL_EVAL_ID - 1);
	if (after(kind, "priority}"))
		return ql_buf_addf(buf, "%d", QL_PRIORITY_MAX);
	for (const struct ql_sql_words *words = ql_sql_words; words->kind; words++) {
		if (strlen(words->kind) == len && !strncmp(words->kind, kind, len))
			return ql_buf_addf(buf, "%d", words->count - 1);
	}
	return -1;
}

static int
fill_settled(struct ql_buf *buf)
{
	unsigned set = 0;
	for (int status = 0; status < QL_STATUS_COUNT; status++)
		set |= (unsigned)ql_status_settled((enum ql_status)status) << status;
	return ql_buf_addf(buf, "%u", set);
}

/* mark and end are what stands between the braces. */
static int
fill_mark(struct ql_buf *buf, const char *mark, const char *end)
{
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		const char *format = after(mark, columns[i].prefix);
		if (format) {
			fill_columns(buf, columns[i].fields, format, end);
			return 0;
		}
	}
	const char *kind = after(mark, "last ");
	if (kind)
		return fill_last(buf, kind, (size_t)(end - kind));
	if (after(mark, "settled}"))
		return fill_settled(buf);
	if (after(mark, "cancel}"))
		return ql_buf_addf(buf, "%d", QL_MODE_CANCEL);
	if (after(mark, "queued}"))
		return ql_buf_addf(buf, "%d", QL_STATUS_QUEUED);
	if (after(mark, "unconfirmed}"))
		return ql_buf_addf(buf, "%d", QL_STATUS_UNCONFIRMED);
	if (after(mark, "results}"))
		return ql_buf_addf(buf, "%d", QL_OUTLET_RESULTS);
	if (after(mark, "webhooks}"))
		return ql_buf_addf(buf, "%d", QL_OUTLET_WEBHOOKS);
	return -1;
}

int
ql_sql_fill(struct ql_buf *buf, const char *sql, struct ql_err *e)
{
	for (;;) {
		const char *mark = strchr(sql, '{');
		if (!mark)
			break;
		const char *end = strchr(mark, '}');
		ql_buf_add(buf, sql, (size_t)(mark - sql));
		if (!end || fill_mark(buf, mark + 1, end))
			return ql_fail(
				e, QL_E_INTERNAL, "couldn't write SQL: there is no %.20s…", mark);
		sql = end + 1;
	}
	ql_buf_adds(buf, sql);
	return buf->failed ? ql_fail(e, QL_E_SYSTEM, "couldn't write SQL: out of memory") : 0;
}
