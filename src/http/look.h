/*
 * Reads for handlers: one evaluation as its caller may see it, and the steps of cancellations. Each
 * is a struct embedded in the handler's state. What goes wrong is answered here: 404 for an unknown
 * id and for another owner's alike, 503 when the store is away.
 */
#ifndef QL_HTTP_LOOK_H
#define QL_HTTP_LOOK_H

#include "http/render.h"
#include "http/request.h"

struct ql_look;
typedef void(ql_look_fn)(struct ql_look *look);

struct ql_look {
	struct ql_request *req;
	struct ql_store_read read;
	ql_look_fn *found;
	bool with_payload; /* the caller's, before: what was submitted too */
	struct ql_record record; /* owned */
	struct ql_rows steps; /* owned; read by ql_look_steps */
};

/* Reads req->id's evaluation into look->record, then calls found. May be called again. */
void ql_look(struct ql_look *look, struct ql_request *req, ql_look_fn *found);

/* Reads its cancellation's steps, then calls found; at once when it has no cancellation. */
void ql_look_steps(struct ql_look *look, ql_look_fn *found);

/* The same where they are known to be this one alone: the cancellation began with it just now. */
void ql_look_step(struct ql_look *look, const char *what, ql_look_fn *found);

void ql_look_done(struct ql_look *look);

/* The cancellation that was found, with its steps; and why it waits, where what it needs is away. */
void ql_look_put_cancellation(const struct ql_look *look, struct ql_json *json);

/* Reads the cancellation that req->id names, with its steps, then calls found. */
void ql_look_cancellation(struct ql_request *req, ql_look_fn *found);

/* Steps of many records, one after the other. */
struct ql_looks {
	struct ql_request *req;
	const struct ql_record *records; /* the caller's */
	size_t count;
	struct ql_rows *steps; /* owned; one for each record */
	size_t at;
	struct ql_store_read read;
	void (*done)(struct ql_looks *looks);
};

void ql_looks_steps(struct ql_looks *looks, struct ql_request *req, const struct ql_record *records,
	size_t count, void (*done)(struct ql_looks *looks));
void ql_looks_done(struct ql_looks *looks);

/* May the caller see it? */
bool ql_is_callers(const struct ql_request *req, const struct ql_record *record);

/* "there is no evaluation ID" */
void ql_reply_unknown(struct ql_request *req);

#endif
