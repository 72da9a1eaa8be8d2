/*
 * kombu's envelope: what a list or a channel of Redis carries. A body (base64 most often), how it is
 * encoded, headers, and properties.
 */
#ifndef QL_BROKER_CELERY_WIRE_ENVELOPE_H
#define QL_BROKER_CELERY_WIRE_ENVELOPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "broker/celery/wire/text.h"

struct ql_envelope {
	json_t *root; /* owned; the others are borrowed from it */
	json_t *headers; /* an object, or NULL */
	json_t *properties; /* an object, or NULL */
	const char *content_type; /* or NULL */
	bool is_json; /* the body is JSON, not compressed */
	struct ql_buf body; /* decoded */
};

int
ql_envelope_open(const char *bytes, size_t len, struct ql_envelope *ret_envelope, struct ql_err *e);
void ql_envelope_done(struct ql_envelope *envelope);

/* The body's value. NULL: e has a sentence, which names the serializer if it is another than JSON. */
json_t *ql_envelope_load(const struct ql_envelope *envelope, struct ql_err *e);

/* The pieces of an envelope that Quell writes. All borrowed. */
struct ql_envelope_new {
	const json_t *headers;
	const char *exchange, *routing_key;
	const char *correlation_id; /* or NULL */
	int priority;
	int delivery_mode; /* 1 = in memory, 2 = kept */
	struct ql_text body; /* base64 */
};

/* NULL = no memory. The caller frees it. */
char *ql_envelope_make(const struct ql_envelope_new *what, size_t *ret_len);

/* The same with the body as a JSON value, which is taken over; NULL is taken for no memory. */
char *ql_envelope_make_json(struct ql_envelope_new *what, json_t *body, size_t *ret_len);

#endif
