#include "outlet/receiver.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "base/str.h"
#include "outlet/fake_life.h"

struct fake {
	struct ql_poster poster; /* first */
	struct ql_fake_life life;
	struct ql_receivers *receivers;
};

struct ql_sending {
	struct ql_fake_errand errand; /* first */
	struct ql_sending *prev, *next;
	struct fake *fake;
	struct ql_receiver *receiver; /* or NULL */
	struct ql_post *op;
	int http;
};

/* ---- the receivers ---- */

static char *
header_of(const struct ql_post *op, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; op->headers[i]; i++) {
		if (!strncasecmp(op->headers[i], name, len) && op->headers[i][len] == ':')
			return ql_str_dup(op->headers[i] + len + 2);
	}
	return NULL;
}

static void
receive(struct ql_receiver *receiver, const struct ql_post *op)
{
	struct ql_received *got = calloc(1, sizeof(*got));
	if (!got)
		abort();
	got->id = header_of(op, "webhook-id");
	got->signs = header_of(op, "webhook-signature");
	got->body = ql_str_dup(op->body);
	DL_APPEND(receiver->got, got);
	receiver->got_count++;
	if (++receiver->under_way > receiver->most_under_way)
		receiver->most_under_way = receiver->under_way;
}

void
ql_receiver_done(struct ql_receiver *receiver)
{
	struct ql_received *got, *next;
	DL_FOREACH_SAFE (receiver->got, got, next) {
		DL_DELETE(receiver->got, got);
		free(got->id);
		free(got->signs);
		free(got->body);
		free(got);
	}
	receiver->got_count = 0;
}

static struct ql_receiver *
find(const struct ql_receivers *receivers, const char *url)
{
	struct ql_receiver *receiver = receivers->all;
	while (receiver && strcmp(receiver->url, url) != 0)
		receiver = receiver->next;
	return receiver;
}

/* ---- the driver ---- */

static void
drop(struct ql_sending *sending)
{
	DL_DELETE(sending->fake->receivers->sendings, sending);
	if (sending->receiver)
		sending->receiver->under_way--;
	ql_fake_errand_drop(&sending->errand);
}

static int
judge(const struct ql_sending *sending)
{
	struct ql_post *op = sending->op;
	if (sending->fake->life.closing)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "the poster is closed");
	if (!sending->http)
		return ql_fail(&op->err, QL_E_UNREACHABLE, "nobody answers at %s", op->url);
	op->http = sending->http;
	op->retry_after_ms = sending->receiver->retry_after_ms;
	return 0;
}

static void
answer(struct ql_fake_errand *errand)
{
	struct ql_sending *sending = (struct ql_sending *)errand;
	struct ql_post *op = sending->op;
	int status = judge(sending);
	drop(sending);
	op->done(op, status);
}

static int
answer_of(const struct ql_receiver *receiver, const struct ql_post *op)
{
	if (!receiver || receiver->silent)
		return 0;
	bool poison = receiver->poison && strstr(op->body, receiver->poison);
	return poison ? 500 : receiver->http;
}

static int64_t
answer_in(const struct fake *fake, const struct ql_receiver *receiver)
{
	int64_t timeout_ms = fake->receivers->timeout_ms;
	if (!receiver)
		return 0;
	if (!receiver->silent)
		return receiver->answer_ms;
	return timeout_ms ? timeout_ms : QL_POST_TIMEOUT_MS;
}

static void
fake_post(struct ql_poster *poster, struct ql_post *op)
{
	struct fake *fake = (struct fake *)poster;
	if (fake->life.dead)
		return;
	struct ql_sending *sending = calloc(1, sizeof(*sending));
	if (!sending)
		abort();
	struct ql_receiver *receiver = find(fake->receivers, op->url);
	sending->fake = fake;
	sending->op = op;
	sending->http = answer_of(receiver, op);
	if (receiver && (sending->http || receiver->silent)) {
		sending->receiver = receiver;
		receive(receiver, op);
	}
	DL_APPEND(fake->receivers->sendings, sending);
	sending->errand.answer = answer;
	ql_fake_errand_start(&fake->life, &sending->errand, answer_in(fake, receiver));
}

void
ql_poster_fake_die(struct ql_poster *poster)
{
	struct fake *fake = (struct fake *)poster;
	struct ql_sending *sending, *next;
	DL_FOREACH_SAFE (fake->receivers->sendings, sending, next) {
		if (sending->fake == fake)
			drop(sending);
	}
	ql_fake_life_die(&fake->life);
}

static void
fake_close(struct ql_poster *poster, void (*closed)(void *arg), void *arg)
{
	struct fake *fake = (struct fake *)poster;
	struct ql_sending *sending;
	DL_FOREACH (fake->receivers->sendings, sending) {
		if (sending->fake == fake)
			ql_fake_errand_hasten(&sending->errand);
	}
	ql_fake_life_close(&fake->life, closed, arg);
}

int
ql_poster_fake_open(uv_loop_t *loop, struct ql_receivers *receivers, struct ql_poster **ret_poster,
	struct ql_err *e)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	if (!fake)
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the fake poster: out of memory");
	fake->poster = (struct ql_poster){.name = "fake", .post = fake_post, .close = fake_close};
	ql_fake_life_begin(&fake->life, loop, fake);
	fake->receivers = receivers;
	*ret_poster = &fake->poster;
	return 0;
}
