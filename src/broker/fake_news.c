/* What the fake driver sees on its farm, and tells in the loop's next turn, or when the broker is back. */
#include "broker/fake_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"

bool
ql_fake_is_out(const struct fake *fake)
{
	return fake->farm->down || fake->farm->cut;
}

void
ql_fake_tell_soon(struct fake *fake)
{
	bool some = fake->news || fake->was_out;
	if (some && !ql_fake_is_out(fake) && ql_alarm_set(&fake->alarm, &fake->soon, 0))
		abort(); /* a test's world without memory has nothing to tell */
}

void
ql_fake_news_free(struct fake *fake, struct news *news)
{
	DL_DELETE(fake->news, news);
	ql_sighting_free(news->sighting);
	free(news);
}

/* Who is there is heard of. */
static void
meet_workers(struct fake *fake)
{
	struct ql_farm_worker *worker;
	char text[QL_TASK_NODE + 16];
	if (ql_fake_is_out(fake))
		return;
	DL_FOREACH (fake->farm->workers, worker) {
		worker->known |= !worker->away;
		if (worker->kept || worker->away)
			continue;
		worker->kept = true;
		snprintf(text, sizeof(text), "{\"node\":\"%s\"}", worker->node);
		if (fake->broker.known)
			fake->broker.known(fake->broker.back_arg, worker->node, text);
	}
}

void
ql_fake_rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct fake *fake = QL_OWNER(alarm, struct fake, alarm);
	struct news *news, *last = fake->news ? fake->news->prev : NULL;
	(void)node;
	bool is_back = fake->was_out && !ql_fake_is_out(fake);
	if (is_back)
		fake->was_out = false;
	meet_workers(fake);
	if (is_back && fake->broker.back)
		fake->broker.back(fake->broker.back_arg);
	if (is_back && fake->broker.forgot)
		fake->broker.forgot(fake->broker.back_arg, fake->farm->remembers);
	while (fake->news && !ql_fake_is_out(fake) && !fake->desk.closing) {
		news = fake->news;
		bool more = news != last;
		fake->broker.sink.sighted(fake->broker.sink.arg, news->sighting);
		ql_fake_news_free(fake, news);
		if (!more)
			break;
	}
	if (!fake->desk.closing)
		ql_fake_tell_soon(fake);
}

void
ql_fake_tell(struct fake *fake, const struct ql_farm_task *task, struct ql_sighting sighting)
{
	if (!task->eval_id[0] || fake->desk.closing)
		return;
	sighting.eval_id = task->eval_id;
	sighting.event.attempt = task->attempt;
	struct news *news = calloc(1, sizeof(*news));
	if (!news || !(news->sighting = ql_sighting_copy(&sighting)))
		abort(); /* as in tell_soon */
	DL_APPEND(fake->news, news);
	ql_fake_tell_soon(fake);
}

void
ql_fake_place(const struct ql_farm_run *run, char ret_place[static QL_FAKE_PLACE])
{
	snprintf(ret_place, QL_FAKE_PLACE, "{\"run\":\"%016" PRIx64 "\"}", run->incarnation);
}

static void
tell_run(struct fake *fake, struct ql_farm_run *run, enum ql_event_kind kind, int32_t epoch,
	int32_t unasked)
{
	run->seen = true;
	bool exited = kind == QL_EVENT_EXITED;
	char place[QL_FAKE_PLACE];
	ql_fake_place(run, place);
	struct ql_sighting sighting = {
		.event =
			{
				.kind = kind,
				.incarnation = run->incarnation,
				.epoch = epoch,
				.unasked = unasked,
				.exit_code = exited ? run->exit_code : -1,
				.exit_signal = exited ? run->exit_signal : 0,
				.sent = exited ? run->sent : QL_RUNG_NONE,
				.flags = exited ? run->flags : 0,
				.checkpoint_bytes = -1,
			},
		.text = kind == QL_EVENT_STUCK ? "its process swallowed SIGTERM, and its host is "
						 "out of reach: end it there"
					       : NULL,
		.worker = run->worker ? run->worker->node : NULL,
		.place = kind == QL_EVENT_RUNNING ? place : NULL,
		.cpu_us = kind == QL_EVENT_GONE ? run->program.cpu * 1000 : 0,
	};
	ql_fake_tell(fake, run->task, sighting);
}

bool
ql_farm_run_is_seen(const struct ql_farm_run *run)
{
	return !run->worker || !run->worker->away;
}

void
ql_fake_happened(void *arg, struct ql_farm_run *run, enum ql_event_kind kind)
{
	if (kind == QL_EVENT_EXITED)
		run->task->boxes = 0; /* what it ran in is ended with it, and they are the task's */
	if (!run->forgotten && !ql_fake_is_out(ql_fake_of(arg)) &&
		(kind == QL_EVENT_EXITED || ql_farm_run_is_seen(run)))
		tell_run(arg, run, kind, 0, 0);
}

bool
ql_farm_run_has_ended(const struct ql_farm_run *run)
{
	return (run->phase == QL_FARM_EXITED || run->phase == QL_FARM_GONE) && !run->lost;
}

bool
ql_farm_run_is_alive(const struct ql_farm_run *run)
{
	return run->phase == QL_FARM_HELD || run->phase == QL_FARM_RUNNING;
}

void
ql_fake_tell_end(struct fake *fake, struct ql_farm_run *run, int32_t epoch, int32_t unasked)
{
	tell_run(fake, run, QL_EVENT_EXITED, epoch, epoch ? unasked : 0);
	if (run->phase == QL_FARM_GONE && ql_farm_run_is_seen(run))
		tell_run(fake, run, QL_EVENT_GONE, 0, 0);
}

void
ql_fake_tell_alive(struct fake *fake, struct ql_farm_run *run)
{
	bool held = run->phase == QL_FARM_HELD;
	if (!ql_farm_run_is_seen(run))
		return;
	tell_run(fake, run, held ? QL_EVENT_HELD : QL_EVENT_RUNNING, 0, 0);
	if (run->stuck)
		tell_run(fake, run, QL_EVENT_STUCK, 0, 0);
}

void
ql_fake_back(void *arg, bool all)
{
	struct fake *fake = arg;
	struct ql_farm_run *run;
	fake->was_out |= all;
	ql_fake_tell_soon(fake);
	DL_FOREACH (fake->farm->runs, run) {
		if (run->forgotten)
			continue;
		if (run->phase == QL_FARM_RUNNING)
			ql_fake_tell_alive(fake, run);
		else if (ql_farm_run_has_ended(run) && run->seen)
			ql_fake_tell_end(fake, run, 0, 0);
	}
}

/* ---- who answers ---- */

enum answers
ql_farm_who_answers(const struct ql_farm *farm)
{
	const struct ql_farm_worker *worker;
	enum answers worst = ALL_ANSWER;
	DL_FOREACH (farm->workers, worker) {
		if (worker->away && !worker->silent)
			return SOME_ARE_AWAY;
		if (worker->silent && worker->known)
			worst = SOME_ARE_SILENT;
	}
	return worst;
}
