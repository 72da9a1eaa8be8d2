/*
 * Sessions: whoever leases one says again and again that it is still wanted. It is over when its
 * owner ends it, or when its lease ran out: from then on the rules for that find what belongs to it.
 * A lease that ran while the server was down begins anew with the server.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/owner.h"
#include "base/str.h"
#include "engine/policing.h"

#define SWEEP_MS 3600000

struct session {
	UT_hash_handle hh;
	struct policing *policing;
	struct wake wake; /* the lease's end */
	struct ql_lease lease;
	int holds; /* connections that are its lease */
	int writes; /* under way: it stays */
	size_t owner_len;
	size_t key_len;
	char key[]; /* owner, NUL, name */
};

static size_t
make_key(const char *owner, const char *name, char **ret_key)
{
	size_t owner_len = strlen(owner), len = owner_len + 1 + strlen(name);
	*ret_key = malloc(len + 1);
	if (!*ret_key)
		return 0;
	memcpy(*ret_key, owner, owner_len + 1);
	memcpy(*ret_key + owner_len + 1, name, len - owner_len);
	return len;
}

static struct session *
find(const struct policing *policing, const char *owner, const char *name)
{
	struct session *session = NULL;
	char *key;
	size_t len = make_key(owner, name, &key);
	if (len)
		HASH_FIND(hh, policing->sessions, key, len, session);
	free(key);
	return session;
}

static struct session *
add(struct policing *policing, const char *owner, const char *name, struct ql_err *e)
{
	char *key = NULL;
	size_t len = 0;
	struct session *session = NULL;
	if (HASH_COUNT(policing->sessions) >= QL_SESSIONS_MAX) {
		ql_fail(e, QL_E_LIMIT, "%d sessions are known already: try again later",
			QL_SESSIONS_MAX);
		return NULL;
	}
	if ((len = make_key(owner, name, &key)))
		session = calloc(1, sizeof(*session) + len + 1);
	if (session) {
		session->policing = policing;
		session->owner_len = strlen(owner);
		session->key_len = len;
		memcpy(session->key, key, len);
		HASH_ADD_KEYPTR(hh, policing->sessions, session->key, len, session);
	} else {
		ql_fail(e, QL_E_SYSTEM, "out of memory for a session: try again later");
	}
	free(key);
	return session;
}

static const char *
name_of(const struct session *session)
{
	return session->key + session->owner_len + 1;
}

static void
forget(struct session *session)
{
	struct policing *policing = session->policing;
	policing->sessions_over -= session->lease.over_at != 0;
	ql_wake_clear(policing->engine, &session->wake);
	HASH_DEL(policing->sessions, session);
	free(session);
}

/* ---- its document ---- */

/* Names may be longer than an object's id. */
static int
object_id(const struct session *session, char ret_id[static QL_DIGEST_TEXT], struct ql_err *e)
{
	unsigned char digest[QL_DIGEST];
	struct ql_digest_part part = {session->key, session->key_len};
	if (ql_digest(&part, 1, digest, e))
		return -1;
	ql_digest_write(digest, ret_id);
	return 0;
}

static struct ql_change *
change_of(const struct session *session, const struct ql_lease *lease)
{
	char id[QL_DIGEST_TEXT];
	if (object_id(session, id, NULL))
		return NULL;
	if (!lease)
		return ql_change_drop(QL_OBJECT_SESSION, id);
	char *text = ql_lease_text(session->key, name_of(session), lease);
	struct ql_change *change = text ? ql_change_put(QL_OBJECT_SESSION, id, text) : NULL;
	free(text);
	return change;
}

/* ---- its lease ---- */

struct saving {
	struct ql_write write;
	struct ql_engine *engine;
};

static void
on_saved(struct ql_write *write, int status)
{
	struct saving *saving = QL_OWNER(write, struct saving, write);
	if (status)
		ql_engine_log(saving->engine, "a session's end is not kept: %s", write->err.text);
	free(saving);
}

