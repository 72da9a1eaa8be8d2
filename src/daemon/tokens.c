#include "daemon/tokens.h"

#include <string.h>

#include "daemon/log.h"

static const char *
given(const char *text)
{
	return ql_config_has(text) ? text : NULL;
}

/* NULL: that one is not set. */
static const char *
path_of(const struct ql_tokens *tokens, int file)
{
	return file ? tokens->settings.jwks_file : tokens->settings.secret_file;
}

/* ---- has it changed? ---- */

static bool
is_same(const struct ql_tokens_stamp *one, const struct ql_tokens_stamp *two)
{
	return one->inode == two->inode && one->size == two->size &&
	       one->written.tv_sec == two->written.tv_sec &&
	       one->written.tv_nsec == two->written.tv_nsec &&
	       one->changed.tv_sec == two->changed.tv_sec &&
	       one->changed.tv_nsec == two->changed.tv_nsec;
}

/* A file that is gone has no stamp: it is said to have changed once, and once more when it is back. */
static void
stamp(struct ql_tokens *tokens, int file, const uv_fs_t *stat)
{
	struct ql_tokens_stamp seen = {0};
	if (!stat->result) {
		seen.inode = stat->statbuf.st_ino;
		seen.size = stat->statbuf.st_size;
		seen.written = stat->statbuf.st_mtim;
		seen.changed = stat->statbuf.st_ctim;
	}
	tokens->changed |= !is_same(&seen, &tokens->seen[file]);
	tokens->seen[file] = seen;
}

/* ---- keys ---- */

static void
read_again(struct ql_tokens *tokens)
{
	struct ql_jwt *jwt;
	struct ql_err err;
	if (ql_jwt_open(&tokens->settings, &jwt, &err)) {
		ql_logf("the keys of tokens stay as they were: %s", err.text);
		return;
	}
	tokens->auth->jwt = jwt;
	ql_jwt_free(tokens->jwt);
	tokens->jwt = jwt;
	ql_log("the keys of tokens were read again");
}

static void on_stat(uv_fs_t *stat);

/* From that file on; after the last one, what was seen counts. */
static void
look(struct ql_tokens *tokens, int file)
{
	while (file < QL_TOKENS_FILES && !path_of(tokens, file))
		file++;
	tokens->at = file;
	if (file < QL_TOKENS_FILES) {
		tokens->stat.data = tokens;
		uv_fs_stat(tokens->timer.loop, &tokens->stat, path_of(tokens, file), on_stat);
		return;
	}
	if (tokens->changed)
		read_again(tokens);
	tokens->changed = false;
}

static void
on_stat(uv_fs_t *stat)
{
	struct ql_tokens *tokens = stat->data;
	stamp(tokens, tokens->at, stat);
	uv_fs_req_cleanup(stat);
	if (!tokens->stopped)
		look(tokens, tokens->at + 1);
}

static void
on_timer(uv_timer_t *timer)
{
	struct ql_tokens *tokens = timer->data;
	if (tokens->at == QL_TOKENS_FILES) /* else a slow disk has not answered yet */
		look(tokens, 0);
}

int
ql_tokens_open(struct ql_tokens *tokens, const struct ql_config *config, struct ql_auth *auth,
	struct ql_err *e)
{
	tokens->auth = auth;
	tokens->settings = (struct ql_jwt_settings){
		.secret_file = given(config->jwt_secret_file),
		.jwks_file = given(config->jwt_jwks_file),
		.issuer = given(config->jwt_issuer),
		.audience = given(config->jwt_audience),
		.owner_claim = given(config->jwt_owner_claim),
		.role_claim = given(config->jwt_role_claim),
	};
	/* seen before they are read: what changes in between is read once more */
	for (int file = 0; file < QL_TOKENS_FILES; file++) {
		uv_fs_t stat;
		if (!path_of(tokens, file))
			continue;
		uv_fs_stat(NULL, &stat, path_of(tokens, file), NULL);
		stamp(tokens, file, &stat);
		uv_fs_req_cleanup(&stat);
	}
	tokens->changed = false;
	tokens->at = QL_TOKENS_FILES;
	if (!tokens->settings.secret_file && !tokens->settings.jwks_file)
		return 0;
	if (ql_jwt_open(&tokens->settings, &tokens->jwt, e))
		return -1;
	auth->jwt = tokens->jwt;
	return 0;
}

void
ql_tokens_start(struct ql_tokens *tokens, uv_loop_t *loop)
{
	if (!tokens->jwt)
		return;
	uv_timer_init(loop, &tokens->timer);
	tokens->timer.data = tokens;
	uv_timer_start(&tokens->timer, on_timer, QL_TOKENS_LOOK_MS, QL_TOKENS_LOOK_MS);
}

void
ql_tokens_stop(struct ql_tokens *tokens)
{
	tokens->stopped = true;
	if (tokens->jwt)
		uv_close((uv_handle_t *)&tokens->timer, NULL);
}

void
ql_tokens_done(struct ql_tokens *tokens)
{
	ql_jwt_free(tokens->jwt);
	*tokens = (struct ql_tokens){0};
}
