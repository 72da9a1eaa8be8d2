#include "engine/private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/owner.h"
#include "base/str.h"

static void
exit_sentence(const struct ql_state *state, char *ret_line, size_t size)
{
	const char *cause = ql_cause_sentence((enum ql_cause)state->cause);
	const char *name = sigabbrev_np(state->exit_signal);
	if (!cause)
		cause = "it failed";
	if (state->exit_signal && name)
		snprintf(ret_line, size, "%s: ended by SIG%s", cause, name);
	else if (state->exit_signal)
		snprintf(ret_line, size, "%s: ended by signal %d", cause, state->exit_signal);
	else if (state->exit_code > 0)
		snprintf(ret_line, size, "exited with status %d", state->exit_code);
	else
		ql_str_copy(ret_line, size, cause);
}

/* The sentence of a settled attempt that did not succeed; the caller frees it. */
static char *
settled_error(const struct ql_state *state, const char *text)
{
	char line[QL_ERR_TEXT];
	if (state->status == QL_STATUS_CANCELLED && state->cause == QL_CAUSE_USER)
		return ql_str_dup("Task cancelled by user");
	if (state->status == QL_STATUS_CANCELLED)
		snprintf(line, sizeof(line), "Task cancelled: %s",
			ql_cause_sentence((enum ql_cause)state->cause));
	else if (text)
		snprintf(line, sizeof(line), "%.*s", (int)ql_str_fit(text, sizeof(line) - 1), text);
	else
		exit_sentence(state, line, sizeof(line));
	return ql_str_dup(line);
}

static bool
settled_badly(const struct ql_state *state)
{
	return state->status == QL_STATUS_CANCELLED || state->status == QL_STATUS_FAILED;
}

/* Who asked, where nobody did: a deadline of the evaluation's own. */
static void
name_actor(struct ql_record *record, const struct feeding *feeding, const struct ql_cancel *cancel)
{
	if (feeding->event.kind == QL_EVENT_CANCEL) {
		record->actor = ql_str_dup(feeding->actor);
		record->reason = ql_str_dup(feeding->reason);
		return;
	}
	char actor[64];
	snprintf(actor, sizeof(actor), "quell:%s", ql_cause_word((enum ql_cause)cancel->cause));
	record->actor = ql_str_dup(actor);
}

/* Bytes of a reason in the timeline; whole it stands in the cancellation, or in the audit. */
#define REASON_SHOWN 240

/* «a policy asked for it» with which one, and why it chose this evaluation. */
static void
name_rule(const struct feeding *feeding, struct ql_decision *decision)
{
	const char *general = ql_cause_sentence(QL_CAUSE_POLICY);
	const struct ql_event *event = &feeding->event;
	QL_CLEAN_BUF struct ql_buf text = {0};
	size_t len = strlen(general);
	if (event->kind != QL_EVENT_CANCEL || event->cause != QL_CAUSE_POLICY || !feeding->reason ||
		strncmp(decision->why, general, len) != 0)
		return;
	ql_buf_addf(&text, "%s asked for it, as ", feeding->actor);
	ql_buf_add(&text, feeding->reason, ql_str_fit(feeding->reason, REASON_SHOWN));
	ql_buf_adds(&text, decision->why + len);
	if (!text.failed)
		ql_str_copy(decision->why, sizeof(decision->why), text.data);
}

/* «a container of run … was found» with which one. */
static void
name_container(const struct ql_sighting *sighting, struct ql_decision *decision)
{
	const char *what = strstr(decision->why, " -> ");
	QL_CLEAN_BUF struct ql_buf text = {0};
	if (!sighting || sighting->event.kind != QL_EVENT_BOXED || !what ||
		!sighting->event.incarnation)
		return;
	ql_buf_addf(&text, "its container %s (%s, %.12s) was found%s", sighting->container_name,
		sighting->container_image, sighting->container, what);
	if (!text.failed)
		ql_str_copy(decision->why, sizeof(decision->why), text.data);
}

