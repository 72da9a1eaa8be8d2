/*
 * GET /api/eval/{id}/output and /checkpoint. Files are read on a thread of the pool, a block at a
 * time, while the connection is suspended. To follow an output is to read it to its end whenever
 * its folder changes (inotify) until the attempt has ended and one more read found nothing.
 */
#include "http/api/outputs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/owner.h"
#include "http/api/blob.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"
#include "http/stream.h"

struct ql_output {
	struct ql_look look; /* first: a look is its output */
	struct ql_output *next, *prev; /* of those that are followed */
	bool checkpoint;
	bool follow;
	uint32_t stream; /* 0 = both */
	int32_t attempt; /* 0 = whichever is current, until that is known */
	int64_t offset;
	int64_t size; /* what there is; -1 = not measured */
	int64_t left; /* bytes still to be sent; not of one that is followed */

	/* the thread's while it works, else the loop's */
	uv_work_t work;
	struct ql_blob blob;
	char *buf; /* QL_HTTP_BLOCK bytes */
	size_t len;
	struct ql_err err;

	bool working;
	size_t sent; /* of len */
	struct ql_subscriber sub;
	uv_fs_event_t *watch;
	bool above; /* the folder above is watched */
	bool over; /* the attempt has ended */
	bool over_before; /* it had when the last read began */
	bool dirty; /* something happened since then */
	bool ended; /* the client has left, or the server stops */
};

static void fill(struct ql_output *output);

/* ---- on a thread of the pool ---- */

static int
open_blob(struct ql_output *output)
{
	struct ql_blob *blob = &output->blob;
	const char *data_dir = output->look.req->server->config.data_dir;
	const char *id = output->look.req->id;
	if (blob->fd >= 0)
		return 0;
	if (output->checkpoint)
		return ql_blob_open_checkpoint(blob, data_dir, id, output->attempt, &output->err);
	return ql_blob_open_output(
		blob, data_dir, id, output->attempt, output->stream, output->offset, &output->err);
}

static void
read_block(uv_work_t *work)
{
	struct ql_output *output = work->data;
	output->len = 0;
	output->err.code = QL_E_OK;
	if (open_blob(output))
		return;
	if (output->size < 0 && !output->follow) {
		output->size = ql_blob_size(&output->blob, &output->err);
		if (output->size < 0)
			return;
	}
	ssize_t n = ql_blob_read(&output->blob, output->buf, QL_HTTP_BLOCK, &output->err);
	output->len = n > 0 ? (size_t)n : 0;
}

/* ---- sending ---- */

static ssize_t
pull(struct ql_request *req, char *buf, size_t max)
{
	struct ql_output *output = req->state;
	size_t n = output->len - output->sent;
	if (output->ended || !output->left)
		return QL_STREAM_END;
	if (n) {
		n = n < max ? n : max;
		n = (int64_t)n < output->left ? n : (size_t)output->left;
		memcpy(buf, output->buf + output->sent, n);
		output->sent += n;
		output->left -= (int64_t)n;
		return (ssize_t)n;
	}
	bool missing = output->follow && output->err.code == QL_E_NOT_FOUND;
	if (output->err.code && !missing)
		return QL_STREAM_BROKEN;
	bool dry = !output->len;
	if (dry && !output->follow)
		return QL_STREAM_BROKEN; /* it became shorter than it was */
	if (dry && output->over_before)
		return QL_STREAM_END;
	if (!dry || output->dirty)
		fill(output);
	return 0;
}

static void
on_filled(uv_work_t *work, int status)
{
	struct ql_output *output = work->data;
	(void)status;
	output->working = false;
	bool news = output->len || output->ended || output->over_before || !output->follow ||
		    (output->err.code && output->err.code != QL_E_NOT_FOUND);
	if (news)
		ql_stream_wake(output->look.req);
	else if (output->dirty)
		fill(output);
}

static void
start_work(struct ql_output *output, uv_after_work_cb done)
{
	output->working = true;
	output->dirty = false;
	output->over_before = output->over;
	output->sent = output->len = 0;
	output->work.data = output;
	uv_queue_work(output->look.req->server->config.loop, &output->work, read_block, done);
}

