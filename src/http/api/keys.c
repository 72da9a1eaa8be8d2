/* GET, POST and DELETE /api/keys: who has keys, and which. Each change leaves its row in the audit. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "http/inside.h"
#include "http/route.h"

struct changing {
	struct ql_write op; /* first */
	struct ql_request *req;
	struct ql_apikey key;
	char text[QL_APIKEY_TEXT]; /* of a new one: shown once */
};

static void
drop_changing(void *state)
{
	struct changing *changing = state;
	OPENSSL_cleanse(changing->text, sizeof(changing->text));
}

/* ---- what is shown ---- */

static void
render_members(struct ql_json *json, const struct ql_apikey *key)
{
	ql_json_text(json, "key_id", key->id);
	ql_json_text(json, "name", key->name[0] ? key->name : NULL);
	ql_json_text(json, "owner", key->owner);
	ql_json_text(json, "role", ql_role_word(key->role));
	ql_json_open(json, "scopes", '[');
	for (int scope = 0; scope < QL_SCOPE_COUNT; scope++) {
		if (key->scopes >> scope & 1)
			ql_json_text(json, NULL, ql_scope_word((enum ql_scope)scope));
	}
	ql_json_close(json, ']');
	ql_json_time(json, "created_at", key->created_at);
	ql_json_text(json, "created_by", key->created_by);
	ql_json_time(json, "expires_at", key->expires_at);
}

static void
render_key(const struct ql_apikey *key, void *arg)
{
	struct ql_json *json = arg;
	ql_json_open(json, NULL, '{');
	render_members(json, key);
	ql_json_close(json, '}');
}

void
ql_serve_keys(struct ql_request *req)
{
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_open(&json, "keys", '[');
	ql_auth_each(req->server->config.auth, render_key, &json);
	ql_json_close(&json, ']');
	ql_json_close(&json, '}');
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

/* ---- the change, and its row ---- */

/* Takes the change, which may be NULL. */
static void
write_change(struct changing *changing, struct ql_change *change, int status,
	void (*done)(struct ql_write *op, int status))
{
	struct ql_request *req = changing->req;
	struct ql_err e;
	req->attempt.target = changing->key.id;
	char *text = ql_attempt_text(&req->attempt, "accepted", status);
	struct ql_change *row = text && change ? ql_change_audit(text) : NULL;
	free(text);
	if (!row) {
		ql_changes_free(change);
		ql_fail(&e, QL_E_SYSTEM, "out of memory for the key");
		ql_reply_err(req, &e);
		return;
	}
	change->next = row;
	changing->op = (struct ql_write){.changes = change, .done = done};
	ql_engine_write(req->server->config.engine, &changing->op);
}

static struct changing *
begin(struct ql_request *req)
{
	struct changing *changing = ql_request_state(req, sizeof(*changing), drop_changing);
	if (changing)
		changing->req = req;
	return changing;
}

/* ---- create ---- */

static void
reply_created(struct changing *changing)
{
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "key", changing->text);
	render_members(&json, &changing->key);
	ql_json_close(&json, '}');
	ql_reply_json(changing->req, MHD_HTTP_CREATED, &json);
	ql_reply_header(changing->req, "Cache-Control", "no-store");
}

static void
on_created(struct ql_write *op, int status)
{
	struct changing *changing = (struct changing *)op;
	struct ql_request *req = changing->req;
	req->attempt.written = !status;
	/* that it is durable and yet no key here, for want of memory, is mended by a restart */
	if (status || ql_auth_keep(req->server->config.auth, &changing->key, &op->err))
		ql_reply_err(req, &op->err);
	else
		reply_created(changing);
}

/* Nobody gives away what he has not. */
static int
check_rights(struct ql_request *req, struct ql_apikey *key)
{
	if (!json_object_get(req->json, "scopes"))
		key->scopes &= req->principal.scopes;
	uint32_t beyond = key->scopes & ~req->principal.scopes;
	for (int scope = 0; scope < QL_SCOPE_COUNT; scope++) {
		if (!(beyond >> scope & 1))
			continue;
		req->problem.scope = ql_scope_word((enum ql_scope)scope);
		return ql_fail(&req->problem.err, QL_E_FORBIDDEN,
			"your key lacks the scope %s, and can't give it to another",
			req->problem.scope);
	}
	return 0;
}

static int
parse(struct changing *changing)
{
	struct ql_request *req = changing->req;
	const char *field;
	int64_t now = ql_engine_now(req->server->config.engine);
	if (ql_apikey_ask(
		    req->json, req->caller.actor, now, &changing->key, &field, &req->problem.err)) {
		ql_str_copy(req->problem.field, sizeof(req->problem.field), field);
		return -1;
	}
	return check_rights(req, &changing->key) ||
			       ql_auth_room(req->server->config.auth, &req->problem.err) ||
			       ql_apikey_mint(&changing->key, changing->text, &req->problem.err)
		       ? -1
		       : 0;
}

void
ql_serve_key_create(struct ql_request *req)
{
	struct changing *changing = begin(req);
	if (!changing)
		return;
	if (parse(changing)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	char *text = ql_apikey_text(&changing->key);
	write_change(changing, text ? ql_change_put(QL_OBJECT_KEY, changing->key.id, text) : NULL,
		MHD_HTTP_CREATED, on_created);
	free(text);
}

/* ---- revoke ---- */

/* What it still reads or waits for ends with it. */
static void
cut_off(struct ql_server *server, const char *id)
{
	struct ql_conn *conn;
	DL_FOREACH (server->conns, conn) {
		struct ql_request *req = &conn->request;
		if (req->phase >= QL_REQUEST_WORK && !req->left &&
			!strcmp(req->principal.key_id, id))
			ql_request_leave(req);
	}
}

static void
on_revoked(struct ql_write *op, int status)
{
	struct changing *changing = (struct changing *)op;
	struct ql_request *req = changing->req;
	req->attempt.written = !status;
	if (status) {
		ql_reply_err(req, &op->err);
		return;
	}
	ql_auth_drop(req->server->config.auth, changing->key.id);
	ql_reply_empty(req, MHD_HTTP_NO_CONTENT);
	cut_off(req->server, changing->key.id);
}

void
ql_serve_key_revoke(struct ql_request *req)
{
	const struct ql_apikey *key = ql_auth_find(req->server->config.auth, req->id);
	if (!key) {
		ql_fail(&req->problem.err, QL_E_NOT_FOUND, "there is no API key %.64s", req->id);
		ql_reply_problem(req, &req->problem);
		return;
	}
	struct changing *changing = begin(req);
	if (!changing)
		return;
	changing->key = *key;
	write_change(
		changing, ql_change_drop(QL_OBJECT_KEY, key->id), MHD_HTTP_NO_CONTENT, on_revoked);
}
