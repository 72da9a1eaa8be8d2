#include "http/api/events.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/rand.h"
#include "base/str.h"
#include "engine/policy.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"
#include "http/select.h"
#include "http/stream.h"

#define TOLD 1024

/* The evaluation that events tell of, as selectors ask of it. Held by each of its events. */
struct subject {
	int refs;
	struct ql_record record;
};

/* One event as it is sent. Held by the ring and by who is sending it. */
struct event {
	int refs;
	struct subject *subject; /* NULL = a listener's own */
	size_t len;
	char text[];
};

struct ql_events {
	struct ql_server *server;
	struct ql_subscriber sub;
	char boot[QL_RAND_ID];
	uint64_t next; /* the number of the next event */
	uint64_t oldest; /* the number of the oldest one in the ring; next = the ring is empty */
	struct event *ring[QL_EVENTS_MAX]; /* event N at N % QL_EVENTS_MAX */
	size_t bytes;
	uint64_t told[TOLD]; /* what was last told of an evaluation, by hashes; see is_news */
	struct listener *listeners;
	int64_t left_at; /* loop time at which the last listener left; 0 = nobody ever listened */
};

struct listener {
	struct listener *next, *prev;
	struct ql_request *req;
	struct ql_events *events;
	struct ql_selector selector; /* owned; empty = all that it may hear */
	uint64_t place; /* the number of the event that it gets next */
	struct event *event; /* the one being sent, or NULL */
	size_t sent; /* bytes of it */
	int64_t spoken_at;
	char *session; /* of which it is a lease, and whose; owned; NULL = of none */
	char *owner;
	bool beat; /* a comment is due */
	bool ended;
};

static void
release_subject(struct subject *subject)
{
	if (!subject || --subject->refs)
		return;
	ql_record_done(&subject->record);
	free(subject);
}

static void
release(struct event *event)
{
	if (!event || --event->refs)
		return;
	release_subject(event->subject);
	free(event);
}

/* NULL when out of memory. */
static struct subject *
make_subject(const struct ql_record *record)
{
	struct subject *subject = malloc(sizeof(*subject));
	struct ql_record asked = *record;
	asked.payload = asked.error = asked.reason = NULL; /* no selector asks of them */
	if (subject && !ql_record_copy(&subject->record, &asked)) {
		subject->refs = 1;
		return subject;
	}
	free(subject);
	return NULL;
}

static struct event *
make_event(struct subject *subject, const char *text, size_t len)
{
	struct event *event = malloc(sizeof(*event) + len);
	if (!event)
		return NULL;
	*event = (struct event){.refs = 1, .subject = subject, .len = len};
	memcpy(event->text, text, len);
	if (subject)
		subject->refs++;
	return event;
}

/* ---- the ring ---- */

/* Of memory, where two events of one change share their subject, each counts it. */
static size_t
size_of(const struct event *event)
{
	return event->len + sizeof(*event) + sizeof(*event->subject);
}

static void
drop_oldest(struct ql_events *events)
{
	struct event **place = &events->ring[events->oldest++ % QL_EVENTS_MAX];
	events->bytes -= *place ? size_of(*place) : 0;
	release(*place);
	*place = NULL;
}

static void
drop_all(struct ql_events *events)
{
	while (events->oldest < events->next)
		drop_oldest(events);
}

static bool
is_heard(const struct ql_events *events)
{
	int64_t now = (int64_t)uv_now(events->server->config.loop);
	return events->listeners || (events->left_at && now - events->left_at < QL_EVENTS_KEEP_MS);
}

/* Takes the text. One that there is no memory for is missed by all: they are reset. */
static void
append(struct ql_events *events, struct subject *subject, struct ql_buf *text)
{
	struct event *event =
		text->failed || !subject ? NULL : make_event(subject, text->data, text->len);
	ql_buf_done(text);
	if (!event) {
		drop_all(events);
		events->oldest = ++events->next;
		return;
	}
	while (events->oldest < events->next &&
		(events->next - events->oldest == QL_EVENTS_MAX ||
			events->bytes + size_of(event) > QL_EVENTS_BYTES))
		drop_oldest(events);
	events->ring[events->next++ % QL_EVENTS_MAX] = event;
	events->bytes += size_of(event);
}