static bool
is_raise(const struct ql_state *was, const struct feeding *feeding)
{
	return feeding->event.kind == QL_EVENT_CANCEL && was->cancel.requested_at != 0;
}

/*
 * «user asks to kill» of a stop that is under way, with who and why: the cancellation names who asked
 * first. A request that is not durable yet has no name here, so then both are named.
 */
static void
name_raiser(const struct ql_live *live, const struct feeding *feeding, struct ql_decision *decision)
{
	static const char nobody[] = "user asks to ";
	const struct ql_record *record = &live->record;
	const char *name = record->actor, *reason = feeding->reason;
	size_t len = sizeof(nobody) - 1;
	QL_CLEAN_BUF struct ql_buf text = {0};
	if (!is_raise(&record->state, feeding) || strncmp(decision->why, nobody, len) != 0)
		return;
	if (!reason && name && !strcmp(name, feeding->actor))
		return;
	len += strcspn(decision->why + len, ";");
	ql_buf_addf(&text, "%s%.*s", feeding->actor, (int)(len - 4), decision->why + 4);
	if (reason) {
		ql_buf_adds(&text, ": ");
		ql_buf_add(&text, reason, ql_str_fit(reason, REASON_SHOWN));
	}
	ql_buf_adds(&text, decision->why + len);
	if (!text.failed)
		ql_str_copy(decision->why, sizeof(decision->why), text.data);
}

/* What a place of execution says of itself, and the bytes that it took out of a queue. */
static void
fill_seen(struct ql_record *record, const struct ql_live *live, const struct ql_sighting *sighting)
{
	if (sighting->container)
		record->container = ql_str_dup(sighting->container);
	record->container_runtime = ql_str_dup(sighting->container_runtime);
	record->container_name = ql_str_dup(sighting->container_name);
	record->container_image = ql_str_dup(sighting->container_image);
	if (sighting->worker) {
		record->worker = ql_str_dup(sighting->worker);
		record->runtime = ql_str_dup(live->engine->config.broker->ops->name);
	}
	if (sighting->message && live->record.state.adopted)
		record->payload = ql_str_dup(sighting->message);
}

static void
fill_texts(struct ql_change *change, const struct ql_live *live, const struct feeding *feeding,
	const struct ql_state *next)
{
	const struct ql_state *state = &live->record.state;
	struct ql_record *record = &change->record;
	const struct ql_sighting *sighting = feeding->sighting;
	const char *text = sighting && sighting->text ? sighting->text : live->exit_text;
	if (next->cancel.requested_at && !state->cancel.requested_at)
		name_actor(record, feeding, &next->cancel);
	else if (is_raise(state, feeding) && live->record.actor && !live->record.reason)
		record->reason = ql_str_dup(feeding->reason);
	if (next->status != state->status && settled_badly(next))
		record->error = settled_error(next, text);
	else if (sighting && sighting->event.kind == QL_EVENT_STUCK)
		record->error = ql_str_dup(sighting->text);
	if (feeding->event.kind == QL_EVENT_CLAIM) {
		record->worker = ql_str_dup("local");
		record->runtime = ql_str_dup(live->engine->config.runtime->ops->name);
	}
	if (sighting)
		fill_seen(record, live, sighting);
}

bool
ql_settles(const struct ql_state *was, const struct ql_state *is)
{
	if (!ql_status_settled((enum ql_status)is->status))
		return false;
	return !was || was->attempt != is->attempt ||
	       !ql_status_settled((enum ql_status)was->status);
}

