/* Batches as the API shows them, and one as its caller may see it. */
#ifndef QL_HTTP_API_BATCHES_H
#define QL_HTTP_API_BATCHES_H

#include "base/json.h"
#include "http/request.h"
#include "rules/bulk.h"

/* Its members, into the open object. */
void ql_render_batch_members(struct ql_json *json, const struct ql_bulk *head);

struct ql_look_batch {
	struct ql_request *req;
	const char *id; /* the caller's */
	struct ql_store_read read;
	struct ql_bulk head; /* owned */
	void (*found)(struct ql_look_batch *look);
};

/*
 * Reads batch `id` into look->head, then calls found. What goes wrong is answered here: 404 for an
 * unknown id and for another owner's alike.
 */
void ql_look_batch(struct ql_look_batch *look, struct ql_request *req, const char *id,
	void (*found)(struct ql_look_batch *look));
void ql_look_batch_done(struct ql_look_batch *look);

/* May the caller see it? */
bool ql_is_callers_batch(const struct ql_request *req, const struct ql_bulk *head);

#endif
