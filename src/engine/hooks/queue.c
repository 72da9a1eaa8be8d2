/*
 * The messages of one hook. Only so many are in memory; the rest stays in the store. One that is
 * over is removed from there, so one may be delivered again after a crash, under the same name.
 */
#include "engine/hooks/hooking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

static struct ql_engine *
engine_of(const struct hook *hook)
{
	return hook->hooking->engine;
}

/* ---- names ---- */

void
ql_hook_key(const char *id, int64_t number, char ret_key[static QL_HOOK_KEY_TEXT])
{
	snprintf(ret_key, QL_HOOK_KEY_TEXT, "%s/%019lld", id, (long long)number);
}

struct hook *
ql_hook_of_key(const struct hooking *hooking, const char *key, int64_t *ret_number)
{
	char id[QL_RAND_ID];
	const char *slash = strchr(key, '/');
	if (!slash || (size_t)(slash - key) >= sizeof(id) ||
		ql_str_int(slash + 1, 1, INT64_MAX, ret_number))
		return NULL;
	memcpy(id, key, (size_t)(slash - key));
	id[slash - key] = 0;
	return ql_hook_find(hooking, id);
}

/* ---- the messages in memory ---- */

static struct message *
find(const struct hook *hook, int64_t number)
{
	struct message *message;
	HASH_FIND(hh, hook->messages, &number, sizeof(number), message);
	return message;
}

/* Takes the text, which may be NULL. -1 when out of memory. */
static int
hold(struct hook *hook, int64_t number, int64_t at, char *text)
{
	struct message *message = text ? calloc(1, sizeof(*message)) : NULL;
	if (!message) {
		free(text);
		return -1;
	}
	message->hook = hook;
	message->number = number;
	message->at = at;
	message->text = text;
	HASH_ADD(hh, hook->messages, number, sizeof(number), message);
	return 0;
}

static void
message_free(struct message *message)
{
	HASH_DEL(message->hook->messages, message);
	ql_hook_headers_done(&message->headers);
	free(message->url);
	free(message->text);
	free(message);
}

void
ql_hook_messages_free(struct hook *hook)
{
	struct message *message, *next;
	HASH_ITER (hh, hook->messages, message, next)
		message_free(message);
}

/* It stays in the store alone until there is room. */
static void
leave(struct hook *hook, int64_t number)
{
	hook->more = true;
	if (number <= hook->cursor)
		hook->cursor = number - 1;
	if (hook->reading && (!hook->missed || number < hook->missed))
		hook->missed = number;
}

void
ql_hook_add(struct hook *hook, int64_t number, int64_t at, char *text)
{
	bool again = find(hook, number) != NULL; /* its letter was not removed, and came again */
	bool room = !hook->more && HASH_COUNT(hook->messages) < QL_HOOK_WINDOW && !hook->gone;
	hook->view.backlog += !again;
	if (again || !room)
		free(text);
	if (!again && (!room || hold(hook, number, at, text)))
		leave(hook, number);
	ql_hook_pump(hook);
}

void
ql_hook_found(struct hook *hook, int64_t number, const struct ql_object *object)
{
	hook->view.backlog++;
	if (hook->more || HASH_COUNT(hook->messages) >= QL_HOOK_WINDOW ||
		hold(hook, number, object->at, ql_str_dup(object->text)))
		hook->more = true;
	else
		hook->cursor = number;
}

void
ql_hook_over(struct message *message)
{
	message->stage = MESSAGE_OVER;
	message->hook->over++;
}

void
ql_hook_hasten(struct hook *hook)
{
	struct message *message, *next;
	hook->view.failures = 0;
	hook->view.again_at = 0;
	HASH_ITER (hh, hook->messages, message, next)
		message->again_at = 0;
}

/* ---- from the store ---- */