/* Each outlet is told of it by the commit that makes it durable, but for what the removal told already. */
static int
address(struct ql_change *change, const struct ql_live *live, const struct ql_sighting *sighting)
{
	const struct ql_state *next = &change->record.state;
	uint32_t outlets = ql_outbox_whom(live->engine, &live->record, &live->record.state, next);
	char task_id[QL_TASK_ID];
	if (sighting && sighting->told)
		outlets &= ~(1u << QL_OUTLET_RESULTS);
	if (!outlets)
		return 0;
	ql_record_task_id(&live->record, next->attempt, task_id);
	change->task_id = ql_str_dup(task_id);
	change->outlets = outlets;
	return change->task_id ? 0 : -1;
}

/* What HTTP says to it before any wait. */
static int
answer_to(enum ql_event_kind kind, const struct ql_state *next)
{
	if (kind == QL_EVENT_RESUME)
		return 201;
	bool open = kind == QL_EVENT_CANCEL && next->cancel.outcome == QL_OUTCOME_NONE;
	return open ? 202 : 200;
}

static struct ql_change *
change_of(const struct ql_live *live, const struct feeding *feeding,
	const struct ql_decision *decision)
{
	struct ql_change *change = ql_change_new(QL_CHANGE_STATE);
	if (!change)
		return NULL;
	memcpy(change->record.eval_id, live->record.eval_id, sizeof(change->record.eval_id));
	change->record.seq = live->record.seq;
	change->record.state = decision->next;
	change->at = feeding->event.now;
	change->rung = decision->next.cancel.rung;
	change->what = ql_str_dup(decision->why);
	fill_texts(change, live, feeding, &decision->next);
	int status = answer_to(feeding->event.kind, &decision->next);
	if (change->what && !address(change, live, feeding->sighting) &&
		!ql_attempt_add(change, feeding->attempt, status, feeding->event.now))
		return change;
	ql_changes_free(change);
	return NULL;
}

const struct ql_run *
ql_run_over(
	const struct ql_state *was, const struct ql_state *is, const struct ql_sighting *sighting)
{
	uint64_t incarnation = sighting ? sighting->event.incarnation : 0;
	const struct ql_run *before = ql_state_run(was, incarnation);
	const struct ql_run *run = ql_state_run(is, incarnation);
	if (!incarnation || !before || !run || before->phase == QL_PHASE_GONE)
		return NULL;
	return run->phase == QL_PHASE_GONE ? run : NULL;
}

/* What a run used that is over by this becomes durable with it. */
static struct ql_spell
spend(struct ql_live *live, const struct ql_sighting *sighting, const struct ql_state *next,
	struct ql_change *change)
{
	const struct ql_run *run = ql_run_over(&live->record.state, next, sighting);
	if (!change || !run || !run->released_at || sighting->cpu_us <= 0 || !live->record.owner)
		return (struct ql_spell){0};
	struct ql_spell spell = {.owner = live->record.owner,
		.from = run->released_at,
		.to = run->exited_at ? run->exited_at : change->at,
		.cpu_us = sighting->cpu_us};
	if (!ql_spending_add(live->engine, &spell, change))
		return spell;
	ql_engine_log(live->engine, "out of memory: what a run of %s used isn't counted",
		live->record.eval_id);
	return (struct ql_spell){0};
}

/* Of a failure its place says why when it is seen to have exited; it settles later, when nothing is left of it. */
static void
keep_exit_text(struct ql_live *live, const struct ql_sighting *sighting)
{
	bool over = ql_status_settled((enum ql_status)live->record.state.status);
	bool told = sighting && sighting->event.kind == QL_EVENT_EXITED && sighting->text;
	if (!over && !told)
		return;
	free(live->exit_text);
	live->exit_text = over ? NULL : ql_str_dup(sighting->text);
}

