#include "outlet_place.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "outlet/storage.h"

/* ---- an HTTP server ---- */

struct client {
	uv_tcp_t tcp; /* first */
	struct place *place;
	struct ql_buf in;
	char answer[200];
	uv_write_t write;
};

static void
on_client_closed(uv_handle_t *handle)
{
	struct client *client = (struct client *)handle;
	ql_buf_done(&client->in);
	free(client);
}

static void
hang_up(struct client *client)
{
	if (!uv_is_closing((uv_handle_t *)&client->tcp))
		uv_close((uv_handle_t *)&client->tcp, on_client_closed);
}

static void
on_written(uv_write_t *write, int status)
{
	if (status)
		hang_up(write->data);
}

static int
status_of(const struct place *place)
{
	if (place->http)
		return place->http;
	return place->mood == QL_FAKE_REFUSES ? 404 : 200;
}

static void
reply(struct client *client)
{
	struct place *place = client->place;
	if (place->hang_up) {
		hang_up(client);
		return;
	}
	snprintf(client->answer, sizeof(client->answer),
		"HTTP/1.1 %d Word\r\nContent-Length: 14\r\n\r\n{\"said\":\"why\"}",
		status_of(place));
	uv_buf_t buf = uv_buf_init(client->answer, (unsigned)strlen(client->answer));
	client->write.data = client;
	uv_write(&client->write, (uv_stream_t *)&client->tcp, &buf, 1, on_written);
}

static void
note(struct place *place, const char *head, const char *body, size_t len)
{
	struct place_told *told = &place->told[place->told_count++];
	char path[300] = "";
	assert_true(place->told_count <= PLACE_TOLD_MAX);
	ql_str_copy(told->head, sizeof(told->head), head);
	assert_int_equal(sscanf(head, "PUT /base/evaluations/%299s HTTP/1.1", path), 1);
	json_t *json = json_loadb(body, len, 0, NULL);
	assert_non_null(json);
	assert_int_equal(json_object_size(json), 2);
	char *error = json_dumps(json_object_get(json, "error"), JSON_ENCODE_ANY);
	snprintf(told->what, sizeof(told->what), "%s %s %s", path,
		json_string_value(json_object_get(json, "status")), error);
	free(error);
	json_decref(json);
}

/* One request, when all of it has come. */
static void
serve(struct client *client)
{
	struct place *place = client->place;
	struct ql_buf *in = &client->in;
	char *end = in->data ? strstr(in->data, "\r\n\r\n") : NULL;
	const char *length = end ? strcasestr(in->data, "content-length:") : NULL;
	if (!length)
		return;
	size_t head_len = (size_t)(end - in->data) + 4;
	size_t len = strtoul(length + strlen("content-length:"), NULL, 10);
	if (in->len < head_len + len)
		return;
	*end = 0;
	note(place, in->data, in->data + head_len, len);
	ql_buf_consume(in, head_len + len);
	if (place->mood != QL_FAKE_SILENT)
		reply(client);
}

static void
give_room(uv_handle_t *handle, size_t size, uv_buf_t *ret_buf)
{
	(void)handle;
	*ret_buf = uv_buf_init(malloc(size), (unsigned)size);
}

static void
on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = (struct client *)stream;
	if (n > 0)
		ql_buf_add(&client->in, buf->base, (size_t)n);
	free(buf->base);
	if (n > 0)
		serve(client);
	else if (n < 0)
		hang_up(client);
}

static void
on_connection(uv_stream_t *server, int status)
{
	struct client *client = calloc(1, sizeof(*client));
	assert_true(client && !status);
	client->place = server->data;
	uv_tcp_init(server->loop, &client->tcp);
	assert_int_equal(uv_accept(server, (uv_stream_t *)&client->tcp), 0);
	uv_read_start((uv_stream_t *)&client->tcp, give_room, on_bytes);
}

static int
listen_on(struct place *place, int port)
{
	struct sockaddr_in addr;
	int len = sizeof(addr);
	uv_ip4_addr("127.0.0.1", port, &addr);
	uv_tcp_init(&place->loop, &place->server);
	place->server.data = place;
	assert_int_equal(uv_tcp_bind(&place->server, (struct sockaddr *)&addr, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&place->server, 64, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&place->server, (struct sockaddr *)&addr, &len), 0);
	place->listening = true;
	return ntohs(addr.sin_port);
}

static void
stop_listening(struct place *place)
{
	if (place->listening)
		uv_close((uv_handle_t *)&place->server, NULL);
	place->listening = false;
}

/* ---- both ---- */

static void
open_storage(struct place *place)
{
	char url[64];
	struct ql_err e;
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/base/", listen_on(place, 0));
	struct ql_storage_config config = {
		.url = url, .key = "a-key", .timeout_ms = place->timeout_ms};
	if (ql_outlet_storage_open(&place->loop, &config, &place->outlet, &e))
		fail_msg("%s", e.text);
}

static void
open_fake(struct place *place)
{
	struct ql_err e;
	place->fake.timeout_ms = place->timeout_ms;
	if (ql_outlet_fake_open(&place->loop, &place->fake, &place->outlet, &e))
		fail_msg("%s", e.text);
	if (!strcmp(place->kind, "faulty") && ql_outlet_faulty_open(&place->loop, place->outlet,
						      &place->faults, &place->outlet, &e))
		fail_msg("%s", e.text);
}

void
place_open(struct place *place, const char *kind, int64_t timeout_ms)
{
	*place = (struct place){.kind = kind, .timeout_ms = timeout_ms};
	assert_int_equal(uv_loop_init(&place->loop), 0);
	if (!strcmp(kind, "storage"))
		open_storage(place);
	else
		open_fake(place);
}

void
place_set(struct place *place, enum ql_fake_mood mood)
{
	place->mood = place->fake.mood = mood;
	if (mood == QL_FAKE_AWAY)
		stop_listening(place);
}

static void
copy_fake(struct place *place)
{
	const struct ql_fake_told *told;
	place->told_count = 0;
	DL_FOREACH (place->fake.told, told) {
		json_t *json = told->error ? json_string(told->error) : json_null();
		char *error = json_dumps(json, JSON_ENCODE_ANY);
		struct place_told *copy = &place->told[place->told_count++];
		assert_true(place->told_count <= PLACE_TOLD_MAX);
		snprintf(copy->what, sizeof(copy->what), "%s %s %s", told->eval_id,
			ql_status_word(told->status), error);
		free(error);
		json_decref(json);
	}
}

const struct place_told *
place_told(struct place *place, size_t n)
{
	if (strcmp(place->kind, "storage") != 0)
		copy_fake(place);
	return n < place->told_count ? &place->told[n] : NULL;
}

static void
on_closed(void *arg)
{
	*(bool *)arg = true;
}

void
place_close(struct place *place)
{
	bool closed = !place->outlet;
	if (place->outlet)
		place->outlet->close(place->outlet, on_closed, &closed);
	while (!closed)
		uv_run(&place->loop, UV_RUN_ONCE);
	stop_listening(place);
	assert_int_equal(uv_run(&place->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&place->loop), 0);
	ql_fake_place_done(&place->fake);
}