/* What isn't kept is found again by the next start, as its lease runs out again. */
static void
save(struct session *session, const struct ql_lease *lease)
{
	struct ql_change *change = change_of(session, lease);
	struct saving *saving = change ? calloc(1, sizeof(*saving)) : NULL;
	if (!saving) {
		ql_changes_free(change);
		return;
	}
	saving->engine = session->policing->engine;
	saving->write = (struct ql_write){.changes = change, .done = on_saved};
	ql_engine_write(saving->engine, &saving->write);
}

static void
on_lapse(struct wake *wake)
{
	struct session *session = QL_OWNER(wake, struct session, wake);
	struct policing *policing = session->policing;
	if (policing->engine->stopping || session->holds || session->lease.over_at)
		return;
	session->lease.over_at = ql_engine_now(policing->engine);
	session->lease.lost = true;
	policing->sessions_over++;
	save(session, &session->lease);
	ql_rounds_soon(policing, QL_TRIGGER_SESSION_ENDED);
}

static void
watch(struct session *session)
{
	const struct ql_lease *lease = &session->lease;
	session->wake.fn = on_lapse;
	ql_wake_set(session->policing->engine, &session->wake,
		session->holds || lease->over_at ? 0 : lease->until);
}

/* ---- what rules ask ---- */

int64_t
ql_session_over(void *arg, const char *owner, const char *session, bool *ret_lost)
{
	const struct session *found = owner ? find(arg, owner, session) : NULL;
	if (!found)
		return 0;
	*ret_lost = found->lease.lost;
	return found->lease.over_at;
}

bool
ql_session_any_over(void *arg)
{
	const struct policing *policing = arg;
	return policing->sessions_over != 0;
}

/* ---- operations ---- */

struct leasing {
	struct ql_write write;
	struct later later;
	struct ql_engine *engine;
	struct ql_session_write *op;
	struct session *session;
	struct ql_lease lease; /* as it will be */
};

