/*
 * The API's client: one server, one key, requests one at a time. A request can also be prepared
 * here and driven by curl's multi interface elsewhere (`quell run` has several under way).
 *
 * ql_client_new -> ql_client_call, any number -> ql_client_free.
 */
#ifndef QL_CLI_CLIENT_H
#define QL_CLI_CLIENT_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define QL_CLIENT_BODY_MAX (64 << 20) /* bytes of one answer that are read */
#define QL_CLIENT_CONNECT_MS 5000
#define QL_CLIENT_ANSWER_MS 30000 /* for an answer, beyond what the request itself asks to wait */
#define QL_CLIENT_WAIT_MAX 60 /* seconds that one request may ask the server to hold it */

/* The default of --url. */
#define QL_CLIENT_URL "http://127.0.0.1:8080"

struct ql_client {
	char *url; /* without a slash at its end */
	char *key; /* NULL = none is shown */
	char *key_source; /* where it came from, or was looked for: a sentence's end */
	bool local; /* the server is on this machine by its address */
	CURL *curl; /* of ql_client_call: keeps its connection */
};

/*
 * url and key as given, or NULL: then the environment, then the defaults. The admin key file is
 * only read for a server on a loopback address: no other is shown this machine's key. A url that
 * isn't one is QL_E_USAGE.
 */
int
ql_client_new(const char *url, const char *key, struct ql_client **ret_client, struct ql_err *e);
void ql_client_free(struct ql_client *client);

struct ql_call {
	const char *method;
	const char *path; /* from the slash on, encoded */
	const json_t *body; /* or NULL */
	const char *header; /* one more, "Name: value", or NULL */
	const char *accept; /* the type that it wants; NULL = JSON */
	int64_t wait_ms; /* how long it asks the server to hold the answer; -1 = a stream */
};

/* What a prepared request owns besides its handle. */
struct ql_ask {
	CURL *curl; /* borrowed */
	struct curl_slist *headers;
	char *body;
	char error[CURL_ERROR_SIZE];
};

/*
 * Sets up curl for the call; the handle's other options (where the answer goes) are the caller's.
 * The request must stay where it is, and the call's path alone must live on, until it is over.
 */
int ql_ask_init(struct ql_ask *request, const struct ql_client *client, CURL *curl,
	const struct ql_call *call, struct ql_err *e);
void ql_ask_done(struct ql_ask *request);

/* The sentence for a request that got no answer: QL_E_UNREACHABLE. */
int ql_ask_fail(const struct ql_ask *request, const struct ql_client *client, CURLcode code,
	struct ql_err *e);

struct ql_answer {
	long status;
	struct ql_buf body;
	json_t *json; /* NULL when the body isn't JSON */
};

/*
 * 0 for an answer of 200 to 299. Else -1 with e: for a problem its detail, and the answer is there
 * to be read; without an answer QL_E_UNREACHABLE and status 0. ql_answer_done in each case.
 */
int ql_client_call(struct ql_client *client, const struct ql_call *call,
	struct ql_answer *ret_answer, struct ql_err *e);
void ql_answer_done(struct ql_answer *answer);

/* Fills e from an answer that isn't a 2xx. Returns -1. */
int ql_answer_fail(
	const struct ql_client *client, long status, const struct ql_buf *body, struct ql_err *e);

/* Appends a path's segment, or a query's member (the first after a ?), percent-encoded. */
void ql_path_segment(struct ql_buf *path, const char *text);
void ql_path_query(struct ql_buf *path, const char *name, const char *value);

#endif
