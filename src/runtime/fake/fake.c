#include "runtime/fake/fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/fake/world.h"

struct fake {
	struct ql_runtime runtime;
	struct ql_desk desk;
	struct ql_fake_world *world;
	void (*closed)(void *arg);
	void *closed_arg;
};

static bool
is_there(const struct ql_fake_run *run)
{
	return run && !run->forgotten && run->phase != QL_FAKE_ABSENT;
}

static bool
has_exited(const struct ql_fake_run *run)
{
	return run->phase == QL_FAKE_EXITED || run->phase == QL_FAKE_GONE;
}

static bool
is_over(const struct ql_fake_run *run)
{
	return run->phase == QL_FAKE_GONE || run->phase == QL_FAKE_FAILED;
}

static void
fill_facts(struct ql_fake_run *run)
{
	run->news.facts = (struct ql_event){
		.incarnation = run->incarnation,
		.exit_code = run->exit_code,
		.exit_signal = run->exit_signal,
		.sent = run->sent,
		.flags = run->flags,
		.output_bytes = run->ran ? (int64_t)strlen(run->program.output) : 0,
		.checkpoint_bytes = run->program.checkpoint,
	};
	run->news.cpu_us = run->ran ? run->program.cpu * 1000 : 0;
	snprintf(run->news.container, sizeof(run->news.container), "fake-%016llx",
		(unsigned long long)run->incarnation);
}

static void
tell(struct fake *fake, struct ql_fake_run *run, enum ql_event_kind kind)
{
	fill_facts(run);
	ql_desk_tell(&fake->desk, &run->news, kind);
}

static void
end_purge(struct fake *fake, struct ql_fake_run *run)
{
	struct ql_runtime_op *op = run->purge;
	run->purge = NULL;
	ql_fake_forget(fake->world, run);
	ql_desk_hush(&fake->desk, &run->news);
	ql_desk_answer(&fake->desk, op, 0);
}

static void
happened(void *arg, struct ql_fake_run *run, enum ql_event_kind kind)
{
	struct fake *fake = arg;
	if (!run->purge)
		tell(fake, run, kind);
	else if (is_over(run))
		end_purge(fake, run);
}

static void
dropped(struct ql_desk *desk, struct ql_runtime_op *op)
{
	struct fake *fake = QL_OWNER(desk, struct fake, desk);
	struct ql_fake_run *run = ql_fake_find(fake->world, op->incarnation);
	if (run && run->purge == op)
		run->purge = NULL;
}

static void
tell_truth(struct fake *fake, struct ql_fake_run *run)
{
	if (run->phase == QL_FAKE_HELD)
		tell(fake, run, QL_EVENT_HELD);
	if (run->phase == QL_FAKE_RUNNING)
		tell(fake, run, QL_EVENT_RUNNING);
	if (has_exited(run))
		tell(fake, run, run->lost ? QL_EVENT_LOST : QL_EVENT_EXITED);
	if (run->stuck || run->phase == QL_FAKE_EXITED)
		tell(fake, run, QL_EVENT_STUCK);
	if (run->phase == QL_FAKE_GONE)
		tell(fake, run, QL_EVENT_GONE);
	if (run->phase == QL_FAKE_FAILED)
		tell(fake, run, QL_EVENT_FAILED_START);
}

static int
start(struct fake *fake, struct ql_runtime_op *op)
{
	struct ql_fake_run *run = ql_fake_find(fake->world, op->incarnation);
	if (is_there(run)) {
		run->acts[QL_ACT_START]++;
		tell_truth(fake, run);
		return 0;
	}
	if (run) {
		fake->world->violations += run->denied;
		return ql_fail(&op->err, QL_E_CONFLICT,
			"The run %016llx is over: its name is never used again",
			(unsigned long long)op->incarnation);
	}
	run = ql_fake_add(fake->world, op->incarnation);
	if (!run)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a run");
	run->acts[QL_ACT_START]++;
	ql_fake_start(fake->world, run, op->launch);
	return 0;
}

static int
inspect(struct fake *fake, struct ql_runtime_op *op)
{
	struct ql_fake_run *run = ql_fake_find(fake->world, op->incarnation);
	if (!run)
		run = ql_fake_add(fake->world, op->incarnation);
	if (!run)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a run");
	run->acts[QL_ACT_INSPECT]++;
	if (run->phase == QL_FAKE_STARTING)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "It is still starting: ask again");
	if (is_there(run)) {
		tell_truth(fake, run);
		run->news.facts.epoch = op->epoch;
		return 0;
	}
	run->denied = true;
	tell(fake, run, QL_EVENT_ABSENT);
	return 0;
}

static int
forget(struct fake *fake, struct ql_runtime_op *op)
{
	struct ql_fake_run *run = ql_fake_find(fake->world, op->incarnation);
	if (!is_there(run))
		return 0;
	run->acts[QL_ACT_FORGET]++;
	if (!is_over(run))
		return ql_fail(&op->err, QL_E_CONFLICT,
			"The run %016llx is not gone: kill it before it is forgotten",
			(unsigned long long)op->incarnation);
	ql_fake_forget(fake->world, run);
	ql_desk_hush(&fake->desk, &run->news);
	return 0;
}

static int
too_late(struct fake *fake, struct ql_runtime_op *op, struct ql_fake_run *run)
{
	tell_truth(fake, run);
	if (op->kind == QL_ACT_KILL)
		return 0;
	return ql_fail(&op->err, QL_E_CONFLICT, "The run %016llx has ended",
		(unsigned long long)op->incarnation);
}