enum ql_verdict
ql_feed(struct ql_live *live, struct feeding *feeding, struct ql_decision *ret)
{
	struct ql_engine *engine = live->engine;
	assert(live->magic == LIVE_MAGIC && ql_live_ready(live));
	feeding->event.now = ql_engine_now(engine);
	ql_step(&live->record.state, &engine->config.policy, &feeding->event, ret);
	name_rule(feeding, ret);
	name_raiser(live, feeding, ret);
	name_container(feeding->sighting, ret);
	if (!ql_verdict_makes_row(ret->verdict))
		return ret->verdict;
	bool soon = feeding->done || live->rests || !feeding->sighting || feeding->sighting->text ||
		    !ql_batch_is_quiet(&live->record.state, ret);
	struct ql_change *change = change_of(live, feeding, ret);
	struct ql_spell spell = spend(live, feeding->sighting, &ret->next, change);
	if (change)
		ql_places_follow(
			engine, &live->record.state, &ret->next, feeding->sighting, change);
	struct decided *decided = change ? ql_batch_add_to(live, change, soon) : NULL;
	if (!decided) {
		if (spell.cpu_us)
			ql_spending_take_back(engine, &spell);
		ql_changes_free(change);
		ql_engine_log(
			engine, "out of memory: a decision on %s is put off", live->record.eval_id);
		ret->verdict = QL_VERDICT_IGNORED;
		return ret->verdict;
	}
	decided->act_count = ret->act_count;
	memcpy(decided->acts, ret->acts, sizeof(decided->acts));
	decided->done = feeding->done;
	decided->arg = feeding->arg;
	decided->attempt = feeding->attempt;
	decided->spell = spell;
	decided->stopping = ret->next.cancel.requested_at != 0;
	if (feeding->sighting)
		decided->sighting = ql_sighting_copy(feeding->sighting);
	live->record.state = ret->next;
	keep_exit_text(live, feeding->sighting);
	ql_live_refresh(live);
	return ret->verdict;
}

int
ql_feed_after(struct ql_live *live, void (*done)(struct decided *decided, const struct ql_err *err),
	void *arg, struct ql_err *e)
{
	struct decided *decided = ql_batch_add_to(live, NULL, true);
	if (!decided)
		return ql_fail(e, QL_E_UNAVAILABLE, "out of memory: try again later");
	decided->done = done;
	decided->arg = arg;
	return 0;
}

/* A wake time that changed nothing must not come again at once. */
static void
wake_again(struct ql_live *live)
{
	int64_t soon = ql_engine_now(live->engine) + QL_ENGINE_RETRY_MS;
	int64_t at = ql_state_wake(&live->record.state);
	if (ql_state_live(&live->record.state) && at)
		ql_wake_set(live->engine, &live->wake, at > soon ? at : soon);
}

void
ql_feed_time(struct ql_live *live)
{
	if (!ql_live_ready(live)) {
		ql_live_reload(live);
		return;
	}
	struct ql_decision decision;
	struct feeding feeding = {.event = {.kind = QL_EVENT_TIME}};
	enum ql_verdict verdict = ql_feed(live, &feeding, &decision);
	if (verdict == QL_VERDICT_IGNORED)
		wake_again(live);
	else if (verdict == QL_VERDICT_UNKNOWN)
		ql_disown(live);
}

/* ---- sightings ---- */

void
ql_sighting_keep(struct ql_live *live, struct ql_sighting *sighting)
{
	struct ql_engine *engine = live->engine;
	if (!sighting)
		return;
	bool room = engine->kept_count < QL_ENGINE_KEPT_MAX;
	struct kept *kept = room ? calloc(1, sizeof(*kept)) : NULL;
	if (!kept) {
		ql_engine_log(engine, "%d sightings are kept already: '%s' of %s is lost",
			QL_ENGINE_KEPT_MAX, ql_event_word(sighting->event.kind),
			live->record.eval_id);
		ql_sighting_free(sighting);
		return;
	}
	kept->sighting = sighting;
	DL_APPEND(live->kept, kept);
	engine->kept_count++;
}

static struct ql_sighting *
kept_take(struct ql_live *live)
{
	struct kept *kept = live->kept;
	struct ql_sighting *sighting = kept->sighting;
	DL_DELETE(live->kept, kept);
	free(kept);
	live->engine->kept_count--;
	return sighting;
}