/* -> whether there may be more behind it. */
static bool
take_page(struct hook *hook)
{
	const struct ql_store_read *read = &hook->read;
	int64_t number;
	for (size_t i = 0; i < read->object_count; i++) {
		const struct ql_object *object = &read->objects[i];
		if (ql_hook_of_key(hook->hooking, object->id, &number) != hook)
			return false;
		if (!find(hook, number) && hold(hook, number, object->at, ql_str_dup(object->text)))
			return true;
		hook->cursor = number;
	}
	return read->object_count == (size_t)read->filter.limit;
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct hook *hook = QL_OWNER(read, struct hook, read);
	struct ql_engine *engine = engine_of(hook);
	hook->reading = false;
	bool more = status || take_page(hook);
	if (status)
		hook->read_at = ql_engine_now(engine) + QL_ENGINE_RETRY_MS;
	if (hook->missed && hook->missed <= hook->cursor)
		hook->cursor = hook->missed - 1;
	hook->missed = 0;
	hook->more |= more;
	if (!hook->more)
		hook->view.backlog = (int64_t)HASH_COUNT(hook->messages);
	ql_store_read_done(read);
	ql_hook_pump(hook);
	ql_engine_op_end(engine);
}

/* Not while some are being removed: it would find these again. */
static void
read_more(struct hook *hook, int64_t now)
{
	struct ql_engine *engine = engine_of(hook);
	size_t count = HASH_COUNT(hook->messages);
	if (!hook->more || hook->reading || hook->writing || count > QL_HOOK_WINDOW / 2 ||
		now < hook->read_at)
		return;
	hook->reading = true;
	hook->more = false;
	ql_hook_key(hook->view.hook.id, hook->cursor, hook->after);
	hook->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_MESSAGE,
			.after = hook->after,
			.limit = (int32_t)(QL_HOOK_WINDOW - count)},
		.done = on_read};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &hook->read);
}

/* ---- into the store ---- */

void
ql_hook_counted(struct hook *hook)
{
	if (!hook->tally_at)
		hook->tally_at = ql_engine_now(engine_of(hook)) + QL_HOOK_TALLY_MS;
}

static void
on_written(struct ql_write *write, int status)
{
	struct hook *hook = QL_OWNER(write, struct hook, write);
	struct message *message, *next;
	hook->writing = false;
	if (status) {
		hook->write_at = ql_engine_now(engine_of(hook)) + QL_ENGINE_RETRY_MS;
		ql_hook_counted(hook);
	}
	HASH_ITER (hh, hook->messages, message, next) {
		if (message->stage != MESSAGE_REMOVING)
			continue;
		if (status) {
			ql_hook_over(message);
			continue;
		}
		hook->view.backlog--;
		message_free(message);
	}
	ql_hook_pump(hook);
}

static void
add_change(struct ql_change **changes, struct ql_change *change)
{
	if (!change)
		return; /* out of memory: at another time */
	change->next = *changes;
	*changes = change;
}

static struct ql_change *
removals(struct hook *hook)
{
	struct ql_change *changes = NULL;
	struct message *message, *next;
	char key[QL_HOOK_KEY_TEXT];
	HASH_ITER (hh, hook->messages, message, next) {
		if (message->stage != MESSAGE_OVER)
			continue;
		ql_hook_key(hook->view.hook.id, message->number, key);
		struct ql_change *change = ql_change_drop(QL_OBJECT_MESSAGE, key);
		if (!change)
			break;
		add_change(&changes, change);
		message->stage = MESSAGE_REMOVING;
		hook->over--;
	}
	return changes;
}

static struct ql_change *
tally_change(const struct hook *hook)
{
	char *text = ql_hook_tally_text(&hook->view.tally);
	struct ql_change *change =
		text ? ql_change_put(QL_OBJECT_HOOK_TALLY, hook->view.hook.id, text) : NULL;
	free(text);
	return change;
}

/* One write at a time: what is over meanwhile goes with the next one. */
static void
save(struct hook *hook, int64_t now)
{
	struct ql_engine *engine = engine_of(hook);
	bool tally = hook->tally_at && !hook->gone &&
		     (hook->over || engine->closing || now >= hook->tally_at);
	if (hook->writing || hook->reading || now < hook->write_at || (!hook->over && !tally))
		return;
	struct ql_change *changes = removals(hook);
	if (tally) {
		add_change(&changes, tally_change(hook));
		hook->tally_at = 0;
	}
	if (!changes) {
		hook->write_at = now + QL_ENGINE_RETRY_MS;
		return;
	}
	hook->writing = true;
	hook->write = (struct ql_write){.changes = changes, .done = on_written};
	ql_engine_write(engine, &hook->write);
}

