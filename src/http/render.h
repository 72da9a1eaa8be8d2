/*
 * Records as the API shows them, with each member of the contract, in its order. A cancellation's
 * steps are the timeline rows of its attempt that belong to a rung; who renders one reads them first.
 */
#ifndef QL_HTTP_RENDER_H
#define QL_HTTP_RENDER_H

#include "core/record.h"
#include "engine/engine.h"
#include "base/json.h"

/* The timeline of one attempt, or of all; may hold none. */
struct ql_rows {
	const struct ql_row *rows;
	size_t count;
};

/* The evaluation's members into the open object. */
void ql_render_evaluation_members(
	struct ql_json *json, const struct ql_record *record, const struct ql_rows *rows);

/* The object. name as in json.h; rows NULL: without the member `steps` (events have none). */
void ql_render_evaluation(struct ql_json *json, const char *name, const struct ql_record *record,
	const struct ql_rows *rows);

/* Alone, with what its container was doing when it was looked at last; NULL: that is not known. */
void ql_render_evaluation_now(struct ql_json *json, const struct ql_record *record,
	const struct ql_rows *rows, const char *container_state);

/*
 * The cancellation's members into the open object. A record without one (it had finished: no row
 * was made) shows what was asked for: state.cancel.mode, actor and reason.
 */
void ql_render_cancellation_members(
	struct ql_json *json, const struct ql_record *record, const struct ql_rows *rows);
void ql_render_cancellation(struct ql_json *json, const char *name, const struct ql_record *record,
	const struct ql_rows *rows);

/* Alone, as it stands: while what it needs is away, its message says so. away NULL: nothing is. */
void ql_render_cancellation_now(struct ql_json *json, const struct ql_record *record,
	const struct ql_rows *rows, const struct ql_dependency *away);

/* "SIGTERM"; null for 0. */
void ql_render_signal(struct ql_json *json, const char *member, int32_t number);

/* The attempt was stopped, with evidence. */
bool ql_is_cancelled(const struct ql_state *state);

#endif
