/* What the files of this folder share of the server and its connections. */
#ifndef QL_HTTP_INSIDE_H
#define QL_HTTP_INSIDE_H

#include <assert.h>
#include <microhttpd.h>
#include <uv.h>

#include "http/listen.h"
#include "http/request.h"
#include "http/server.h"
#include "rules/attempt.h"
#include "rules/limit.h"
#include "rules/trace.h"

#define QL_SERVER_MAGIC 0x5e7ce701u
#define QL_CONN_MAGIC 0xc0221ec7u

/* One client's connection; it serves one request at a time. */
struct ql_conn {
	unsigned magic;
	struct ql_conn *next, *prev;
	struct ql_server *server;
	struct MHD_Connection *mhd;
	int fd; /* the socket; MHD's */
	int64_t since; /* loop time of its last change of phase */
	int64_t deadline; /* loop time at which it is cut off; 0 = never */
	struct ql_request request;
};

struct ql_events;
struct ql_output;

struct ql_server {
	unsigned magic;
	struct ql_server_config config;
	struct ql_listen where;
	char url[QL_LISTEN_NAME + 32];
	struct MHD_Daemon *mhd;
	struct MHD_Response *healthy; /* made once */
	uv_poll_t poll; /* MHD's epoll descriptor */
	uv_timer_t timer; /* what MHD_get_timeout asked for */
	uv_idle_t again; /* active while MHD wants to run at once */
	uv_timer_t sweep;
	int open_handles;
	struct ql_conn *conns;
	size_t conn_count;
	size_t waits; /* requests held by wait=S */
	size_t streams;
	size_t body_bytes; /* of all bodies being received */
	struct ql_events *events;
	struct ql_output *followed; /* outputs.c */
	char *report; /* owned; of /api/observe, or NULL */
	struct ql_flood *flood; /* owned: refusals and repeats of late */
	size_t writes; /* rows of the audit under way */
	bool stopping;
	int64_t stop_deadline;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static inline void
assert_conn(const struct ql_conn *conn)
{
	assert(conn->magic == QL_CONN_MAGIC);
}

static inline void
assert_request(const struct ql_request *req)
{
	assert(req->magic == QL_REQUEST_MAGIC);
}

/* MHD has something to do: it runs in this turn of the loop or the next. */
void ql_server_kick(struct ql_server *server);

/* A connection begins or ends: MHD's callback. */
void ql_conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
	enum MHD_ConnectionNotificationCode code);

/* Cuts off those that are late, and ends the waits of those whose client has left. */
void ql_conns_sweep(struct ql_server *server);

/* MHD's callbacks, in request.c. */
void *ql_request_begin(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result ql_request_serve(void *cls, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *data, size_t *data_size, void **ctx);
void ql_request_end(
	void *cls, struct MHD_Connection *mhd, void **ctx, enum MHD_RequestTerminationCode why);

/* Gives the answer to MHD; only from within ql_request_serve. */
enum MHD_Result ql_request_answer(struct ql_request *req);

/* admit.c: may its caller ask this? Fills principal and caller, and begins the attempt. */
int ql_request_admit(struct ql_request *req);

/* Whose trace it belongs to, by its headers. */
void ql_request_trace(const struct ql_request *req, struct ql_trace_context *ret_trace);

/* limits.c: how often may its caller ask this? -1: the problem is filled. */
int ql_request_limit(struct ql_request *req);

/* The answer is known: says how much is left, and counts what leads to nothing. */
void ql_limit_end(struct ql_request *req);

/* A batch that kills: what a kill takes, besides what its route did. -1 when there is none. */
int ql_limit_kill(struct ql_request *req);

/* It submits `more` besides the one that every request is. */
void ql_limit_more(struct ql_request *req, size_t more);

/* So many may be stopped without a confirmation, one by one or at one request; 0 = any number. */
int64_t ql_limit_free(const struct ql_request *req);

/* The member `confirm`, or its header. -1: the problem is filled. */
int ql_limit_confirmed(struct ql_request *req, bool *ret_confirmed);

/* It stops one evaluation by itself: -1 when that storms, and the problem is filled. */
int ql_limit_stop(struct ql_request *req);

/* For what looks like abuse: it was stopped; it was submitted, and runs that. */
void ql_limit_stopped(struct ql_request *req, const char *eval_id);
void ql_limit_submitted(struct ql_request *req, uint64_t print, const char *eval_id);

/* attempts.c: what the caller gave as the reason, where that was a text. */
void ql_attempt_reason(struct ql_request *req);

/* The answer is known; where no decision left a row, this does. */
void ql_attempt_end(struct ql_request *req);

/* Rows for what was counted, of kinds whose time is over or of all. */
void ql_attempts_tell(struct ql_server *server, bool all);

/* A request is suspended from within MHD's callbacks, and resumed from anywhere else. */
void ql_request_suspend(struct ql_request *req);
void ql_request_resume(struct ql_request *req);

/* Its client has left, or the server stops: what it waits for is given up, if it can be. */
void ql_request_leave(struct ql_request *req);

#endif
