#include "runtime/fake/world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/owner.h"
#include "base/str.h"

#define RUN_OF(node) (QL_OWNER((node), struct ql_fake_run, next_at))
#define WORLD_OF(alarm) (QL_OWNER((alarm), struct ql_fake_world, alarm))

/* A run has one thing to come: the earliest. It never comes at all when ms is -1. */
static void
plan(struct ql_fake_world *world, struct ql_fake_run *run, enum ql_fake_next next, int64_t ms)
{
	if (ms < 0 || (run->next_at.slot && run->next_at.at <= ql_alarm_ms() + ms))
		return;
	run->next = next;
	if (ql_alarm_set(&world->alarm, &run->next_at, ms))
		abort(); /* a test's world without memory has nothing to tell */
}

static void
plan_nothing(struct ql_fake_world *world, struct ql_fake_run *run)
{
	ql_alarm_clear(&world->alarm, &run->next_at);
}

static void
happen(struct ql_fake_world *world, struct ql_fake_run *run, enum ql_event_kind kind)
{
	if (world->happened && !run->forgotten)
		world->happened(world->arg, run, kind);
}

static void
vanish(struct ql_fake_world *world, struct ql_fake_run *run)
{
	plan_nothing(world, run);
	run->phase = QL_FAKE_GONE;
	run->stuck = false;
	happen(world, run, QL_EVENT_GONE);
}

static void
end(struct ql_fake_world *world, struct ql_fake_run *run, int exit_code, int exit_signal)
{
	plan_nothing(world, run);
	run->phase = QL_FAKE_EXITED;
	run->exit_code = exit_signal ? -1 : exit_code;
	run->exit_signal = exit_signal;
	run->flags |= run->ran ? 0 : QL_RUN_UNSTARTED;
	happen(world, run, QL_EVENT_EXITED);
	if (!run->program.linger) {
		vanish(world, run);
		return;
	}
	happen(world, run, QL_EVENT_STUCK);
	plan(world, run, QL_FAKE_NEXT_VANISH, run->program.linger);
}

static void
end_by_itself(struct ql_fake_world *world, struct ql_fake_run *run)
{
	if (run->program.oom)
		run->flags |= QL_RUN_OOM;
	int exit_signal = run->program.oom ? SIGKILL : (int)run->program.signal;
	end(world, run, (int)run->program.exit, exit_signal);
}

static void
lose(struct ql_fake_world *world, struct ql_fake_run *run)
{
	run->lost = true;
	run->flags |= QL_RUN_LOST;
	happen(world, run, QL_EVENT_LOST);
	vanish(world, run);
}

static void
come(struct ql_fake_world *world, struct ql_fake_run *run)
{
	bool works = run->program.start == QL_FAKE_START_OK;
	run->phase = works ? QL_FAKE_HELD : QL_FAKE_FAILED;
	happen(world, run, works ? QL_EVENT_HELD : QL_EVENT_FAILED_START);
}

static void
perform(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_fake_world *world = WORLD_OF(alarm);
	struct ql_fake_run *run = RUN_OF(node);
	switch (run->next) {
	case QL_FAKE_NEXT_START:
		come(world, run);
		break;
	case QL_FAKE_NEXT_END:
		end_by_itself(world, run);
		break;
	case QL_FAKE_NEXT_TERM_END:
		end(world, run, (int)run->program.term_exit, 0);
		break;
	case QL_FAKE_NEXT_NOTICE_END:
		run->flags |= QL_RUN_SAID_STOPPED;
		end(world, run, (int)run->program.notice_exit, 0);
		break;
	case QL_FAKE_NEXT_LOSS:
		lose(world, run);
		break;
	case QL_FAKE_NEXT_UNSTUCK:
		end(world, run, -1, SIGKILL);
		break;
	case QL_FAKE_NEXT_VANISH:
		vanish(world, run);
		break;
	}
}

struct ql_fake_world *
ql_fake_world_new(uv_loop_t *loop)
{
	struct ql_fake_world *world = calloc(1, sizeof(*world));
	if (!world || ql_alarm_init(&world->alarm, loop, perform)) {
		free(world);
		return NULL;
	}
	world->loop = loop;
	return world;
}