static void
finish(struct leasing *leasing)
{
	struct ql_engine *engine = leasing->engine;
	struct ql_session_write *op = leasing->op;
	ql_changes_free(op->beside);
	op->beside = NULL;
	free(leasing);
	op->done(op, op->err.code ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	finish(QL_OWNER(later, struct leasing, later));
}

static bool
was_never(const struct ql_lease *lease)
{
	return !lease->until && !lease->over_at;
}

static void
take_over(struct session *session, const struct ql_lease *lease)
{
	struct policing *policing = session->policing;
	bool ends = lease->over_at && !session->lease.over_at;
	policing->sessions_over += lease->over_at != 0;
	policing->sessions_over -= session->lease.over_at != 0;
	session->lease = *lease;
	watch(session);
	if (ends)
		ql_rounds_soon(policing, QL_TRIGGER_SESSION_ENDED);
}

static void
on_written(struct ql_write *write, int status)
{
	struct leasing *leasing = QL_OWNER(write, struct leasing, write);
	struct session *session = leasing->session;
	struct ql_session_write *op = leasing->op;
	session->writes--;
	if (status)
		op->err = write->err;
	else if (!session->lease.over_at || session->lease.lost)
		take_over(session, &leasing->lease);
	op->lease = session->lease;
	if (was_never(&session->lease) && !session->writes && !session->holds)
		forget(session);
	finish(leasing);
}

static int
check(const struct ql_session_write *op, const struct session *session, struct ql_err *e)
{
	bool ended = session->lease.over_at && !session->lease.lost;
	if (ended && !op->ends)
		return ql_fail(e, QL_E_CONFLICT,
			"session %s was ended: begin another one under a new name", op->session);
	return 0;
}

static int
begin(struct leasing *leasing, struct ql_err *e)
{
	struct ql_engine *engine = leasing->engine;
	struct ql_session_write *op = leasing->op;
	int64_t now = ql_engine_now(engine);
	if (ql_policing_check(engine, e))
		return -1;
	struct session *session = find(engine->policing, op->caller.owner, op->session);
	if (!session)
		session = add(engine->policing, op->caller.owner, op->session, e);
	if (!session || check(op, session, e))
		return -1;
	leasing->session = session;
	leasing->lease = session->lease;
	if (op->ends && !(session->lease.over_at && !session->lease.lost))
		leasing->lease.over_at = now;
	else if (!op->ends)
		leasing->lease =
			(struct ql_lease){.lease_ms = op->lease_ms, .until = now + op->lease_ms};
	leasing->lease.lost = false;
	leasing->write = (struct ql_write){
		.changes = change_of(session, &leasing->lease), .done = on_written};
	if (!leasing->write.changes)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a session: try again later");
	session->writes++;
	leasing->write.changes->next = op->beside;
	op->beside = NULL;
	ql_engine_write(engine, &leasing->write);
	return 0;
}

void
ql_engine_session_write(struct ql_engine *engine, struct ql_session_write *op)
{
	struct leasing *leasing = calloc(1, sizeof(*leasing));
	if (!leasing)
		abort(); /* not even a refusal can be queued */
	op->err = (struct ql_err){0};
	leasing->engine = engine;
	leasing->op = op;
	ql_engine_op_begin(engine);
	if (!begin(leasing, &op->err))
		return;
	leasing->later.fn = on_later;
	ql_later(engine, &leasing->later);
}

bool
ql_engine_session(const struct ql_engine *engine, const char *owner, const char *session,
	struct ql_lease *ret_lease)
{
	const struct session *found = find(engine->policing, owner, session);
	if (!found || was_never(&found->lease))
		return false;
	*ret_lease = found->lease;
	return true;
}

/* ---- connections ---- */

int
ql_engine_session_hold(
	struct ql_engine *engine, const char *owner, const char *session, struct ql_err *e)
{
	if (ql_engine_rules_check(engine, e))
		return -1;
	struct session *found = find(engine->policing, owner, session);
	if (!found || was_never(&found->lease))
		return ql_fail(
			e, QL_E_NOT_FOUND, "there is no session %s: lease it first", session);
	if (found->lease.over_at)
		return ql_fail(e, QL_E_CONFLICT,
			found->lease.lost ? "session %s was lost: lease it again first"
					  : "session %s was ended",
			session);
	found->holds++;
	watch(found);
	return 0;
}

void
ql_engine_session_release(struct ql_engine *engine, const char *owner, const char *session)
{
	struct session *found = find(engine->policing, owner, session);
	if (!found || --found->holds)
		return;
	found->lease.until = ql_engine_now(engine) + found->lease.lease_ms;
	watch(found);
}

/* ---- at the start, and after long ---- */

int
ql_session_load(struct policing *policing, const struct ql_object *object, struct ql_err *e)
{
	char *owner, *name;
	struct ql_lease lease;
	if (ql_lease_parse(object->text, &owner, &name, &lease, e))
		return -1;
	struct session *session = add(policing, owner, name, e);
	free(owner);
	free(name);
	if (!session)
		return -1;
	int64_t least = ql_engine_now(policing->engine) + lease.lease_ms;
	if (lease.until < least && !lease.over_at)
		lease.until = least;
	session->lease = lease;
	policing->sessions_over += lease.over_at != 0;
	watch(session);
	return 0;
}

static void
on_sweep(struct wake *wake)
{
	struct policing *policing = QL_OWNER(wake, struct policing, sweep);
	struct ql_engine *engine = policing->engine;
	int64_t now = ql_engine_now(engine);
	struct session *session, *next;
	HASH_ITER (hh, policing->sessions, session, next) {
		if (!session->lease.over_at || session->writes || session->holds ||
			now - session->lease.over_at < QL_SESSION_KEEP_MS)
			continue;
		save(session, NULL);
		forget(session);
	}
	if (!engine->stopping)
		ql_wake_set(engine, &policing->sweep, now + SWEEP_MS);
}

void
ql_session_loaded(struct policing *policing)
{
	struct ql_engine *engine = policing->engine;
	policing->sweep.fn = on_sweep;
	ql_wake_set(engine, &policing->sweep, ql_engine_now(engine) + SWEEP_MS);
}

void
ql_session_close(struct policing *policing)
{
	struct session *session, *next;
	ql_wake_clear(policing->engine, &policing->sweep);
	HASH_ITER (hh, policing->sessions, session, next)
		ql_wake_clear(policing->engine, &session->wake);
}

void
ql_sessions_free(struct policing *policing)
{
	struct session *session, *next;
	HASH_ITER (hh, policing->sessions, session, next)
		forget(session);
}
