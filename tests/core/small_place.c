/* The place of execution, and the broker. */
#include "small_parts.h"

#include <string.h>

static void
tell(struct small_world *world, int which, int32_t epoch)
{
	struct small_run *run = &world->runs[which];
	if (run->phase == SMALL_LEFT)
		small_post(world, QL_EVENT_ABSENT, which, 0, QL_ACT_NONE);
	if (run->phase == SMALL_RETRIED)
		small_post(world, QL_EVENT_RETRIED, which, 0, QL_ACT_NONE);
	if (run->phase > SMALL_GONE)
		return;
	if (run->phase == SMALL_NEVER || run->forgotten) {
		run->barred = 1;
		small_post(world, QL_EVENT_ABSENT, which, 0, QL_ACT_NONE);
		return;
	}
	if (run->phase == SMALL_HELD)
		small_post(world, QL_EVENT_HELD, which, epoch, QL_ACT_NONE);
	if (run->phase == SMALL_RUNNING)
		small_post(world, QL_EVENT_RUNNING, which, 0, QL_ACT_NONE);
	if (run->lost)
		small_post(world, QL_EVENT_LOST, which, 0, QL_ACT_NONE);
	else if (run->phase >= SMALL_EXITED)
		small_post(world, QL_EVENT_EXITED, which, run->phase == SMALL_GONE ? epoch : 0,
			QL_ACT_NONE);
	if (run->phase == SMALL_GONE && !run->lost)
		small_post(world, QL_EVENT_GONE, which, 0, QL_ACT_NONE);
}

void
small_end(struct small_world *world, int which, int32_t code, int32_t signal)
{
	struct small_run *run = &world->runs[which];
	run->phase = SMALL_GONE;
	run->stuck = 0;
	run->code = code;
	run->signal = signal;
	tell(world, which, 0);
}

static const char *
kill_run(struct small_world *world, int which, int32_t epoch, bool keeps)
{
	struct small_run *run = &world->runs[which];
	if (run->phase == SMALL_NEVER)
		run->barred = 1;
	if (world->remote && run->phase == SMALL_HELD) {
		run->warned = 1;
		small_post(world, QL_EVENT_DELIVERED, which, epoch, QL_ACT_KILL);
		return NULL;
	}
	if (run->phase != SMALL_HELD && run->phase != SMALL_RUNNING)
		return NULL;
	const char *broken = run->phase == SMALL_RUNNING && run->sent != QL_RUNG_KILL
				     ? small_check_grace(world, run)
				     : NULL;
	run->sent = QL_RUNG_KILL;
	run->stuck = run->stuck || keeps;
	if (run->stuck)
		small_post(world, QL_EVENT_STUCK, which, 0, QL_ACT_NONE);
	else
		small_end(world, which, -1, 9);
	return broken;
}

static void
send_rung(struct small_run *run, enum ql_rung rung)
{
	bool hears = run->phase == SMALL_HELD || run->phase == SMALL_RUNNING;
	if (hears && run->sent < (int32_t)rung)
		run->sent = (int32_t)rung;
}

const char *
small_arrive(struct small_world *world, int which, bool keeps)
{
	struct small_run *run = &world->runs[which];
	struct small_act act = small_pull(run);
	const char *broken = NULL;
	switch ((enum ql_act_kind)act.kind) {
	case QL_ACT_START:
		if (!run->barred && run->phase == SMALL_NEVER)
			run->phase = SMALL_HELD;
		if (run->phase == SMALL_HELD)
			small_post(world, QL_EVENT_HELD, which, 0, QL_ACT_NONE);
		return NULL;
	case QL_ACT_RELEASE:
		if (run->phase == SMALL_HELD) {
			run->phase = SMALL_RUNNING;
			run->ran = 1;
			small_post(world, QL_EVENT_RUNNING, which, 0, QL_ACT_NONE);
		}
		return run->ran && world->state.status == QL_STATUS_CANCELLED && small_is_alive(run)
			       ? "it was cancelled, and now it runs"
			       : NULL;
	case QL_ACT_NOTICE:
		send_rung(run, QL_RUNG_NOTICE);
		break;
	case QL_ACT_TERMINATE:
		send_rung(run, QL_RUNG_TERMINATE);
		break;
	case QL_ACT_KILL:
		broken = kill_run(world, which, act.epoch, keeps);
		break;
	case QL_ACT_INSPECT:
		tell(world, which, run->phase == SMALL_HELD ? act.epoch : 0);
		return NULL;
	case QL_ACT_SALVAGE:
		if (!run->forgotten)
			small_post(world, QL_EVENT_SALVAGED, which, 0, QL_ACT_NONE);
		return NULL;
	case QL_ACT_FORGET:
		run->forgotten = run->phase == SMALL_GONE;
		broken = run->forgotten ? NULL : "a run that is there is to be forgotten";
		break;
	default:
		return "an act that the place does not know";
	}
	if (act.kind != QL_ACT_KILL && act.epoch == world->state.epoch)
		small_post(world, QL_EVENT_DELIVERED, which, act.epoch, (enum ql_act_kind)act.kind);
	return broken;
}