static void
fill(struct ql_output *output)
{
	start_work(output, on_filled);
}

/* Only while nothing is being sent: pull looks at `dirty` by itself. */
static void
poke(struct ql_output *output)
{
	output->dirty = true;
	if (!output->working && output->look.req->suspended &&
		output->look.req->phase == QL_REQUEST_SENT)
		fill(output);
}

static void
leave(struct ql_request *req)
{
	struct ql_output *output = req->state;
	output->ended = true;
	if (!output->working)
		ql_stream_wake(req);
}

/* ---- following ---- */

static void
free_watch(uv_handle_t *handle)
{
	free(handle);
}

static void start_watch(struct ql_output *output);

static void
on_folder(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct ql_output *output = watch->data;
	(void)name, (void)events, (void)status;
	if (output && output->above)
		start_watch(output);
	else if (output)
		poke(output);
}

static bool
watch_folder(struct ql_output *output, const char *path)
{
	return !uv_fs_event_start(output->watch, on_folder, path, 0);
}

/* The attempt's folder comes with its first byte: until then the one above, where it appears. */
static void
watch_what_is_there(struct ql_output *output, char *path)
{
	uv_fs_event_stop(output->watch);
	output->above = !watch_folder(output, path);
	if (!output->above)
		return;
	char *end = strrchr(path, '/');
	*end = 0;
	watch_folder(output, path);
	*end = '/';
	if (access(path, F_OK))
		return;
	uv_fs_event_stop(output->watch); /* it came in between */
	output->above = !watch_folder(output, path);
}

/* The folder above comes with the first start in it; until then the sweep tries again. */
static void
start_watch(struct ql_output *output)
{
	char path[PATH_MAX];
	struct ql_request *req = output->look.req;
	if (output->watch && uv_is_active((uv_handle_t *)output->watch) && !output->above)
		return;
	if (!output->watch) {
		output->watch = calloc(1, sizeof(*output->watch));
		if (!output->watch)
			return;
		uv_fs_event_init(req->server->config.loop, output->watch);
		output->watch->data = output;
	}
	if (ql_keep_path(req->server->config.data_dir, req->id, output->attempt, NULL, path,
		    sizeof(path)))
		return;
	watch_what_is_there(output, path);
	poke(output);
}

void
ql_outputs_sweep(struct ql_server *server)
{
	struct ql_output *output;
	DL_FOREACH (server->followed, output) {
		if (output->attempt)
			start_watch(output);
	}
}

static bool
is_over(const struct ql_output *output, const struct ql_record *record)
{
	enum ql_status status = (enum ql_status)record->state.status;
	return ql_status_settled(status) || status == QL_STATUS_UNCONFIRMED ||
	       (output->attempt && record->state.attempt > output->attempt);
}

static void
on_changed(struct ql_subscriber *sub, const struct ql_record *record, bool stopping)
{
	struct ql_output *output = QL_OWNER(sub, struct ql_output, sub);
	(void)stopping;
	if (strcmp(record->eval_id, output->look.req->id) != 0)
		return;
	output->over = is_over(output, record);
	if (!output->attempt)
		return;
	start_watch(output);
	poke(output);
}

/* Before the evaluation is read, so that its end is not missed in between. */
static void
start_following(struct ql_output *output, struct ql_server *server)
{
	output->sub.changed = on_changed;
	ql_engine_subscribe(server->config.engine, &output->sub);
	DL_APPEND(server->followed, output);
}

static void
drop_output(void *state)
{
	struct ql_output *output = state;
	struct ql_server *server = output->look.req->server;
	if (output->sub.changed) {
		ql_engine_unsubscribe(server->config.engine, &output->sub);
		DL_DELETE(server->followed, output);
	}
	if (output->watch) {
		output->watch->data = NULL;
		uv_close((uv_handle_t *)output->watch, free_watch);
	}
	ql_blob_close(&output->blob);
	free(output->buf);
	ql_look_done(&output->look);
}

