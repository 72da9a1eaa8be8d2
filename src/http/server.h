/*
 * The HTTP server: libmicrohttpd inside the caller's libuv loop, one thread for all. It answers
 * what docs/openapi.yaml says, by asking the engine.
 *
 * Order of calls: ql_server_start -> ql_server_stop -> (stopped) -> ql_server_free. The engine must
 * go on answering until stopped was called, as each request that it holds is waited for; waits and
 * streams that nobody else ends are ended here.
 */
#ifndef QL_HTTP_SERVER_H
#define QL_HTTP_SERVER_H

#include <uv.h>

#include "base/sign.h"
#include "base/err.h"
#include "base/sign.h"
#include "engine/engine.h"
#include "http/auth.h"
#include "rules/limit.h"
#include "rules/submission.h"

struct ql_server;

/* Those bounds of bounds.h that a test has to reach. */
struct ql_server_limits {
	unsigned connections;
	size_t waits;
	size_t streams;
	size_t bodies;
	int64_t crowd_ms;
	int64_t head_ms;
	int64_t body_ms;
	int64_t send_ms;
	int64_t sweep_ms;
	int64_t stop_ms;
	int64_t beat_ms;
};

extern const struct ql_server_limits ql_server_limits_default;

struct ql_server_config {
	uv_loop_t *loop;
	struct ql_engine *engine; /* borrowed */
	struct ql_auth *auth; /* borrowed; `none` is refused on any address but loopback */
	const char *listen; /* "127.0.0.1:8080"; port 0 = a free one */
	const char *data_dir; /* borrowed: outputs and checkpoints live below it */
	bool broker; /* the engine has one */
	const char *task_id; /* the template of task ids, or NULL for the usual one */
	struct ql_submission_place place; /* who runs what is submitted */
	bool webhook_private; /* webhooks may go to addresses that are not public */
	bool observes; /* only looks: all but reads is refused */
	struct ql_limiter *limiter; /* borrowed: how much each may ask; NULL = any amount */
	struct ql_meter *meter; /* borrowed: what /metrics tells; NULL = nothing was counted */
	const struct ql_signer *signer; /* borrowed: of receipts and of the audit */
	struct ql_server_limits limits;
};

int ql_server_start(
	const struct ql_server_config *config, struct ql_server **ret_server, struct ql_err *e);

/* "http://127.0.0.1:8080", with the real port. */
const char *ql_server_url(const struct ql_server *server);

/* What /api/observe answers from now on; NULL: there is nothing to tell. Copied. */
void ql_server_observed(struct ql_server *server, const char *report);

/* Stops accepting, ends waits and streams, lets answers leave, then calls stopped. */
void ql_server_stop(struct ql_server *server, void (*stopped)(void *arg), void *arg);

/* After stopped. */
void ql_server_free(struct ql_server *server);

#endif
