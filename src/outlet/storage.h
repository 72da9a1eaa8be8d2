/*
 * The storage service as an outlet: PUT {url}/evaluations/{id} with {"status", "error"}, in the
 * words of the API. 2xx means that it has it. What it says no to for good is dropped; a wrong key,
 * a redirect, its own failures and no answer are tried again.
 */
#ifndef QL_OUTLET_STORAGE_H
#define QL_OUTLET_STORAGE_H

#include "outlet/outlet.h"

#define QL_STORAGE_URL_MAX 2000 /* bytes */
#define QL_STORAGE_SAID 100 /* bytes of a refusal that the log shows */

struct ql_storage_config {
	const char *url; /* "http://host:port/base"; no query, a slash at its end does not count */
	const char *key; /* sent as bearer; NULL = none */
	int64_t timeout_ms; /* of one request; 0 = QL_OUTLET_TIMEOUT_MS */
};

int ql_outlet_storage_open(uv_loop_t *loop, const struct ql_storage_config *config,
	struct ql_outlet **ret_outlet, struct ql_err *e);

#endif
