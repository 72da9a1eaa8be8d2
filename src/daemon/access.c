#include "daemon/access.h"

#include <string.h>

static int
add_user(void *arg, const char *owner, const char *key, struct ql_err *e)
{
	return ql_auth_add(arg, key, owner, false, e);
}

static int
read_files(const struct ql_data *data, struct ql_auth *auth, struct ql_err *e)
{
	char key[QL_KEY_TEXT];
	if (ql_data_admin_key(data, key, e))
		return -1;
	int status = ql_auth_add(auth, key, QL_AUTH_ADMIN, true, e);
	if (!status)
		status = ql_auth_secret(auth, key, e);
	explicit_bzero(key, sizeof(key));
	return status ? -1 : ql_data_user_keys(data, add_user, auth, e);
}

/* ---- the store's keys ---- */

struct reading {
	struct ql_store_read op; /* first */
	bool answered;
	int status;
};

static void
on_read(struct ql_store_read *op, int status)
{
	struct reading *reading = (struct reading *)op;
	reading->answered = true;
	reading->status = status;
}

static int
keep_page(struct ql_auth *auth, const struct ql_store_read *read, struct ql_err *e)
{
	for (size_t i = 0; i < read->object_count; i++) {
		struct ql_apikey key;
		if (ql_apikey_read(read->objects[i].id, read->objects[i].text, &key, e) ||
			ql_auth_keep(auth, &key, e))
			return -1;
	}
	return 0;
}

/* There are never more of them than fit into one page. */
static int
read_keys(uv_loop_t *loop, struct ql_store *store, struct ql_auth *auth, struct ql_err *e)
{
	struct reading reading = {.op = {
					  .kind = QL_READ_OBJECTS,
					  .filter = {.object = QL_OBJECT_KEY},
					  .done = on_read,
				  }};
	store->ops->read(store, &reading.op);
	while (!reading.answered)
		uv_run(loop, UV_RUN_ONCE);
	int status = reading.status;
	if (status)
		*e = reading.op.err;
	else
		status = keep_page(auth, &reading.op, e);
	ql_store_read_done(&reading.op);
	return status;
}

int
ql_access_open(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_store *store, struct ql_access *ret_access, struct ql_err *e)
{
	struct ql_auth *auth = &ret_access->auth;
	auth->none = !strcmp(config->auth, "none");
	if (read_files(data, auth, e) || read_keys(loop, store, auth, e))
		return -1;
	return ql_tokens_open(&ret_access->tokens, config, auth, e);
}

void
ql_access_done(struct ql_access *access)
{
	ql_auth_done(&access->auth);
	ql_tokens_done(&access->tokens);
	*access = (struct ql_access){0};
}