struct dropping {
	struct ql_write write; /* first */
};

static void
on_dropped(struct ql_write *write, int status)
{
	(void)status; /* the next start finds it again */
	free(write);
}

void
ql_hook_drop(struct ql_engine *engine, const char *key)
{
	struct dropping *dropping = calloc(1, sizeof(*dropping));
	struct ql_change *change = dropping ? ql_change_drop(QL_OBJECT_MESSAGE, key) : NULL;
	if (!change) {
		free(dropping);
		return;
	}
	dropping->write = (struct ql_write){.changes = change, .done = on_dropped};
	ql_engine_write(engine, &dropping->write);
}

/* ---- which is next ---- */

static int64_t
earliest(int64_t one, int64_t two)
{
	if (!one || !two)
		return one ? one : two;
	return one < two ? one : two;
}

static int64_t
give_up_ms(const struct hook *hook)
{
	return engine_of(hook)->config.hook_patience.give_up_ms;
}

/* -> when the next one is too old; 0 = none waits */
static int64_t
give_up(struct hook *hook, int64_t now)
{
	struct ql_engine *engine = engine_of(hook);
	struct message *message, *next;
	int64_t at = 0, count = 0;
	HASH_ITER (hh, hook->messages, message, next) {
		if (message->stage != MESSAGE_WAITING)
			continue;
		if (!hook->gone && now - message->at < give_up_ms(hook)) {
			at = earliest(at, message->at + give_up_ms(hook));
			continue;
		}
		count++;
		ql_hook_over(message);
	}
	if (!count || hook->gone)
		return at;
	hook->view.tally.given_up += count;
	ql_hook_counted(hook);
	ql_meter_add(engine->config.meter, QL_METRIC_HOOK_MESSAGES, QL_LABELS("given_up"),
		(double)count);
	ql_engine_log(engine, "webhook %s: %lld messages waited for too long and are given up",
		hook->view.hook.id, (long long)count);
	return at;
}

/* The least tried one, so that one which it never takes keeps no other. */
static struct message *
next_due(const struct hook *hook, int64_t now, int64_t *ret_at)
{
	struct message *message, *next, *best = NULL;
	*ret_at = 0;
	HASH_ITER (hh, hook->messages, message, next) {
		if (message->stage != MESSAGE_WAITING)
			continue;
		if (message->again_at > now)
			*ret_at = earliest(*ret_at, message->again_at);
		else if (!best || message->tries < best->tries)
			best = message;
	}
	return best;
}

/* -> when to look again; 0 = not before something happens */
static int64_t
send_some(struct hook *hook, int64_t now)
{
	int64_t at = 0;
	for (;;) {
		bool fails = hook->view.failures >= QL_HOOK_FAILURES;
		struct message *message = next_due(hook, now, &at);
		if (hook->under_way >= (fails ? 1 : QL_HOOK_OPEN))
			return 0;
		if (!message)
			return at;
		if (fails && now < hook->view.again_at)
			return hook->view.again_at;
		ql_hook_send(message);
	}
}

static bool
is_over(const struct hook *hook)
{
	return hook->gone && !hook->messages && !hook->more && !hook->reading && !hook->writing &&
	       !hook->changing && !hook->testing;
}

void
ql_hook_pump(struct hook *hook)
{
	struct ql_engine *engine = engine_of(hook);
	int64_t now = ql_engine_now(engine), at = 0;
	if (!hook->hooking->loaded)
		return; /* what waits for it is being counted */
	if (engine->closing) {
		save(hook, now); /* what is under way is delivered by the next start */
		return;
	}
	read_more(hook, now);
	at = give_up(hook, now);
	if (hook->kept && hook->view.hook.enabled)
		at = earliest(at, send_some(hook, now));
	save(hook, now);
	if (is_over(hook)) {
		ql_hook_forget(hook);
		return;
	}
	if (!hook->writing)
		at = earliest(at, hook->tally_at);
	if (hook->over && !hook->writing)
		at = earliest(at, hook->write_at);
	if (hook->more && hook->read_at > now)
		at = earliest(at, hook->read_at);
	ql_wake_set(engine, &hook->wake, at);
}
