#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "fetch/private.h"

static void deliver(uv_idle_t *idle);

/* ---- deadlines ---- */

static void overdue(uv_timer_t *timer);

static int64_t
now_ms(void)
{
	return (int64_t)(uv_hrtime() / 1000000);
}

static void
arm(struct ql_fetch *fetch)
{
	const struct ql_heap_node *node = ql_heap_top(&fetch->deadlines);
	if (!node) {
		uv_timer_stop(&fetch->first);
		return;
	}
	int64_t in_ms = node->at - now_ms();
	uv_update_time(fetch->loop);
	uv_timer_start(&fetch->first, overdue, in_ms > 0 ? (uint64_t)in_ms : 0, 0);
}

/* ---- from waiting to running to ended ---- */

/* Out of the lists, the books and curl: nothing of the client points to it any more. */
static void
leave(struct ql_fetch *fetch, struct ql_fetch_request *request)
{
	ql_heap_remove(&fetch->deadlines, &request->due);
	if (request->transfer) {
		ql_fetch_transfer_drop(request->transfer);
		DL_DELETE(fetch->running, request);
		fetch->running_count--;
	} else {
		DL_DELETE(fetch->waiting, request);
	}
}

static void
wake(struct ql_fetch *fetch)
{
	if (!uv_is_active((uv_handle_t *)&fetch->idle))
		uv_idle_start(&fetch->idle, deliver);
}

static void
end(struct ql_fetch *fetch, struct ql_fetch_request *request, int status)
{
	leave(fetch, request);
	request->status = status;
	if (status) {
		int len = (int)strcspn(request->url, "?");
		ql_err_prefix(&request->err, "%s %.*s", request->method, len < 100 ? len : 100,
			request->url);
	}
	DL_APPEND(fetch->ended, request);
	wake(fetch);
}

static void
start_waiting(struct ql_fetch *fetch)
{
	while (fetch->waiting && fetch->running_count < fetch->connections && !fetch->closing) {
		struct ql_fetch_request *request = fetch->waiting;
		if (ql_fetch_transfer_start(fetch, request)) {
			end(fetch, request, -1);
			continue;
		}
		DL_DELETE(fetch->waiting, request);
		DL_APPEND(fetch->running, request);
		fetch->running_count++;
	}
}

static void
overdue(uv_timer_t *timer)
{
	struct ql_fetch *fetch = timer->data;
	struct ql_heap_node *node;
	while ((node = ql_heap_top(&fetch->deadlines)) && node->at <= now_ms()) {
		struct ql_fetch_request *request = QL_OWNER(node, struct ql_fetch_request, due);
		ql_fail(&request->err, QL_E_TIMEOUT, "no answer within %lld ms",
			(long long)request->timeout_ms);
		end(fetch, request, -1);
	}
	arm(fetch);
	ql_fetch_settle(fetch);
}

static void
take_ended(struct ql_fetch *fetch)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(fetch->multi, &left))) {
		struct ql_transfer *transfer = NULL;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (transfer->request) /* else it is swept next */
			end(fetch, transfer->request, ql_fetch_transfer_judge(transfer, code));
	}
}

void
ql_fetch_settle(struct ql_fetch *fetch)
{
	take_ended(fetch);
	ql_fetch_transfer_sweep(fetch);
	start_waiting(fetch);
}

/* ---- telling ---- */

/* The answer is out of the request first: done may free that, or use it for the next one. */
static void
tell(struct ql_fetch *fetch, struct ql_fetch_request *request)
{
	char *answer = request->answer.data;
	DL_DELETE(fetch->ended, request);
	fetch->count--;
	request->done(request, request->status);
	free(answer);
}

static void shut(struct ql_fetch *fetch);

/* One round: a done that asks again and is refused at once does not keep the loop. */
static void
deliver(uv_idle_t *idle)
{
	struct ql_fetch *fetch = idle->data;
	struct ql_fetch_request *request;
	size_t round;
	ql_fetch_settle(fetch);
	DL_COUNT(fetch->ended, request, round);
	while (fetch->ended && round--)
		tell(fetch, fetch->ended);
	if (fetch->ended)
		return;
	uv_idle_stop(idle);
	if (fetch->closing)
		shut(fetch);
}

/* ---- its callers ---- */

