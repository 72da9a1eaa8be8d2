/*
 * Docker's Engine API, or Podman's like it: one daemon, asked over HTTP. Which version and dialect
 * it speaks is found out before the first call and again after it was away; whether it is asked at
 * all is a breaker's to say. What a reply means is its caller's to judge: a reply is a promise.
 *
 * A call is a struct embedded in its owner's: done is called exactly once, from the loop, never from
 * within ql_docker_ask; ql_docker_stop takes it back.
 */
#ifndef QL_RUNTIME_DOCKER_API_H
#define QL_RUNTIME_DOCKER_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/breaker.h"
#include "base/err.h"
#include "fetch/fetch.h"
#include "runtime/alarm.h"

#define QL_DOCKER_SOCKET "/var/run/docker.sock"
#define QL_DOCKER_API "1.44" /* what we speak: Docker 25 to 29 take it, older ones less */
#define QL_DOCKER_CALL_MS 5000 /* for a call that only looks, or changes a record */
#define QL_DOCKER_SLOW_MS 20000 /* to start, kill, remove: the daemon itself gives up after 12 s */
#define QL_DOCKER_FAILURES 5 /* in a row: the daemon is away */
#define QL_DOCKER_PAUSE_MS 500 /* before it is asked again; doubled each time */
#define QL_DOCKER_PAUSE_MAX_MS 15000 /* up to this */

/* As in docker's own environment; NULL or "" = not set. */
struct ql_docker_address {
	const char *host; /* DOCKER_HOST: unix:///path or tcp://host:port */
	const char *cert_path; /* DOCKER_CERT_PATH: ca.pem, cert.pem, key.pem */
	bool tls_verify; /* DOCKER_TLS_VERIFY */
	int connections; /* at once; 0 = the client's own number */
};

struct ql_docker_call {
	struct ql_fetch_request request; /* first: a call is its request */
	struct ql_docker_call *prev, *next; /* of those that wait for the version */
	struct ql_docker *docker; /* NULL: it is not under way */
	char *path, *url, *body; /* owned */

	/* the owner's */
	void (*done)(struct ql_docker_call *call, int status);
	void *owner;

	/* for done: 0 is a 2xx or 304; a reply of 4xx is NOT_FOUND, CONFLICT or INVALID */
	struct ql_err err;
	int http; /* 0 = no reply */
	json_t *json; /* of the reply, gone after done; NULL = none */
};

/* A moment to come back to something; its owner's, zero at first. */
struct ql_docker_later {
	struct ql_heap_node node;
	void (*ring)(struct ql_docker_later *later);
};

struct ql_docker {
	uv_loop_t *loop;
	struct ql_fetch *fetch;
	char base[300]; /* "http://docker", "https://host:port" */
	char version[16]; /* "" = to be asked for */
	bool podman;
	bool here; /* files of its containers were seen on this host */
	struct ql_breaker breaker;
	struct ql_docker_call negotiation;
	struct ql_docker_call *waiting; /* for the version */
	struct ql_alarm alarm;
	int parts; /* fetch and alarm: both are closed before it is freed */
	int64_t epoch_ms; /* unix time of ql_alarm_ms() 0 */
	void (*closed)(void *arg);
	void *closed_arg;
};

int ql_docker_open(uv_loop_t *loop, const struct ql_docker_address *address,
	struct ql_docker **ret_docker, struct ql_err *e);

/*
 * path is the API's, from "/containers…" on; body (or NULL) is taken over. call->done and ->owner
 * are set; with call->request.piece too the reply comes by piece. -1 fills call->err, and
 * done is not called: the daemon is away, or memory is out.
 */
int ql_docker_ask(struct ql_docker *docker, struct ql_docker_call *call, const char *method,
	json_t *body, int64_t timeout_ms, const char *path, ...)
	__attribute__((format(printf, 6, 7)));

/* The same with PUT and a tar archive, the caller's until done. */
int
ql_docker_put(struct ql_docker *docker, struct ql_docker_call *call, const char *tar, size_t len,
	int64_t timeout_ms, const char *path, ...) __attribute__((format(printf, 6, 7)));

/* Takes it back, if it is under way; zeroed ones are fine. */
void ql_docker_stop(struct ql_docker_call *call);

/* later->ring is called in so many ms, once, whatever was set before. */
void ql_docker_later(struct ql_docker *docker, struct ql_docker_later *later, int64_t in_ms);
void ql_docker_never(struct ql_docker *docker, struct ql_docker_later *later);

/* Unix milliseconds, of a clock that does not jump. */
int64_t ql_docker_now(const struct ql_docker *docker);

/* `&filters=` and so on: the JSON, taken over, as a part of a URL; the caller frees it. */
char *ql_docker_escape(json_t *json);

/* Every call has been stopped by its owner. docker is free once closed is called. */
void ql_docker_close(struct ql_docker *docker, void (*closed)(void *arg), void *arg);

/* ---- host.c ---- */

/* The client for that address and the base of its URLs. */
int ql_docker_connect(uv_loop_t *loop, const struct ql_docker_address *address,
	struct ql_fetch **ret_fetch, char *ret_base, size_t size, struct ql_err *e);

#endif