/* ---- the answer ---- */

static void
put_next_offset(struct ql_output *output, int64_t offset)
{
	char text[24];
	struct ql_request *req = output->look.req;
	ql_reply_header(req, "X-Content-Type-Options", "nosniff");
	if (output->checkpoint)
		return;
	snprintf(text, sizeof(text), "%lld", (long long)offset);
	ql_reply_header(req, "X-Next-Offset", text);
}

static const char *
type_of(const struct ql_output *output)
{
	return output->checkpoint ? "application/x-tar" : "text/plain; charset=utf-8";
}

static void
reply_kept(struct ql_output *output)
{
	int64_t size = output->size > 0 ? output->size : 0;
	output->left = size > output->offset ? size - output->offset : 0;
	if (!ql_reply_stream(output->look.req, type_of(output), output->left, pull, leave))
		put_next_offset(output, size);
}

static void
reply_followed(struct ql_output *output)
{
	output->left = INT64_MAX;
	if (!ql_reply_stream(output->look.req, type_of(output), -1, pull, leave))
		put_next_offset(output, output->offset);
}

/* An output that isn't there is one that has not begun. */
static void
on_opened(uv_work_t *work, int status)
{
	struct ql_output *output = work->data;
	(void)status;
	output->working = false;
	bool missing = output->err.code == QL_E_NOT_FOUND && !output->checkpoint;
	if (output->err.code && !missing)
		ql_reply_err(output->look.req, &output->err);
	else if (output->follow)
		reply_followed(output);
	else
		reply_kept(output);
}

static void
on_found(struct ql_look *look)
{
	struct ql_output *output = (struct ql_output *)look;
	const struct ql_record *record = &look->record;
	struct ql_err e;
	if (output->attempt > record->state.attempt) {
		ql_fail(&e, QL_E_NOT_FOUND, "%s has no attempt %d: the last one is %d",
			record->eval_id, output->attempt, record->state.attempt);
		ql_reply_err(look->req, &e);
		return;
	}
	if (!output->attempt)
		output->attempt = record->state.attempt;
	output->over = output->over || is_over(output, record);
	if (output->follow)
		start_watch(output);
	start_work(output, on_opened);
}

static struct ql_output *
output_new(struct ql_request *req)
{
	struct ql_output *output = ql_request_state(req, sizeof(*output), drop_output);
	if (!output)
		return NULL;
	output->look.req = req;
	output->size = -1;
	output->blob.fd = output->blob.index = -1;
	output->buf = malloc(QL_HTTP_BLOCK);
	if (output->buf)
		return output;
	struct ql_err e;
	ql_fail(&e, QL_E_SYSTEM, "out of memory for the answer");
	ql_reply_err(req, &e);
	return NULL;
}

static int
parse(struct ql_output *output)
{
	struct ql_request *req = output->look.req;
	const char *stream = NULL;
	int64_t attempt = 0;
	if (ql_param_int(req, "attempt", 1, INT32_MAX, &attempt) ||
		ql_param_int(req, "offset", 0, INT64_MAX, &output->offset) ||
		ql_param_bool(req, "follow", &output->follow) ||
		ql_param_text(req, "stream", 16, &stream))
		return -1;
	output->attempt = (int32_t)attempt;
	if (stream && !strcmp(stream, "stdout"))
		output->stream = 1;
	else if (stream && !strcmp(stream, "stderr"))
		output->stream = 2;
	else if (stream)
		return ql_problem_field(&req->problem, "stream",
			"'stream' must be stdout or stderr; leave it out for both");
	return 0;
}

void
ql_serve_output(struct ql_request *req)
{
	struct ql_output *output = output_new(req);
	if (!output)
		return;
	if (parse(output)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	if (output->follow)
		start_following(output, req->server);
	ql_look(&output->look, req, on_found);
}

void
ql_serve_checkpoint(struct ql_request *req)
{
	struct ql_output *output = output_new(req);
	if (!output)
		return;
	output->checkpoint = true;
	ql_look(&output->look, req, on_found);
}
