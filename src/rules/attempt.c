#include "rules/attempt.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

/* A text as a row repeats it: cut between characters; what is no UTF-8 is not repeated. */
static void
show(struct ql_json *json, const char *name, const char *text)
{
	char shown[QL_ATTEMPT_SHOWN];
	size_t len = text ? ql_str_fit(text, sizeof(shown) - 1) : 0;
	if (!len) {
		ql_json_null(json, name);
		return;
	}
	memcpy(shown, text, len);
	shown[len] = 0;
	ql_json_text(json, name, ql_str_is_utf8(shown, len) ? shown : "(no UTF-8)");
}

char *
ql_attempt_text(const struct ql_attempt *attempt, const char *outcome, int status)
{
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	show(&json, "actor", attempt->actor);
	show(&json, "role", attempt->role);
	show(&json, "key", attempt->key_id);
	show(&json, "verb", attempt->verb);
	show(&json, "target", attempt->target);
	show(&json, "outcome", outcome);
	ql_json_int(&json, "status", status);
	show(&json, "reason", attempt->reason);
	show(&json, "remote", attempt->remote);
	show(&json, "trace", attempt->trace);
	if (attempt->count)
		ql_json_int(&json, "count", attempt->count);
	ql_json_close(&json, '}');
	if (json.buf.failed)
		ql_buf_done(&json.buf);
	return ql_buf_take(&json.buf);
}

/* ---- the flood ---- */

static uint64_t
hash_of(const struct ql_flood_kind *kind)
{
	char text[QL_ATTEMPT_SHOWN + 160];
	snprintf(text, sizeof(text), "%s\n%s\n%s\n%s\n%d", kind->actor, kind->remote, kind->verb,
		kind->outcome, kind->status);
	return ql_str_hash(text);
}

static void
name(struct ql_flood_kind *ret_kind, const struct ql_attempt *attempt, const char *outcome,
	int status, int64_t now)
{
	*ret_kind = (struct ql_flood_kind){.since = now, .status = status};
	ql_str_copy(ret_kind->actor, sizeof(ret_kind->actor), attempt->actor ? attempt->actor : "");
	ql_str_copy(ret_kind->verb, sizeof(ret_kind->verb), attempt->verb);
	ql_str_copy(ret_kind->outcome, sizeof(ret_kind->outcome), outcome);
	ql_str_copy(ret_kind->remote, sizeof(ret_kind->remote), attempt->remote);
	ret_kind->hash = hash_of(ret_kind);
}

/* Over, and nothing was counted that has to be told. */
static bool
is_free(const struct ql_flood_kind *kind, int64_t now)
{
	return !kind->hash || (!kind->count && now - kind->since >= QL_FLOOD_MS);
}

bool
ql_flood_admits(struct ql_flood *flood, const struct ql_attempt *attempt, const char *outcome,
	int status, int64_t now)
{
	struct ql_flood_kind fresh, *room = NULL;
	name(&fresh, attempt, outcome, status, now);
	for (size_t i = 0; i < QL_FLOOD_KINDS; i++) {
		struct ql_flood_kind *kind = &flood->kinds[i];
		if (is_free(kind, now)) {
			room = room ? room : kind;
		} else if (kind->hash == fresh.hash) {
			kind->count++;
			return false;
		}
	}
	if (room) {
		*room = fresh;
		return true;
	}
	if (!flood->others.count++) {
		flood->others.since = now;
		ql_str_copy(flood->others.verb, sizeof(flood->others.verb), "many");
		ql_str_copy(flood->others.outcome, sizeof(flood->others.outcome), "unchanged");
	}
	return false;
}

static bool
is_due(const struct ql_flood_kind *kind, int64_t now, bool all)
{
	return kind->count && (all || now - kind->since >= QL_FLOOD_MS);
}

static char *
take(struct ql_flood_kind *kind)
{
	struct ql_attempt attempt = {
		.actor = kind->actor, .verb = kind->verb, .count = kind->count};
	memcpy(attempt.remote, kind->remote, sizeof(attempt.remote));
	char *text = ql_attempt_text(&attempt, kind->outcome, kind->status);
	if (text)
		*kind = (struct ql_flood_kind){0};
	return text;
}

char *
ql_flood_take(struct ql_flood *flood, int64_t now, bool all)
{
	for (size_t i = 0; i < QL_FLOOD_KINDS; i++) {
		if (is_due(&flood->kinds[i], now, all))
			return take(&flood->kinds[i]);
	}
	return is_due(&flood->others, now, all) ? take(&flood->others) : NULL;
}