static void
alarm_closed(struct ql_alarm *alarm)
{
	struct ql_fake_world *world = WORLD_OF(alarm);
	struct ql_fake_run *run, *next;
	HASH_ITER (hh, world->runs, run, next) {
		HASH_DEL(world->runs, run);
		free(run->keep_dir);
		free(run);
	}
	free(world);
}

void
ql_fake_world_free(struct ql_fake_world *world)
{
	if (world)
		ql_alarm_close(&world->alarm, alarm_closed);
}

struct ql_fake_run *
ql_fake_find(const struct ql_fake_world *world, uint64_t incarnation)
{
	struct ql_fake_run *run;
	HASH_FIND(hh, world->runs, &incarnation, sizeof(incarnation), run);
	return run;
}

struct ql_fake_run *
ql_fake_add(struct ql_fake_world *world, uint64_t incarnation)
{
	struct ql_fake_run *run = calloc(1, sizeof(*run));
	if (!run)
		return NULL;
	run->incarnation = incarnation;
	run->exit_code = -1;
	HASH_ADD(hh, world->runs, incarnation, sizeof(run->incarnation), run);
	return run;
}

const struct ql_fake_run *
ql_fake_world_run(const struct ql_fake_world *world, uint64_t incarnation)
{
	return ql_fake_find(world, incarnation);
}

const struct ql_fake_run *
ql_fake_world_runs(const struct ql_fake_world *world)
{
	return world->runs;
}

int
ql_fake_world_alive(const struct ql_fake_world *world)
{
	int alive = 0;
	for (const struct ql_fake_run *run = world->runs; run; run = run->hh.next)
		alive += run->phase >= QL_FAKE_STARTING && run->phase <= QL_FAKE_EXITED;
	return alive;
}

int
ql_fake_world_violations(const struct ql_fake_world *world)
{
	return world->violations;
}

void
ql_fake_world_be_away(struct ql_fake_world *world, bool away)
{
	world->away = away;
}

void
ql_fake_world_end(struct ql_fake_world *world, uint64_t incarnation, int exit_code, int exit_signal)
{
	struct ql_fake_run *run = ql_fake_find(world, incarnation);
	if (run && run->phase == QL_FAKE_RUNNING)
		end(world, run, exit_code, exit_signal);
}

void
ql_fake_world_lose(struct ql_fake_world *world, uint64_t incarnation)
{
	struct ql_fake_run *run = ql_fake_find(world, incarnation);
	if (run && (run->phase == QL_FAKE_HELD || run->phase == QL_FAKE_RUNNING))
		lose(world, run);
}

void
ql_fake_world_let_go(struct ql_fake_world *world, uint64_t incarnation)
{
	struct ql_fake_run *run = ql_fake_find(world, incarnation);
	if (!run)
		return;
	if (run->phase == QL_FAKE_EXITED)
		vanish(world, run);
	else if (run->stuck)
		end(world, run, -1, SIGKILL);
}

/* ---- acts ---- */

static int
remember(struct ql_fake_run *run, const struct ql_launch *launch, struct ql_err *e)
{
	ql_str_copy(run->eval_id, sizeof(run->eval_id), launch->eval_id);
	run->attempt = launch->attempt;
	run->slot = launch->slot;
	run->resumed = launch->checkpoint != NULL;
	run->keep_dir = ql_str_dup(launch->keep_dir);
	if (launch->keep_dir && !run->keep_dir)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a run");
	return 0;
}

void
ql_fake_start(struct ql_fake_world *world, struct ql_fake_run *run, const struct ql_launch *launch)
{
	struct ql_err e;
	const char *why = "Its program says start=fail";
	if (remember(run, launch, &e) || ql_fake_program_parse(launch, &run->program, &e)) {
		run->program.start = QL_FAKE_START_FAIL;
		why = e.text;
	}
	if (run->program.start == QL_FAKE_START_FAIL)
		ql_str_copy(run->news.text, sizeof(run->news.text), why);
	run->phase = QL_FAKE_STARTING;
	if (run->program.start != QL_FAKE_START_NEVER)
		plan(world, run, QL_FAKE_NEXT_START, run->program.start_after);
}