static uint64_t
hash(uint64_t seed, const char *text)
{
	for (; *text; text++)
		seed = (seed ^ (unsigned char)*text) * 0x100000001b3;
	return seed;
}

/*
 * A change that doesn't show (a run's phase, a repeated act) makes no event. Two evaluations that
 * share a place in the table only make each other's repeats be told.
 */
static bool
is_news(struct ql_events *events, const struct ql_record *record, const char *kind,
	const char *data)
{
	uint64_t told = hash(0xcbf29ce484222325, data);
	uint64_t *place =
		&events->told[hash(hash(0xcbf29ce484222325, record->eval_id), kind) % TOLD];
	bool news = *place != told;
	*place = told;
	return news;
}

typedef void(render_fn)(struct ql_json *json, const char *name, const struct ql_record *record,
	const struct ql_rows *rows);

static void
tell(struct ql_events *events, const struct ql_record *record, struct subject *subject,
	const char *kind, render_fn *render)
{
	struct ql_json json = {0};
	ql_buf_addf(&json.buf, "id: %s-%llu\nevent: %s\ndata: ", events->boot,
		(unsigned long long)events->next, kind);
	size_t head = json.buf.len;
	render(&json, NULL, record, NULL);
	if (!json.buf.failed && !is_news(events, record, kind, json.buf.data + head)) {
		ql_buf_done(&json.buf);
		return;
	}
	ql_buf_adds(&json.buf, "\n\n");
	append(events, subject, &json.buf);
}

static void
on_changed(struct ql_subscriber *sub, const struct ql_record *record, bool stopping)
{
	struct ql_events *events = QL_OWNER(sub, struct ql_events, sub);
	struct listener *listener;
	if (!is_heard(events)) {
		drop_all(events);
		events->oldest = ++events->next;
		return;
	}
	struct subject *subject = make_subject(record);
	tell(events, record, subject, "evaluation", ql_render_evaluation);
	if (stopping)
		tell(events, record, subject, "cancellation", ql_render_cancellation);
	release_subject(subject);
	DL_FOREACH (events->listeners, listener)
		ql_stream_wake(listener->req);
}

int
ql_events_new(struct ql_server *server, struct ql_events **ret_events, struct ql_err *e)
{
	struct ql_events *events = calloc(1, sizeof(*events));
	if (!events)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the HTTP server");
	events->server = server;
	events->sub.changed = on_changed;
	events->next = events->oldest = 1;
	ql_rand_id(ql_engine_now(server->config.engine), events->boot);
	ql_engine_subscribe(server->config.engine, &events->sub);
	*ret_events = events;
	return 0;
}

void
ql_events_free(struct ql_events *events)
{
	if (!events)
		return;
	ql_engine_unsubscribe(events->server->config.engine, &events->sub);
	drop_all(events);
	free(events);
}

/* ---- listeners ---- */

/* Whose it is comes first, and what was asked for after that. */
static bool
hears(const struct listener *listener, const struct event *event)
{
	const struct ql_record *record = &event->subject->record;
	struct ql_engine *engine = listener->events->server->config.engine;
	return ql_is_callers(listener->req, record) &&
	       ql_selector_match(&listener->selector, record, ql_engine_now(engine));
}

/* A text of the listener's own, between two events. */
static void
say(struct listener *listener, const char *text)
{
	listener->event = make_event(NULL, text, strlen(text));
	listener->sent = 0;
	if (!listener->event)
		listener->ended = true;
}

static void
say_reset(struct listener *listener)
{
	struct ql_events *events = listener->events;
	char text[192];
	listener->place = events->next;
	snprintf(text, sizeof(text),
		"id: %s-%llu\nevent: reset\n"
		"data: {\"reason\":\"what came before is no longer kept; read the lists "
		"anew\"}\n\n",
		events->boot, (unsigned long long)events->next - 1);
	say(listener, text);
}

/* The next thing to be sent, if there is one. */
static void
take_next(struct listener *listener)
{
	struct ql_events *events = listener->events;
	if (listener->place < events->oldest) {
		say_reset(listener);
		return;
	}
	while (!listener->event && listener->place < events->next) {
		struct event *event = events->ring[listener->place++ % QL_EVENTS_MAX];
		if (!hears(listener, event))
			continue;
		event->refs++;
		listener->event = event;
		listener->sent = 0;
	}
	if (!listener->event && listener->beat)
		say(listener, ": still here\n\n");
}