void
ql_kept_feed(struct ql_live *live)
{
	while (live->kept) {
		struct ql_sighting *sighting = kept_take(live);
		ql_sighted(live->engine, sighting);
		ql_sighting_free(sighting);
	}
}

void
ql_kept_free(struct ql_live *live)
{
	while (live->kept)
		ql_sighting_free(kept_take(live));
}

/*
 * Of a run that the store doesn't know. While recovery has not read the store yet that says
 * nothing: what it knows is looked at then, and what it doesn't is purged then.
 */
static void
sighted_unknown(struct ql_engine *engine, const struct ql_event *event)
{
	bool over = event->kind == QL_EVENT_GONE || event->kind == QL_EVENT_ABSENT;
	if (!over && !engine->recovery)
		ql_purge(engine, event->incarnation);
}

/* A broker that was opened anew finds it anew. */
static bool
is_known_container(const struct ql_live *live, const struct ql_sighting *sighting)
{
	const char *known = live->record.container;
	return sighting->event.kind == QL_EVENT_BOXED && sighting->event.incarnation && known &&
	       !strcmp(known, sighting->container);
}

static void
feed_or_disown(struct ql_live *live, struct feeding *feeding)
{
	struct ql_decision decision;
	enum ql_verdict verdict = ql_feed(live, feeding, &decision);
	if (verdict == QL_VERDICT_UNKNOWN)
		ql_disown(live);
	else if (!ql_verdict_makes_row(verdict))
		ql_places_learn(live, feeding->sighting);
}

static void
feed_sighting(struct ql_live *live, const struct ql_sighting *sighting)
{
	struct feeding feeding = {.event = sighting->event, .sighting = sighting};
	if (!ql_live_ready(live))
		ql_sighting_keep(live, ql_sighting_copy(sighting));
	else if (!is_known_container(live, sighting))
		feed_or_disown(live, &feeding);
}

/* ---- what a broker saw of an evaluation that is not in memory ---- */

struct naming {
	struct want want;
	struct ql_engine *engine;
	struct ql_sighting *sighting; /* owned */
};

static void
on_named(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct naming *naming = QL_OWNER(want, struct naming, want);
	struct ql_engine *engine = naming->engine;
	if (!err)
		feed_sighting(live, naming->sighting);
	engine->naming--;
	ql_sighting_free(naming->sighting);
	free(naming);
	ql_engine_op_end(engine);
}

/* Whoever else submits tasks under ids like ours is none of our business. */
static void
sighted_by_name(struct ql_engine *engine, const struct ql_sighting *sighting)
{
	struct naming *naming = NULL;
	if (engine->naming < QL_ENGINE_KEPT_MAX)
		naming = calloc(1, sizeof(*naming));
	if (naming)
		naming->sighting = ql_sighting_copy(sighting);
	if (!naming || !naming->sighting) {
		free(naming);
		ql_engine_log(engine, "'%s' of %s is lost, and looked for again later",
			ql_event_word(sighting->event.kind), sighting->eval_id);
		return;
	}
	engine->naming++;
	naming->engine = engine;
	naming->want.ready = on_named;
	ql_engine_op_begin(engine);
	ql_live_want(engine, naming->sighting->eval_id, &naming->want);
}

void
ql_sighted(struct ql_engine *engine, const struct ql_sighting *sighting)
{
	if (engine->shut)
		return; /* the next start looks for itself */
	struct ql_live *live = ql_live_of_run(engine, sighting->event.incarnation);
	if (!live && sighting->eval_id)
		live = ql_live_find(engine, sighting->eval_id);
	if (live)
		feed_sighting(live, sighting);
	else if (sighting->eval_id && engine->recovery)
		return; /* it is looked at once recovery has it: none may be in memory twice */
	else if (sighting->eval_id)
		sighted_by_name(engine, sighting);
	else
		sighted_unknown(engine, &sighting->event);
}
