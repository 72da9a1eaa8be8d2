/*
 * Inside the client. A request waits, runs (then it has a transfer, which is what curl knows of it) or
 * has ended, and its done is called in one of the loop's next turns. curl may not be called
 * from within its own callbacks: what a reader stops there is let go of once curl has returned.
 */
#ifndef QL_FETCH_PRIVATE_H
#define QL_FETCH_PRIVATE_H

#include <curl/curl.h>
#include <stdbool.h>

#include "fetch/fetch.h"

struct ql_transfer {
	struct ql_fetch *fetch;
	struct ql_fetch_request *request; /* NULL: it was let go of */
	CURL *easy;
	struct curl_slist *headers;
	size_t sent; /* of the request's body */
	struct ql_transfer *next; /* of those that were let go of */
	char text[CURL_ERROR_SIZE];
};

struct ql_fetch {
	uv_loop_t *loop;
	char *unix_path, *ca_file, *cert_file, *key_file; /* NULL = none */
	int connections;
	bool fresh, public_only;
	CURLM *multi;
	uv_timer_t turn; /* when curl wants to be called without news of a socket */
	uv_timer_t first; /* the first deadline */
	uv_idle_t idle; /* active while something has ended */
	struct ql_heap deadlines;
	struct ql_fetch_request *waiting, *running, *ended;
	struct ql_transfer *dropped;
	int running_count;
	size_t count; /* of requests that are not done */
	int handles; /* of the loop: the three above and one for each socket */
	bool inside; /* curl is calling us */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- transfer.c: one request as curl knows it ---- */

/* Hands the request to curl; -1 fills its err. */
int ql_fetch_transfer_start(struct ql_fetch *fetch, struct ql_fetch_request *request);

/* The request is the caller's again at once. */
void ql_fetch_transfer_drop(struct ql_transfer *transfer);

/* What was let go of from within curl. */
void ql_fetch_transfer_sweep(struct ql_fetch *fetch);

/* What curl's word means for the request: 0, or -1 and its err. */
int ql_fetch_transfer_judge(struct ql_transfer *transfer, CURLcode code);

/* ---- socket.c: curl's sockets and its timer on the loop ---- */

int ql_socket_open(struct ql_fetch *fetch, struct ql_err *e);

/* Closes every connection and curl itself. */
void ql_socket_close(struct ql_fetch *fetch);

/* ---- fetch.c ---- */

/* After each call into curl: what has ended, and what may start now. */
void ql_fetch_settle(struct ql_fetch *fetch);

/* A handle of the loop was closed. */
void ql_fetch_handle_closed(struct ql_fetch *fetch);

#endif
