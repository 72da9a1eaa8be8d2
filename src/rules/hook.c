#include "rules/hook.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/str.h"
#include "rules/selector.h"

static const struct {
	const char *word;
	enum ql_status status;
} events[] = {
#define X(event, word, status, means) {word, QL_STATUS_##status},
#include "rules/hook.def"
#undef X
};

const char *
ql_hook_event_word(enum ql_hook_event event)
{
	return events[event].word;
}

int
ql_hook_event_of(enum ql_status status)
{
	for (int event = 0; event < QL_HOOK_EVENT_COUNT; event++) {
		if (events[event].status == status)
			return event;
	}
	return -1;
}

/* ---- whom it is told of ---- */

bool
ql_hook_may_want(const struct ql_hook *hook, enum ql_hook_event event, const char *owner)
{
	if (!hook->enabled || !(hook->events >> event & 1))
		return false;
	return hook->everybody || (owner && !strcmp(hook->owner, owner));
}

bool
ql_hook_wants(const struct ql_hook *hook, enum ql_hook_event event, const struct ql_record *record,
	int64_t now)
{
	return ql_hook_may_want(hook, event, record->owner) &&
	       (!hook->selector || ql_selector_match(&hook->terms, record, now));
}

/* ---- its secrets ---- */

void
ql_hook_rotate(struct ql_hook *hook, int64_t keep_ms, int64_t now)
{
	memcpy(hook->old_key, hook->key, sizeof(hook->old_key));
	hook->old_until = keep_ms ? now + keep_ms : 0;
	if (!hook->old_until)
		OPENSSL_cleanse(hook->old_key, sizeof(hook->old_key));
	ql_rand_bytes(hook->key, sizeof(hook->key));
}

/* With what stands before it; the caller cleanses it. */
static int
write_key(const unsigned char key[static QL_HOOK_KEY], char ret_text[static QL_HOOK_SECRET])
{
	struct ql_buf text = {0};
	ql_buf_adds(&text, "whsec_");
	int rc = ql_base64_encode(&text, key, QL_HOOK_KEY) ||
				 ql_str_copy(ret_text, QL_HOOK_SECRET, text.data)
			 ? -1
			 : 0;
	if (text.data)
		OPENSSL_cleanse(text.data, text.len);
	ql_buf_done(&text);
	return rc;
}

static int
read_key(const char *text, unsigned char ret_key[static QL_HOOK_KEY])
{
	static const char prefix[] = "whsec_";
	struct ql_buf key = {0};
	if (!text || strncmp(text, prefix, sizeof(prefix) - 1) != 0)
		return -1;
	text += sizeof(prefix) - 1;
	int rc = ql_base64_decode(&key, text, strlen(text)) || key.len != QL_HOOK_KEY ? -1 : 0;
	if (!rc)
		memcpy(ret_key, key.data, QL_HOOK_KEY);
	if (key.data)
		OPENSSL_cleanse(key.data, key.len);
	ql_buf_done(&key);
	return rc;
}

int
ql_hook_secret(const struct ql_hook *hook, char ret_text[static QL_HOOK_SECRET], struct ql_err *e)
{
	if (!write_key(hook->key, ret_text))
		return 0;
	return ql_fail(e, QL_E_SYSTEM, "out of memory for a webhook's secret");
}

/* ---- its document ---- */

static json_t *
keys_json(const struct ql_hook *hook)
{
	char key[QL_HOOK_SECRET], old[QL_HOOK_SECRET];
	if (write_key(hook->key, key) || write_key(hook->old_key, old))
		return NULL;
	json_t *json = json_pack("{ss so sI}", "secret", key, "old_secret",
		hook->old_until ? json_string(old) : json_null(), "old_until",
		(json_int_t)hook->old_until);
	OPENSSL_cleanse(key, sizeof(key));
	OPENSSL_cleanse(old, sizeof(old));
	return json;
}