static ssize_t
pull(struct ql_request *req, char *buf, size_t max)
{
	struct listener *listener = req->state;
	size_t len = 0;
	while (len < max && !listener->ended) {
		if (!listener->event)
			take_next(listener);
		struct event *event = listener->event;
		if (!event)
			break;
		size_t left = event->len - listener->sent;
		size_t n = left < max - len ? left : max - len;
		memcpy(buf + len, event->text + listener->sent, n);
		len += n;
		listener->sent += n;
		listener->beat = false;
		listener->spoken_at = (int64_t)uv_now(req->server->config.loop);
		if (n < left)
			break;
		release(event);
		listener->event = NULL;
	}
	if (len)
		return (ssize_t)len;
	return listener->ended ? QL_STREAM_END : 0;
}

static void
drop_listener(void *state)
{
	struct listener *listener = state;
	struct ql_events *events = listener->events;
	release(listener->event);
	ql_selector_done(&listener->selector);
	if (listener->session)
		ql_engine_session_release(
			listener->req->server->config.engine, listener->owner, listener->session);
	free(listener->session);
	free(listener->owner);
	if (!events)
		return;
	DL_DELETE(events->listeners, listener);
	events->left_at = (int64_t)uv_now(events->server->config.loop);
}

static void
leave(struct ql_request *req)
{
	struct listener *listener = req->state;
	listener->ended = true;
	ql_stream_wake(req);
}

void
ql_events_beat(struct ql_events *events)
{
	int64_t now = (int64_t)uv_now(events->server->config.loop);
	struct listener *listener;
	DL_FOREACH (events->listeners, listener) {
		if (now - listener->spoken_at < events->server->config.limits.beat_ms)
			continue;
		listener->beat = true;
		ql_stream_wake(listener->req);
	}
}

/* Whatever isn't an id of this server's is one that is no longer kept. */
static uint64_t
place_after(const struct ql_events *events, const char *id)
{
	size_t len = strlen(events->boot);
	int64_t number;
	if (strncmp(id, events->boot, len) != 0 || id[len] != '-' ||
		ql_str_int(id + len + 1, 0, (int64_t)events->next - 1, &number))
		return 0;
	return (uint64_t)number + 1;
}

/* Its first words: where it is, so that it can come back before the first event. */
static void
greet(struct listener *listener)
{
	struct ql_events *events = listener->events;
	char text[96];
	snprintf(text, sizeof(text), "retry: 2000\nid: %s-%llu\n\n", events->boot,
		(unsigned long long)events->next - 1);
	say(listener, text);
}

/* The session that the stream is a lease of, if it is to be one. */
static int
hold_session(struct listener *listener)
{
	struct ql_request *req = listener->req;
	struct ql_err *e = &req->problem.err;
	const char *name = NULL;
	if (ql_param_text(req, "session", QL_SESSION_TEXT, &name))
		return -1;
	if (!name)
		return 0;
	listener->owner = ql_str_dup(req->caller.owner);
	char *session = listener->owner ? ql_str_dup(name) : NULL;
	if (!session)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a stream: try again later");
	if (ql_engine_session_hold(req->server->config.engine, listener->owner, session, e)) {
		free(session);
		return -1;
	}
	listener->session = session;
	return 0;
}

void
ql_serve_events(struct ql_request *req)
{
	struct ql_events *events = req->server->events;
	const char *id = ql_request_header(req, "Last-Event-ID");
	struct listener *listener = ql_request_state(req, sizeof(*listener), drop_listener);
	if (!listener)
		return;
	listener->req = req;
	if (ql_param_selector(req, &listener->selector) || hold_session(listener)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	if (ql_reply_stream(req, "text/event-stream", -1, pull, leave))
		return;
	listener->events = events;
	listener->spoken_at = (int64_t)uv_now(req->server->config.loop);
	listener->place = id ? place_after(events, id) : events->next;
	if (!id)
		greet(listener);
	DL_APPEND(events->listeners, listener);
}
