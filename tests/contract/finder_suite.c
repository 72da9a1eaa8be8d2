#include "finder_suite.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

struct stage {
	struct finder_place *place;
	uv_loop_t loop;
	uv_timer_t pulse;
	struct ql_finder *finder;
	bool submitting; /* nothing may be called back now */
};

/* One operation, whichever. */
struct cue {
	struct ql_find find;
	struct ql_reap reap;
	struct stage *stage;
	int done;
	int status;
};

/* ---- the stage ---- */

static void
beat(uv_timer_t *timer)
{
	(void)timer;
}

static void
turn(struct stage *stage, uint64_t since)
{
	uv_run(&stage->loop, UV_RUN_ONCE);
	assert_true(uv_now(&stage->loop) - since < FINDER_PATIENCE_MS);
}

static void
answered(struct cue *cue, int status, const struct ql_err *err)
{
	assert_false(cue->stage->submitting);
	assert_int_equal(++cue->done, 1);
	assert_true(!status || strlen(err->text) > 10);
	cue->status = status;
}

static void
on_found(struct ql_find *op, int status)
{
	answered((struct cue *)op, status, &op->err);
}

static void
on_reaped(struct ql_reap *op, int status)
{
	struct cue *cue = QL_OWNER(op, struct cue, reap);
	answered(cue, status, &op->err);
}

static int
await(struct stage *stage, struct cue *cue)
{
	uint64_t since = uv_now(&stage->loop);
	while (!cue->done)
		turn(stage, since);
	return cue->status;
}

static int
look_once(struct stage *stage, struct ql_traces *traces)
{
	struct cue cue = {.stage = stage, .find = {.traces = traces, .done = on_found}};
	stage->submitting = true;
	stage->finder->ops->find(stage->finder, &cue.find);
	stage->submitting = false;
	return await(stage, &cue);
}

/* Until a look is one of all places; what another one left out is told, and never invented. */
static void
look(struct stage *stage, struct ql_traces *ret_traces)
{
	uint64_t since = uv_now(&stage->loop);
	*ret_traces = (struct ql_traces){0};
	while (look_once(stage, ret_traces) || ret_traces->partial) {
		ql_traces_done(ret_traces);
		turn(stage, since);
	}
}

static int
reap_once(struct stage *stage, const struct ql_trace *trace, enum ql_code *ret_code)
{
	struct cue cue = {.stage = stage, .reap = {.trace = trace, .done = on_reaped}};
	stage->submitting = true;
	stage->finder->ops->reap(stage->finder, &cue.reap);
	stage->submitting = false;
	int status = await(stage, &cue);
	if (ret_code)
		*ret_code = cue.reap.err.code;
	return status;
}

static const struct ql_trace *
of_kind(const struct ql_traces *traces, enum ql_orphan_kind kind)
{
	const struct ql_trace *found = NULL;
	for (size_t i = 0; i < traces->count; i++) {
		if (traces->all[i].kind != kind)
			continue;
		assert_null(found);
		found = &traces->all[i];
	}
	return found;
}

static bool
is_there(struct stage *stage, enum ql_orphan_kind kind)
{
	return stage->place->is_there(stage->place, kind);
}

/* Leaves one, and looks at it. */
static struct ql_trace
left(struct stage *stage, enum ql_orphan_kind kind)
{
	struct ql_traces traces;
	uint32_t marks;
	stage->place->leave(stage->place, kind, &marks);
	look(stage, &traces);
	const struct ql_trace *trace = of_kind(&traces, kind);
	assert_non_null(trace);
	assert_int_equal(trace->marks, marks);
	assert_true(*trace->name);
	struct ql_trace copy = *trace;
	ql_traces_done(&traces);
	return copy;
}

/* Each play for each kind that this place has for it, on a fresh place. */
static void
each_kind(struct stage *stage, uint32_t kinds,
	void (*play)(struct stage *stage, enum ql_orphan_kind kind))
{
	struct finder_place *place = stage->place;
	for (int kind = 0; kind < QL_ORPHAN_KINDS; kind++) {
		if (!(kinds >> kind & 1))
			continue;
		stage->finder = place->open(place);
		assert_true(stage->finder->kinds >> kind & 1);
		play(stage, (enum ql_orphan_kind)kind);
		place->close(place, stage->finder);
	}
}

/* ---- looks ---- */

static void
nothing_left(struct stage *stage, enum ql_orphan_kind kind)
{
	struct ql_traces traces;
	look(stage, &traces);
	assert_null(of_kind(&traces, kind));
	ql_traces_done(&traces);
}

static void
nothing_is_found_of_nothing(void **state)
{
	struct stage *stage = *state;
	each_kind(stage, stage->place->kinds, nothing_left);
}