static void
write_file(const struct ql_fake_run *run, const char *name, const void *data, size_t len)
{
	char path[4096];
	if (!run->keep_dir)
		return;
	snprintf(path, sizeof(path), "%s/%s", run->keep_dir, name);
	if (mkdir(run->keep_dir, 0700) && errno != EEXIST)
		abort();
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort(); /* the test's own folder */
	close(fd);
}

static void
write_output(const struct ql_fake_run *run)
{
	size_t len = strlen(run->program.output);
	if (!len)
		return;
	const uint32_t span[] = {(uint32_t)len, 1};
	write_file(run, "output", run->program.output, len);
	write_file(run, "index", span, sizeof(span));
}

static void
plan_notice(struct ql_fake_world *world, struct ql_fake_run *run)
{
	if (run->program.notice == QL_FAKE_NOTICE_STOP)
		plan(world, run, QL_FAKE_NEXT_NOTICE_END, run->program.notice_after);
}

void
ql_fake_release(struct ql_fake_world *world, struct ql_fake_run *run)
{
	if (run->phase != QL_FAKE_HELD)
		return;
	run->phase = QL_FAKE_RUNNING;
	run->ran = true;
	write_output(run);
	happen(world, run, QL_EVENT_RUNNING);
	plan(world, run, QL_FAKE_NEXT_END, run->program.after);
	plan(world, run, QL_FAKE_NEXT_LOSS, run->program.lost);
	if (run->acts[QL_ACT_NOTICE])
		plan_notice(world, run);
}

static void
sent(struct ql_fake_run *run, enum ql_rung rung)
{
	if (run->sent < rung)
		run->sent = rung;
}

void
ql_fake_notice(struct ql_fake_world *world, struct ql_fake_run *run)
{
	if (run->phase != QL_FAKE_HELD && run->phase != QL_FAKE_RUNNING)
		return;
	sent(run, QL_RUNG_NOTICE);
	if (run->phase == QL_FAKE_RUNNING)
		plan_notice(world, run);
}

void
ql_fake_terminate(struct ql_fake_world *world, struct ql_fake_run *run)
{
	if (run->phase == QL_FAKE_HELD) {
		sent(run, QL_RUNG_TERMINATE);
		end(world, run, -1, SIGTERM);
	}
	if (run->phase != QL_FAKE_RUNNING)
		return;
	sent(run, QL_RUNG_TERMINATE);
	if (run->program.term == QL_FAKE_TERM_DIE && !run->stuck)
		end(world, run, -1, SIGTERM);
	if (run->program.term != QL_FAKE_TERM_CATCH)
		return;
	run->flags |= QL_RUN_CATCHES_TERM;
	plan(world, run, QL_FAKE_NEXT_TERM_END, run->program.term_after);
}

void
ql_fake_kill(struct ql_fake_world *world, struct ql_fake_run *run)
{
	if (run->phase == QL_FAKE_STARTING) {
		run->phase = QL_FAKE_FAILED;
		plan_nothing(world, run);
		ql_str_copy(run->news.text, sizeof(run->news.text), "It was killed as it started");
		happen(world, run, QL_EVENT_FAILED_START);
	}
	if (run->phase != QL_FAKE_HELD && run->phase != QL_FAKE_RUNNING)
		return;
	sent(run, QL_RUNG_KILL);
	if (!run->program.stuck) {
		end(world, run, -1, SIGKILL);
		return;
	}
	bool again = run->stuck;
	run->stuck = true;
	happen(world, run, QL_EVENT_STUCK);
	if (again)
		return;
	plan_nothing(world, run);
	plan(world, run, QL_FAKE_NEXT_UNSTUCK, run->program.stuck);
}

void
ql_fake_salvage(struct ql_fake_world *world, struct ql_fake_run *run)
{
	if (run->program.checkpoint > 0) {
		void *zeroes = calloc(1, (size_t)run->program.checkpoint);
		if (!zeroes)
			abort(); /* as in plan */
		write_file(run, "checkpoint.tar", zeroes, (size_t)run->program.checkpoint);
		free(zeroes);
	}
	happen(world, run, QL_EVENT_SALVAGED);
}

void
ql_fake_forget(struct ql_fake_world *world, struct ql_fake_run *run)
{
	plan_nothing(world, run);
	run->forgotten = true;
}
