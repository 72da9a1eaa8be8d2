/*
 * One request, from its first header to its last byte, and the ways to answer it.
 *
 * A handler is called once, with the body complete. It answers at once, or starts an operation and
 * returns; then the connection is suspended until the operation's `done` answers. Exactly one
 * answer. What a handler has of its own (ql_request_state) is dropped after the answer has left (or
 * its client), never while an operation is open, as a suspended request can't end.
 */
#ifndef QL_HTTP_REQUEST_H
#define QL_HTTP_REQUEST_H

#include <jansson.h>

#include "base/buf.h"
#include "engine/engine.h"
#include "base/json.h"
#include "http/problem.h"
#include "http/target.h"
#include "rules/attempt.h"
#include "rules/limit.h"
#include "rules/principal.h"

#define QL_REQUEST_MAGIC 0x4e90e571u

struct ql_server;
struct ql_conn;
struct ql_route;
struct held_state;
struct MHD_Response;

enum ql_request_phase {
	QL_REQUEST_NONE, /* between requests */
	QL_REQUEST_HEAD, /* the target is known, headers come */
	QL_REQUEST_BODY,
	QL_REQUEST_WORK, /* a handler has it */
	QL_REQUEST_SENT, /* the answer is given to MHD */
};

struct ql_request {
	unsigned magic;
	enum ql_request_phase phase;
	struct ql_server *server;
	struct ql_conn *conn;
	/* from here on all is zeroed between requests */
	const struct ql_route *route;
	const char *id; /* the path's {id} or {cid} */
	bool head; /* HEAD: the answer has no body */
	bool suspended;
	bool streaming; /* the answer is a stream */
	bool held; /* counts among those that wait */
	bool left; /* its client has left, or the server stops */
	struct ql_principal principal;
	struct ql_caller caller; /* points into the principal and the attempt */
	struct ql_attempt attempt; /* verb NULL = it leaves no row in the audit */
	const char *outcome; /* of a problem: its name */
	struct ql_limit_state limit; /* quota 0 = there is none */
	enum ql_limit_verb limited; /* as which it was counted last */
	int64_t retry_s; /* of a refusal; 0 = a second, where another try may help */
	struct ql_target target;
	struct ql_buf body;
	size_t received; /* bytes of the body, dropped ones too */
	json_t *json; /* the body, an object; NULL when there was none */
	struct ql_problem problem;
	struct MHD_Response *response; /* owned until it is given to MHD */
	unsigned status;
	size_t size; /* of the answer's body, where it is known */

	struct held_state *states; /* of ql_request_state */
	void *state; /* the latest of them */
	void (*leave)(struct ql_request *req); /* ends a wait early, by answering; or NULL */
};

/* A header of the request, or NULL. */
const char *ql_request_header(const struct ql_request *req, const char *name);

/*
 * Zeroed memory of the handler's, freed with the request after `drop` has freed what it points to.
 * NULL when there is none (the request is answered then).
 */
void *ql_request_state(struct ql_request *req, size_t size, void (*drop)(void *state));

/*
 * A place among the requests that wait. -1 when all are taken: it is answered then, with 429. It is
 * given back by unhold, which may be called without a hold.
 */
int ql_request_hold(struct ql_request *req);
void ql_request_unhold(struct ql_request *req);

/* ---- answers; each takes what it is given ---- */

/* The buffer's bytes as application/json. Out of memory in it: a 500. */
void ql_reply_json(struct ql_request *req, unsigned status, struct ql_json *json);

/* The same as application/problem+json, with Retry-After where a retry may help. */
void ql_reply_problem_json(struct ql_request *req, enum ql_code code, struct ql_json *json);

/* A text of that type, which takes the buffer. */
void ql_reply_text(struct ql_request *req, unsigned status, const char *type, struct ql_buf *text);

void ql_reply_problem(struct ql_request *req, const struct ql_problem *problem);
void ql_reply_err(struct ql_request *req, const struct ql_err *e);
void ql_reply_empty(struct ql_request *req, unsigned status);

/* A response that is made elsewhere; this takes the caller's reference. */
void ql_reply_response(struct ql_request *req, unsigned status, struct MHD_Response *response);

/* A header of the answer; after one of the calls above. */
void ql_reply_header(struct ql_request *req, const char *name, const char *value);

/* ---- parameters: from the query, or from the JSON body; the query wins ----
 * Each leaves ret_ untouched when there is none, and fills req->problem and returns -1 when it is
 * wrong; the handler then answers with it.
 */
int ql_param_text(struct ql_request *req, const char *name, size_t max, const char **ret_text);
int ql_param_int(
	struct ql_request *req, const char *name, int64_t min, int64_t max, int64_t *ret_value);
int ql_param_bool(struct ql_request *req, const char *name, bool *ret_value);
/* Seconds, with a fraction if need be, to ms. */
int
ql_param_seconds(struct ql_request *req, const char *name, int64_t max_seconds, int64_t *ret_ms);
int ql_param_time(struct ql_request *req, const char *name, int64_t *ret_ms);

#endif
