/*
 * Every bound of the HTTP side. What a test must reach quickly is a member of struct
 * ql_server_limits (server.h), whose defaults stand here; the rest is fixed. Times in ms.
 */
#ifndef QL_HTTP_BOUNDS_H
#define QL_HTTP_BOUNDS_H

#define QL_HTTP_BODY_MAX ((4 << 20) + (64 << 10)) /* bytes: a code of 4 MiB and its frame */
#define QL_HTTP_BODY_NAME "4 MiB (and 64 KiB for what stands around a code)"
#define QL_HTTP_DRAIN_MAX (64 << 20) /* of a refused body is read, so that the answer arrives */
#define QL_HTTP_BODIES_MAX (256 << 20) /* bytes of all bodies that are being received */
/* bytes of a connection's memory: request line, headers. It is zeroed for each request */
#define QL_HTTP_HEAD_MAX (16 << 10)

#define QL_HTTP_CONNECTIONS 2000
#define QL_HTTP_WAITS 500 /* requests held by wait=S */
#define QL_HTTP_STREAMS 250 /* event streams and outputs that are followed or sent */

#define QL_HTTP_HEAD_MS 30000 /* from the last answer (or the connect) to the end of the headers */
#define QL_HTTP_BODY_MS 60000 /* from there to the end of the body */
#define QL_HTTP_SEND_MS 60000 /* for an answer, and one second more for each 16 KiB of it */
#define QL_HTTP_SEND_RATE 16 /* bytes per ms */
#define QL_HTTP_SWEEP_MS 1000 /* between looks for slow and departed clients */
#define QL_HTTP_STOP_MS 2000 /* for answers to leave when the server stops */
#define QL_HTTP_BEAT_MS 15000 /* a comment on a silent event stream */
#define QL_HTTP_CROWD_MS \
	2000 /* when all connections are taken, one without a request for this
				  long is closed */

#define QL_HTTP_SEGMENTS 6 /* of a path */
#define QL_HTTP_PARAMS 16 /* of a query */
#define QL_HTTP_KEY_MAX 256 /* bytes of a key, and of an Idempotency-Key */
#define QL_HTTP_KEYS_MAX 4096 /* users' keys */
#define QL_HTTP_ATTEMPTS_MAX 1000 /* rows of the audit under way; more are counted */
#define QL_HTTP_LIST_MAX 1000 /* rows of one page */
#define QL_HTTP_LIST_SIZE 100 /* where none is asked for */
#define QL_HTTP_MATCHES 100000 /* evaluations of one batch, where none is asked for */
#define QL_HTTP_WAIT_MAX 60 /* seconds */
#define QL_HTTP_GRACE_MAX 86400
#define QL_HTTP_BLOCK (64 << 10) /* bytes read from a file at once */

#endif