/* All places are asked: the queue, the workers, the results. */
static void
look(struct small_world *world, int32_t epoch)
{
	bool there = world->message, ended = false;
	for (int i = 0; i < SMALL_RUNS; i++) {
		struct small_run *run = &world->runs[i];
		there = there || small_is_alive(run);
		ended = ended || (run->phase == SMALL_GONE && !run->lost && !run->forgotten);
	}
	for (int i = 0; i < SMALL_RUNS; i++) {
		struct small_run *run = &world->runs[i];
		if (run->phase == SMALL_AIR && !there && !world->state.absent_at)
			run->overlooked = 1;
		if (run->phase != SMALL_NEVER && run->phase <= SMALL_GONE && !run->forgotten)
			tell(world, i, there ? 0 : epoch);
	}
	if (!there && !ended)
		small_post(world, QL_EVENT_ABSENT, -1, epoch, QL_ACT_NONE);
}

void
small_arrive_at_broker(struct small_world *world)
{
	struct small_act act = world->broker;
	world->broker = (struct small_act){0};
	if (act.kind == QL_ACT_ENQUEUE) {
		world->message |= world->message_of < world->state.attempt;
		world->message_of = world->state.attempt;
		small_post(world, QL_EVENT_DELIVERED, -1, act.epoch, QL_ACT_ENQUEUE);
	} else if (act.kind == QL_ACT_REMOVE) {
		small_post(world, world->message ? QL_EVENT_REMOVED : QL_EVENT_NOT_QUEUED, -1,
			act.epoch, QL_ACT_NONE);
		world->message = 0;
	} else {
		look(world, act.epoch);
	}
}

/* The message becomes a run, in that phase. */
static void
take(struct small_world *world, enum small_phase phase)
{
	int which = world->runs[0].phase == SMALL_NEVER ? 0 : 1;
	world->runs[which].phase = (int32_t)phase;
	world->runs[which].ran = phase == SMALL_RUNNING;
	tell(world, which, 0);
}

static void
become(struct small_world *world, int which, enum small_phase phase)
{
	world->runs[which].phase = (int32_t)phase;
	tell(world, which, 0);
}

static void
take_message(struct small_world *world, enum small_phase phase)
{
	world->message = world->redeliveries > 0;
	world->redeliveries -= world->message;
	take(world, phase);
}

void
small_work(struct small_world *world, const struct small_choice *choice)
{
	bool flies = world->takes & SMALL_FLIES;
	switch ((enum small_choice_kind)choice->kind) {
	case CHOICE_DELIVERY:
		take_message(world, flies ? SMALL_AIR : SMALL_RUNNING);
		return;
	case CHOICE_HOLD:
		take_message(world, SMALL_HELD);
		return;
	case CHOICE_LAND:
		world->runs[choice->run].ran = 1;
		become(world, choice->run, SMALL_RUNNING);
		return;
	case CHOICE_BEGIN:
		become(world, choice->run, SMALL_LEFT);
		take(world, SMALL_RUNNING);
		return;
	case CHOICE_DROP:
		small_end(world, choice->run, -1, 15);
		return;
	case CHOICE_BACK:
		world->backs--;
		world->message = 1;
		become(world, choice->run, SMALL_LEFT);
		return;
	default: /* CHOICE_RETRY */
		world->retries--;
		world->message = 1;
		become(world, choice->run, SMALL_RETRIED);
	}
}

void
small_crash(struct small_world *world)
{
	world->crashes--;
	world->net_len = 0;
	memset(world->net, 0, sizeof(world->net));
	world->broker = (struct small_act){0};
	for (int i = 0; i < SMALL_RUNS; i++) {
		world->runs[i].pipe_len = 0;
		memset(world->runs[i].pipe, 0, sizeof(world->runs[i].pipe));
	}
}