static void
found_twice(struct stage *stage, enum ql_orphan_kind kind)
{
	struct ql_traces traces;
	struct ql_trace first = left(stage, kind);
	look(stage, &traces);
	const struct ql_trace *again = of_kind(&traces, kind);
	assert_non_null(again);
	assert_true(ql_trace_is(&first, again));
	assert_int_equal(first.marks, again->marks);
	assert_true(is_there(stage, kind));
	ql_traces_done(&traces);
}

static void
it_keeps_its_name_and_marks(void **state)
{
	struct stage *stage = *state;
	each_kind(stage, stage->place->kinds, found_twice);
}

static void
foreign(struct stage *stage, enum ql_orphan_kind kind)
{
	struct ql_traces traces;
	stage->place->leave_foreign(stage->place, kind);
	look(stage, &traces);
	const struct ql_trace *trace = of_kind(&traces, kind);
	assert_true(!trace || !ql_orphan_is_sure(trace->marks));
	ql_traces_done(&traces);
}

static void
anothers_never_bears_two_marks(void **state)
{
	struct stage *stage = *state;
	each_kind(stage, stage->place->foreign, foreign);
}

/* ---- ends ---- */

static void
reaped(struct stage *stage, enum ql_orphan_kind kind)
{
	struct ql_trace trace = left(stage, kind);
	while (reap_once(stage, &trace, NULL))
		assert_true(stage->place->misses);
	assert_false(is_there(stage, kind));
	nothing_left(stage, kind);
	while (reap_once(stage, &trace, NULL)) /* gone by itself is as well */
		assert_true(stage->place->misses);
}

static void
reaped_means_gone(void **state)
{
	struct stage *stage = *state;
	each_kind(stage, stage->place->kinds, reaped);
}

static void
changed(struct stage *stage, enum ql_orphan_kind kind)
{
	enum ql_code code;
	struct ql_trace trace = left(stage, kind);
	stage->place->change(stage->place, kind);
	assert_int_equal(reap_once(stage, &trace, &code), -1);
	assert_true(code == QL_E_CONFLICT || stage->place->misses);
	assert_true(is_there(stage, kind));
}

static void
what_is_used_again_is_left_alone(void **state)
{
	struct stage *stage = *state;
	each_kind(stage, stage->place->changing, changed);
}

static void
reborn(struct stage *stage, enum ql_orphan_kind kind)
{
	struct ql_trace trace = left(stage, kind);
	trace.start++;
	trace.since++;
	trace.incarnation++;
	(void)reap_once(stage, &trace, NULL); /* gone, or another: as it can tell */
	assert_true(is_there(stage, kind));
}

static void
another_of_its_name_is_not_harmed(void **state)
{
	struct stage *stage = *state;
	each_kind(stage, stage->place->reborn, reborn);
}

static void
clung(struct stage *stage, enum ql_orphan_kind kind)
{
	struct ql_trace trace = left(stage, kind);
	stage->place->cling(stage->place, kind, true);
	assert_int_equal(reap_once(stage, &trace, NULL), -1);
	assert_true(is_there(stage, kind));
	stage->place->cling(stage->place, kind, false);
	while (reap_once(stage, &trace, NULL))
		assert_true(stage->place->misses);
	assert_false(is_there(stage, kind));
}

static void
what_stays_is_never_said_to_be_gone(void **state)
{
	struct stage *stage = *state;
	each_kind(stage, stage->place->clinging, clung);
}

static int
set(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	assert_non_null(stage);
	stage->place = *state;
	uv_loop_init(&stage->loop);
	uv_timer_init(&stage->loop, &stage->pulse);
	uv_timer_start(&stage->pulse, beat, 20, 20);
	stage->place->setup(stage->place, &stage->loop);
	*state = stage;
	return 0;
}

static int
clear(void **state)
{
	struct stage *stage = *state;
	struct finder_place *place = stage->place;
	place->teardown(place);
	uv_close((uv_handle_t *)&stage->pulse, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	free(stage);
	return 0;
}

static struct finder_place *the_place;

static int
set_group(void **state)
{
	*state = the_place;
	return set(state);
}

int
finder_suite_run(struct finder_place *place)
{
	const struct CMUnitTest plays[] = {
		cmocka_unit_test(nothing_is_found_of_nothing),
		cmocka_unit_test(it_keeps_its_name_and_marks),
		cmocka_unit_test(anothers_never_bears_two_marks),
		cmocka_unit_test(reaped_means_gone),
		cmocka_unit_test(what_is_used_again_is_left_alone),
		cmocka_unit_test(another_of_its_name_is_not_harmed),
		cmocka_unit_test(what_stays_is_never_said_to_be_gone),
	};
	the_place = place;
	return cmocka_run_group_tests_name("finder", plays, set_group, clear);
}