char *
ql_hook_text(const struct ql_hook *hook)
{
	json_t *words = json_array(), *keys = keys_json(hook);
	for (int event = 0; event < QL_HOOK_EVENT_COUNT; event++) {
		if (hook->events >> event & 1)
			json_array_append_new(words, json_string(events[event].word));
	}
	json_t *json = json_pack("{ss ss sb ss so ss? sb sb sI ss sI ss so*}", "name", hook->name,
		"owner", hook->owner, "everybody", (int)hook->everybody, "url", hook->url, "events",
		words, "selector", hook->selector, "enabled", (int)hook->enabled, "ended",
		(int)hook->ended, "disabled_at", (json_int_t)hook->disabled_at, "disabled_why",
		hook->disabled_why, "created_at", (json_int_t)hook->created_at, "created_by",
		hook->created_by, "keys", keys);
	char *text = json && keys ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

static int
read_events(const json_t *list, struct ql_hook *hook)
{
	size_t i;
	json_t *word;
	json_array_foreach (list, i, word) {
		for (int event = 0; event < QL_HOOK_EVENT_COUNT; event++) {
			if (!strcmp(json_string_value(word), events[event].word))
				hook->events |= 1u << event;
		}
	}
	return hook->events ? 0 : -1;
}

static int
read_keys(const json_t *keys, struct ql_hook *hook)
{
	const json_t *old = json_object_get(keys, "old_secret");
	hook->old_until = json_integer_value(json_object_get(keys, "old_until"));
	if (hook->old_until && read_key(json_string_value(old), hook->old_key))
		return -1;
	return read_key(json_string_value(json_object_get(keys, "secret")), hook->key);
}

static int
fill(json_t *json, struct ql_hook *hook)
{
	const char *name, *owner, *url, *why, *by;
	json_t *words, *keys, *terms;
	int everybody, enabled, ended;
	json_int_t disabled_at, created_at;
	size_t at;
	if (json_unpack(json, "{ss ss sb ss so so sb sb sI ss sI ss so}", "name", &name, "owner",
		    &owner, "everybody", &everybody, "url", &url, "events", &words, "selector",
		    &terms, "enabled", &enabled, "ended", &ended, "disabled_at", &disabled_at,
		    "disabled_why", &why, "created_at", &created_at, "created_by", &by, "keys",
		    &keys))
		return -1;
	const char *selector = json_string_value(terms);
	hook->everybody = everybody;
	hook->enabled = enabled;
	hook->ended = ended;
	hook->disabled_at = disabled_at;
	hook->created_at = created_at;
	hook->url = ql_str_dup(url);
	hook->selector = ql_str_dup(selector);
	if (ql_str_copy(hook->name, sizeof(hook->name), name) ||
		ql_str_copy(hook->owner, sizeof(hook->owner), owner) ||
		ql_str_copy(hook->disabled_why, sizeof(hook->disabled_why), why) ||
		ql_str_copy(hook->created_by, sizeof(hook->created_by), by) ||
		(selector && ql_selector_parse(selector, &hook->terms, &at, NULL)))
		return -1;
	return !hook->url || read_events(words, hook) || read_keys(keys, hook) ? -1 : 0;
}

int
ql_hook_parse(const char *id, const char *text, struct ql_hook *ret_hook, struct ql_err *e)
{
	*ret_hook = (struct ql_hook){0};
	json_t *json = json_loads(text, 0, NULL);
	int rc = ql_str_copy(ret_hook->id, sizeof(ret_hook->id), id);
	rc = rc || !json || fill(json, ret_hook) ? -1 : 0;
	json_decref(json);
	if (!rc)
		return 0;
	ql_hook_done(ret_hook);
	return ql_fail(e, QL_E_INTERNAL,
		"the store's webhook %.32s can't be read; use the Quell that wrote it", id);
}

int
ql_hook_copy(struct ql_hook *ret_hook, const struct ql_hook *hook, struct ql_err *e)
{
	size_t at;
	*ret_hook = *hook;
	ret_hook->url = ql_str_dup(hook->url);
	ret_hook->selector = ql_str_dup(hook->selector);
	ret_hook->terms = (struct ql_selector){0};
	if (ret_hook->url && (!hook->selector || ret_hook->selector) &&
		(!hook->selector ||
			!ql_selector_parse(hook->selector, &ret_hook->terms, &at, NULL)))
		return 0;
	ql_hook_done(ret_hook);
	return ql_fail(e, QL_E_SYSTEM, "out of memory for a webhook");
}

void
ql_hook_done(struct ql_hook *hook)
{
	free(hook->url);
	free(hook->selector);
	ql_selector_done(&hook->terms);
	OPENSSL_cleanse(hook, sizeof(*hook));
}

/* ---- what came of it ---- */

char *
ql_hook_tally_text(const struct ql_hook_tally *tally)
{
	json_t *json = json_pack("{sI sI sI sI sI sI ss}", "delivered",
		(json_int_t)tally->delivered, "failed", (json_int_t)tally->failed, "given_up",
		(json_int_t)tally->given_up, "dropped", (json_int_t)tally->dropped, "delivered_at",
		(json_int_t)tally->delivered_at, "failed_at", (json_int_t)tally->failed_at, "why",
		tally->why);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

void
ql_hook_tally_parse(const char *text, struct ql_hook_tally *ret_tally)
{
	json_t *json = json_loads(text, 0, NULL);
	const char *why = json_string_value(json_object_get(json, "why"));
	*ret_tally = (struct ql_hook_tally){
		.delivered = json_integer_value(json_object_get(json, "delivered")),
		.failed = json_integer_value(json_object_get(json, "failed")),
		.given_up = json_integer_value(json_object_get(json, "given_up")),
		.dropped = json_integer_value(json_object_get(json, "dropped")),
		.delivered_at = json_integer_value(json_object_get(json, "delivered_at")),
		.failed_at = json_integer_value(json_object_get(json, "failed_at")),
	};
	ql_str_copy(ret_tally->why, sizeof(ret_tally->why), why ? why : "");
	json_decref(json);
}

const struct ql_hook_patience ql_hook_patience_default = {
	.first_ms = 1000,
	.longest_ms = 3600000,
	.give_up_ms = 3 * 86400000LL,
};

const char *
ql_hook_state(const struct ql_hook *hook, int failures)
{
	if (!hook->enabled)
		return "disabled";
	return failures >= QL_HOOK_FAILURES ? "failing" : "ok";
}

enum ql_hook_verdict
ql_hook_judge(int http)
{
	if (http >= 200 && http < 300)
		return QL_HOOK_TAKEN;
	return http == 410 ? QL_HOOK_GONE : QL_HOOK_AGAIN;
}

int64_t
ql_hook_pause(const struct ql_hook_patience *patience, int failures, uint64_t draw)
{
	int64_t pause = patience->first_ms;
	for (int i = 1; i < failures && pause < patience->longest_ms; i++)
		pause *= 2;
	if (pause > patience->longest_ms)
		pause = patience->longest_ms;
	return pause - pause / 4 + (int64_t)(draw % (uint64_t)(pause / 2 + 1));
}
