#include "poster_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "outlet/post.h"

/* ---- an HTTP server ---- */

static void
copy_header(const char *head, const char *name, char *ret_value, size_t size)
{
	const char *at = strcasestr(head, name);
	if (!at)
		return;
	at += strlen(name);
	snprintf(ret_value, size, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static void
note(struct poster_place *place, const struct peer *peer)
{
	struct poster_sent *sent = &place->sent[place->sent_count++];
	assert_true(place->sent_count <= POSTER_SENT_MAX);
	assert_string_equal(peer->method, "POST");
	assert_string_equal(peer->path, "/hook");
	copy_header(peer->head, "webhook-id: ", sent->id, sizeof(sent->id));
	copy_header(peer->head, "webhook-signature: ", sent->signs, sizeof(sent->signs));
	snprintf(sent->body, sizeof(sent->body), "%.*s", (int)peer->body_len, peer->body);
	ql_str_copy(sent->head, sizeof(sent->head), peer->head);
}

static void
answer(const struct poster_place *place, struct peer *peer)
{
	struct ql_buf out = {0};
	bool moves = place->mood == POSTER_REDIRECTS;
	ql_buf_addf(&out, "HTTP/1.1 %d Said\r\nContent-Length: 2\r\n", moves ? 307 : place->http);
	if (moves)
		ql_buf_addf(&out, "Location: %s/elsewhere\r\n", place->server.url);
	if (place->retry_after_s)
		ql_buf_addf(&out, "Retry-After: %lld\r\n", (long long)place->retry_after_s);
	ql_buf_adds(&out, "\r\n{}");
	peer_say(peer, out.data, out.len);
	ql_buf_done(&out);
}

static void
serve(struct server *server, struct peer *peer)
{
	struct poster_place *place = QL_OWNER(server, struct poster_place, server);
	note(place, peer);
	if (place->mood == POSTER_HANGS_UP)
		peer_close(peer);
	else if (place->mood == POSTER_FLOODS)
		peer_flood(peer);
	else if (place->mood != POSTER_SILENT)
		answer(place, peer);
}

static void
open_http(struct poster_place *place, int64_t timeout_ms)
{
	struct ql_poster_config config = {
		.private = !strcmp(place->kind, "http"), .timeout_ms = timeout_ms};
	struct ql_err e;
	server_open(&place->server, &place->loop, NULL, serve);
	place->serving = true;
	snprintf(place->url, sizeof(place->url), "%s/hook", place->server.url);
	if (ql_poster_open(&place->loop, &config, &place->poster, &e))
		fail_msg("%s", e.text);
}

/* ---- both ---- */

static void
open_fake(struct poster_place *place, int64_t timeout_ms)
{
	struct ql_err e;
	strcpy(place->url, "https://receiver.example/hook");
	place->receiver.url = place->url;
	place->receivers.all = &place->receiver;
	place->receivers.timeout_ms = timeout_ms;
	if (ql_poster_fake_open(&place->loop, &place->receivers, &place->poster, &e))
		fail_msg("%s", e.text);
	if (!strcmp(place->kind, "faulty") && ql_poster_faulty_open(&place->loop, place->poster,
						      &place->faults, &place->poster, &e))
		fail_msg("%s", e.text);
}

static bool
is_fake(const struct poster_place *place)
{
	return !place->server.loop;
}

void
poster_place_open(struct poster_place *place, const char *kind, int64_t timeout_ms)
{
	*place = (struct poster_place){.kind = kind};
	assert_int_equal(uv_loop_init(&place->loop), 0);
	if (!strcmp(kind, "fake") || !strcmp(kind, "faulty"))
		open_fake(place, timeout_ms);
	else
		open_http(place, timeout_ms);
	poster_place_say(place, 200, 0);
}

void
poster_place_say(struct poster_place *place, int http, int64_t retry_after_s)
{
	place->http = place->receiver.http = http;
	place->retry_after_s = retry_after_s;
	place->receiver.retry_after_ms = retry_after_s * 1000;
}

static void
stop_serving(struct poster_place *place)
{
	if (place->serving)
		server_close(&place->server);
	place->serving = false;
}

void
poster_place_set(struct poster_place *place, enum poster_mood mood)
{
	place->mood = mood;
	place->receiver.silent = mood == POSTER_SILENT;
	place->receiver.http = mood == POSTER_AWAY ? 0 : place->http;
	if (mood == POSTER_AWAY)
		stop_serving(place);
}

static void
copy_fake(struct poster_place *place)
{
	const struct ql_received *got;
	place->sent_count = 0;
	DL_FOREACH (place->receiver.got, got) {
		struct poster_sent *sent = &place->sent[place->sent_count++];
		assert_true(place->sent_count <= POSTER_SENT_MAX);
		ql_str_copy(sent->id, sizeof(sent->id), got->id ? got->id : "");
		ql_str_copy(sent->signs, sizeof(sent->signs), got->signs ? got->signs : "");
		ql_str_copy(sent->body, sizeof(sent->body), got->body);
	}
}

const struct poster_sent *
poster_place_sent(struct poster_place *place, size_t n)
{
	if (is_fake(place))
		copy_fake(place);
	return n < place->sent_count ? &place->sent[n] : NULL;
}

static void
on_closed(void *arg)
{
	*(bool *)arg = true;
}

void
poster_place_close(struct poster_place *place)
{
	bool closed = !place->poster;
	if (place->poster)
		place->poster->close(place->poster, on_closed, &closed);
	while (!closed)
		uv_run(&place->loop, UV_RUN_ONCE);
	stop_serving(place);
	assert_int_equal(uv_run(&place->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&place->loop), 0);
	ql_receiver_done(&place->receiver);
}