static int
salvage(struct fake *fake, struct ql_runtime_op *op, struct ql_fake_run *run)
{
	if (run->phase != QL_FAKE_GONE)
		return ql_fail(&op->err, QL_E_CONFLICT,
			"The run %016llx is not gone: there is nothing to salvage yet",
			(unsigned long long)op->incarnation);
	ql_fake_salvage(fake->world, run);
	return 0;
}

/* The acts that are for a run that is there. */
static int
act_on(struct fake *fake, struct ql_runtime_op *op)
{
	struct ql_fake_run *run = ql_fake_find(fake->world, op->incarnation);
	if (!is_there(run))
		return ql_fail(&op->err, QL_E_NOT_FOUND, "There is no run %016llx",
			(unsigned long long)op->incarnation);
	run->acts[op->kind]++;
	if (op->kind == QL_ACT_SALVAGE)
		return salvage(fake, op, run);
	if (has_exited(run) || is_over(run))
		return too_late(fake, op, run);
	if (op->kind == QL_ACT_RELEASE)
		ql_fake_release(fake->world, run);
	else if (op->kind == QL_ACT_NOTICE)
		ql_fake_notice(fake->world, run);
	else if (op->kind == QL_ACT_TERMINATE)
		ql_fake_terminate(fake->world, run);
	else
		ql_fake_kill(fake->world, run);
	return 0;
}

static void
fake_act(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	struct fake *fake = (struct fake *)runtime;
	if (ql_desk_take(&fake->desk, op))
		return;
	int status = -1;
	if (op->kind == QL_ACT_START)
		status = start(fake, op);
	else if (op->kind == QL_ACT_INSPECT)
		status = inspect(fake, op);
	else if (op->kind == QL_ACT_FORGET)
		status = forget(fake, op);
	else if (op->kind >= QL_ACT_RELEASE && op->kind <= QL_ACT_SALVAGE)
		status = act_on(fake, op);
	else
		ql_fail(&op->err, QL_E_INTERNAL, "A runtime has no act '%s'",
			ql_act_word(op->kind));
	ql_desk_answer(&fake->desk, op, status);
}

static void
fake_list(struct ql_runtime *runtime, struct ql_runtime_list *op)
{
	struct fake *fake = (struct fake *)runtime;
	if (ql_desk_take_list(&fake->desk, op))
		return;
	size_t count = 0;
	for (struct ql_fake_run *run = fake->world->runs; run; run = run->hh.next)
		count += is_there(run);
	op->incarnations = calloc(count + 1, sizeof(*op->incarnations));
	if (!op->incarnations) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a list of %zu runs", count);
		ql_desk_answer_list(&fake->desk, op, -1);
		return;
	}
	for (struct ql_fake_run *run = fake->world->runs; run; run = run->hh.next) {
		if (is_there(run))
			op->incarnations[op->count++] = run->incarnation;
	}
	ql_desk_answer_list(&fake->desk, op, 0);
}

static void
fake_purge(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	struct fake *fake = (struct fake *)runtime;
	if (ql_desk_take(&fake->desk, op))
		return;
	struct ql_fake_run *run = ql_fake_find(fake->world, op->incarnation);
	if (!is_there(run)) {
		ql_desk_answer(&fake->desk, op, 0);
		return;
	}
	if (run->purge) {
		ql_fail(&op->err, QL_E_CONFLICT, "The run %016llx is being purged already",
			(unsigned long long)op->incarnation);
		ql_desk_answer(&fake->desk, op, -1);
		return;
	}
	run->purge = op;
	if (is_over(run))
		end_purge(fake, run);
	else
		ql_fake_kill(fake->world, run);
}

static const char *
fake_describe(struct ql_runtime *runtime)
{
	(void)runtime;
	return "fake: virtual programs, nothing is enforced";
}

static void
fake_health(const struct ql_runtime *runtime, struct ql_dependency *ret_health)
{
	const struct fake *fake = (const struct fake *)runtime;
	ret_health->state = fake->world->away ? QL_BREAKER_OPEN : QL_BREAKER_CLOSED;
	ql_str_copy(ret_health->detail, sizeof(ret_health->detail),
		fake->world->away ? "the test said so" : "");
}

static void
desk_closed(void *arg)
{
	struct fake *fake = arg;
	void (*closed)(void *closed_arg) = fake->closed;
	void *closed_arg = fake->closed_arg;
	free(fake);
	closed(closed_arg);
}

static void
fake_close(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg)
{
	struct fake *fake = (struct fake *)runtime;
	fake->closed = closed;
	fake->closed_arg = arg;
	ql_desk_close(&fake->desk, desk_closed, fake);
	fake->world->happened = NULL;
	fake->world->arg = NULL;
}

static const struct ql_runtime_ops ops = {
	.name = "fake",
	.act = fake_act,
	.list = fake_list,
	.purge = fake_purge,
	.describe = fake_describe,
	.health = fake_health,
	.close = fake_close,
};

int
ql_runtime_fake_open(struct ql_fake_world *world, struct ql_runtime **ret_runtime, struct ql_err *e)
{
	if (world->happened)
		return ql_fail(e, QL_E_CONFLICT, "Another driver is open on this world");
	struct fake *fake = calloc(1, sizeof(*fake));
	if (!fake)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the fake runtime");
	if (ql_desk_init(&fake->desk, world->loop, &fake->runtime.sink, e)) {
		free(fake);
		return -1;
	}
	fake->runtime.ops = &ops;
	fake->runtime.loop = world->loop;
	fake->desk.dropped = dropped;
	fake->world = world;
	world->happened = happened;
	world->arg = fake;
	*ret_runtime = &fake->runtime;
	return 0;
}