static int
refusal(struct ql_fetch *fetch, struct ql_fetch_request *request)
{
	if (fetch->closing)
		return ql_fail(&request->err, QL_E_UNAVAILABLE, "the client is being closed");
	if (fetch->count > QL_FETCH_OPEN_MAX)
		return ql_fail(&request->err, QL_E_LIMIT,
			"%d requests are open, the bound: ask again later", QL_FETCH_OPEN_MAX);
	if (!request->timeout_ms)
		return 0;
	if (ql_heap_set(&fetch->deadlines, &request->due, now_ms() + request->timeout_ms))
		return ql_fail(&request->err, QL_E_UNAVAILABLE, "out of memory for a request");
	if (ql_heap_top(&fetch->deadlines) == &request->due)
		arm(fetch);
	return 0;
}

void
ql_fetch(struct ql_fetch *fetch, struct ql_fetch_request *request)
{
	request->err = (struct ql_err){0};
	request->http = 0;
	request->retry_after_ms = 0;
	request->answer = (struct ql_buf){.limit = QL_FETCH_BODY_MAX};
	request->due = (struct ql_heap_node){0};
	request->transfer = NULL;
	fetch->count++;
	DL_APPEND(fetch->waiting, request);
	if (refusal(fetch, request))
		end(fetch, request, -1);
	else if (!fetch->inside)
		start_waiting(fetch);
}

void
ql_fetch_stop(struct ql_fetch *fetch, struct ql_fetch_request *request)
{
	struct ql_fetch_request *ended;
	DL_FOREACH (fetch->ended, ended) {
		if (ended == request)
			break;
	}
	if (ended)
		DL_DELETE(fetch->ended, request);
	else
		leave(fetch, request);
	ql_buf_done(&request->answer);
	fetch->count--;
	wake(fetch); /* another one may start in its place */
}

/* ---- open and close ---- */

static void
fetch_free(struct ql_fetch *fetch)
{
	free(fetch->unix_path);
	free(fetch->ca_file);
	free(fetch->cert_file);
	free(fetch->key_file);
	ql_heap_done(&fetch->deadlines);
	free(fetch);
}

void
ql_fetch_handle_closed(struct ql_fetch *fetch)
{
	if (--fetch->handles)
		return;
	void (*closed)(void *arg) = fetch->closed;
	void *arg = fetch->closed_arg;
	fetch_free(fetch);
	closed(arg);
}

static void
own_closed(uv_handle_t *handle)
{
	ql_fetch_handle_closed(handle->data);
}

static void
shut(struct ql_fetch *fetch)
{
	ql_socket_close(fetch);
	uv_close((uv_handle_t *)&fetch->turn, own_closed);
	uv_close((uv_handle_t *)&fetch->first, own_closed);
	uv_close((uv_handle_t *)&fetch->idle, own_closed);
}

static int
copy(char **ret_copy, const char *text)
{
	*ret_copy = ql_str_dup(text);
	return text && !*ret_copy ? -1 : 0;
}

static int
copy_config(struct ql_fetch *fetch, const struct ql_fetch_config *config)
{
	fetch->connections = config->connections ? config->connections : QL_FETCH_CONNECTIONS;
	fetch->fresh = config->fresh;
	fetch->public_only = config->public_only;
	return copy(&fetch->unix_path, config->unix_path) ||
			       copy(&fetch->ca_file, config->ca_file) ||
			       copy(&fetch->cert_file, config->cert_file) ||
			       copy(&fetch->key_file, config->key_file)
		       ? -1
		       : 0;
}

int
ql_fetch_open(uv_loop_t *loop, const struct ql_fetch_config *config, struct ql_fetch **ret_fetch,
	struct ql_err *e)
{
	struct ql_fetch *fetch = calloc(1, sizeof(*fetch));
	if (!fetch || copy_config(fetch, config)) {
		if (fetch)
			fetch_free(fetch);
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for an HTTP client");
	}
	fetch->loop = loop;
	if (ql_socket_open(fetch, e)) {
		fetch_free(fetch);
		return -1;
	}
	/* these three only fill structs: they can't fail */
	uv_timer_init(loop, &fetch->turn);
	uv_timer_init(loop, &fetch->first);
	uv_idle_init(loop, &fetch->idle);
	fetch->turn.data = fetch->first.data = fetch->idle.data = fetch;
	fetch->handles = 3;
	*ret_fetch = fetch;
	return 0;
}

void
ql_fetch_close(struct ql_fetch *fetch, void (*closed)(void *arg), void *arg)
{
	assert(!fetch->closing);
	fetch->closing = true;
	fetch->closed = closed;
	fetch->closed_arg = arg;
	while (fetch->running || fetch->waiting) {
		struct ql_fetch_request *request = fetch->running ? fetch->running : fetch->waiting;
		ql_fail(&request->err, QL_E_UNAVAILABLE,
			"the client was closed before an answer came");
		end(fetch, request, -1);
	}
	wake(fetch);
}
