/* A stop on behalf of a request: for the two calls that ask for one, and the report that means one. */
#ifndef QL_HTTP_API_STOPS_H
#define QL_HTTP_API_STOPS_H

#include "http/look.h"

/* Answers with look->record and look->steps. */
typedef void(ql_stopped_fn)(struct ql_look *look);

/*
 * Stops req->id as wanted says (mode, top, grace, wait, reason, attempt). `reply` answers what was
 * taken on, or is settled; refusals and what finished first are answered here. Takes req->state.
 */
void ql_stop_for(struct ql_request *req, const struct ql_stop *wanted, ql_stopped_fn *reply);

/* The same with what the request asks for, answered by the stop's outcome. wanted: mode, task_id. */
void ql_stop_asked(struct ql_request *req, struct ql_stop *wanted);

/* `escalate`: the highest rung that is asked for; NONE = the mode's own. */
int ql_param_escalate(struct ql_request *req, enum ql_mode mode, enum ql_rung *ret_top);

/* The cancellation, with its Location where it is under way (202). */
void ql_reply_cancellation(struct ql_look *look, unsigned status);

#endif
