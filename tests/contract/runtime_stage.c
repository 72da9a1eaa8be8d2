#include "runtime_stage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"

static void
lose_patience(uv_timer_t *timer)
{
	struct stage *stage = timer->data;
	stage->impatient = true;
}

void
stage_until(struct stage *stage, bool (*is)(struct stage *stage, void *arg), void *arg)
{
	stage->impatient = false;
	uv_update_time(&stage->loop);
	uv_timer_start(&stage->patience, lose_patience, SUITE_PATIENCE_MS, 0);
	while (!is(stage, arg) && !stage->impatient)
		uv_run(&stage->loop, UV_RUN_ONCE);
	uv_timer_stop(&stage->patience);
	if (is(stage, arg))
		return;
	size_t from = stage->seen_count > 20 ? stage->seen_count - 20 : 0;
	for (size_t i = from; i < stage->seen_count; i++)
		print_message("# seen: %016llx %s %s\n",
			(unsigned long long)stage->seen[i].event.incarnation,
			ql_event_word(stage->seen[i].event.kind), stage->seen[i].text);
	fail_msg("waited for %d ms in vain", SUITE_PATIENCE_MS);
}

static void
sighted(void *arg, const struct ql_sighting *sighting)
{
	struct stage *stage = arg;
	assert_false(stage->submitting);
	assert_false(stage->closed);
	stage->seen = realloc(stage->seen, (stage->seen_count + 1) * sizeof(*stage->seen));
	assert_non_null(stage->seen);
	struct seen *seen = &stage->seen[stage->seen_count++];
	*seen = (struct seen){.event = sighting->event};
	if (sighting->text)
		snprintf(seen->text, sizeof(seen->text), "%s", sighting->text);
	if (stage->on_sight)
		stage->on_sight(stage, &sighting->event);
}

void
stage_open_driver(struct stage *stage)
{
	stage->runtime = stage->place->open(stage->place);
	assert_non_null(stage->runtime);
	stage->runtime->sink = (struct ql_runtime_sink){.sighted = sighted, .arg = stage};
	stage->closed = false;
}

int
stage_set(void **state)
{
	static struct stage the_stage;
	struct stage *stage = &the_stage;
	struct suite_place *place = *state;
	*stage = (struct stage){.place = place, .keep_dir = "/tmp/quell-contract-XXXXXX"};
	assert_non_null(mkdtemp(stage->keep_dir));
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	assert_int_equal(uv_timer_init(&stage->loop, &stage->patience), 0);
	assert_int_equal(uv_timer_init(&stage->loop, &stage->pulse), 0);
	stage->patience.data = stage;
	place->setup(place, &stage->loop);
	stage_open_driver(stage);
	*state = stage;
	return 0;
}

static void
closed(void *arg)
{
	struct stage *stage = arg;
	assert_false(stage->submitting);
	assert_false(stage->closed);
	stage->closed = true;
}

static bool
is_closed(struct stage *stage, void *arg)
{
	(void)arg;
	return stage->closed;
}

void
stage_close_driver(struct stage *stage)
{
	stage->submitting = true;
	stage->runtime->ops->close(stage->runtime, closed, stage);
	stage->submitting = false;
	stage_until(stage, is_closed, NULL);
	stage->runtime = NULL;
}

struct listing {
	struct ql_runtime_list op;
	int done;
	int status;
};

static void
listed(struct ql_runtime_list *op, int status)
{
	struct listing *listing = (struct listing *)op;
	listing->done++;
	listing->status = status;
}

static bool
is_listed(struct stage *stage, void *arg)
{
	(void)stage;
	return ((struct listing *)arg)->done > 0;
}

static void
list(struct stage *stage, struct listing *listing)
{
	*listing = (struct listing){.op = {.done = listed}};
	stage->submitting = true;
	stage->runtime->ops->list(stage->runtime, &listing->op);
	stage->submitting = false;
	assert_int_equal(listing->done, 0);
	stage_until(stage, is_listed, listing);
	assert_int_equal(listing->done, 1);
	assert_int_equal(listing->status, 0);
}

bool
stage_listed(struct stage *stage, uint64_t incarnation)
{
	struct listing listing;
	list(stage, &listing);
	bool found = false;
	for (size_t i = 0; i < listing.op.count; i++)
		found |= listing.op.incarnations[i] == incarnation;
	free(listing.op.incarnations);
	return found;
}

static void
timer_closed(uv_handle_t *handle)
{
	(void)handle;
}

static void
remove_folder(const char *path)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static void
purge_all(struct stage *stage)
{
	struct listing listing;
	list(stage, &listing);
	for (size_t i = 0; i < listing.op.count; i++)
		assert_int_equal(stage_purge(stage, listing.op.incarnations[i]), 0);
	free(listing.op.incarnations);
	list(stage, &listing);
	assert_int_equal(listing.op.count, 0);
	free(listing.op.incarnations);
}

static void
free_cues(struct stage *stage)
{
	struct cue *next;
	for (struct cue *cue = stage->cues; cue; cue = next) {
		next = cue->next;
		assert_int_equal(cue->done, 1);
		free(cue);
	}
}

/* Whatever a play left running is purged, so that the place can look whether nothing is left. */
int
stage_clear(void **state)
{
	struct stage *stage = *state;
	*state = stage->place;
	stage->on_sight = NULL;
	purge_all(stage);
	stage_close_driver(stage);
	stage->place->teardown(stage->place);
	uv_close((uv_handle_t *)&stage->patience, timer_closed);
	uv_close((uv_handle_t *)&stage->pulse, timer_closed);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	remove_folder(stage->keep_dir);
	free(stage->seen);
	free_cues(stage);
	return 0;
}

static void
cue_done(struct ql_runtime_op *op, int status)
{
	struct cue *cue = (struct cue *)op;
	assert_false(cue->stage->submitting);
	cue->done++;
	cue->status = status;
	assert_int_equal(cue->done, 1);
	if (status)
		assert_int_not_equal(op->err.code, QL_E_OK);
}

static struct cue *
cue_new(struct stage *stage, enum ql_act_kind kind, uint64_t incarnation)
{
	struct cue *cue = calloc(1, sizeof(*cue));
	assert_non_null(cue);
	cue->stage = stage;
	cue->next = stage->cues;
	stage->cues = cue;
	cue->op = (struct ql_runtime_op){.kind = kind,
		.incarnation = incarnation,
		.epoch = cue->next ? cue->next->op.epoch + 1 : 1,
		.timeout_ms = SUITE_PATIENCE_MS,
		.notice = {.reason = "the play", .deadline = 1},
		.done = cue_done};
	return cue;
}

static void
submit(struct cue *cue, void (*how)(struct ql_runtime *runtime, struct ql_runtime_op *op))
{
	struct stage *stage = cue->stage;
	bool within = stage->submitting;
	stage->submitting = true;
	how(stage->runtime, &cue->op);
	stage->submitting = within;
	assert_int_equal(cue->done, 0);
}

struct cue *
stage_submit_for(
	struct stage *stage, enum ql_act_kind kind, uint64_t incarnation, int64_t timeout_ms)
{
	struct cue *cue = cue_new(stage, kind, incarnation);
	cue->op.timeout_ms = timeout_ms;
	submit(cue, stage->runtime->ops->act);
	return cue;
}

struct cue *
stage_submit(struct stage *stage, enum ql_act_kind kind, uint64_t incarnation)
{
	return stage_submit_for(stage, kind, incarnation, SUITE_PATIENCE_MS);
}

struct cue *
stage_start(struct stage *stage, uint64_t incarnation, enum suite_program program, int32_t slot,
	int64_t timeout_ms)
{
	struct cue *cue = cue_new(stage, QL_ACT_START, incarnation);
	snprintf(cue->keep_dir, sizeof(cue->keep_dir), "%s/%016llx", stage->keep_dir,
		(unsigned long long)incarnation);
	assert_true(mkdir(cue->keep_dir, 0700) == 0 || errno == EEXIST);
	cue->launch = (struct ql_launch){
		.eval_id = "contract",
		.attempt = 1,
		.slot = slot,
		.memory_mb = 64,
		.pids = 32,
		.cpus = 1,
		.keep_dir = cue->keep_dir,
		.output_max = 1 << 20,
	};
	stage->place->cast(stage->place, program, &cue->launch);
	cue->op.launch = &cue->launch;
	cue->op.timeout_ms = timeout_ms;
	submit(cue, stage->runtime->ops->act);
	return cue;
}

static bool
is_done(struct stage *stage, void *arg)
{
	(void)stage;
	return ((struct cue *)arg)->done > 0;
}

int
stage_finish(struct stage *stage, struct cue *cue)
{
	stage_until(stage, is_done, cue);
	return cue->status;
}

void
stage_finish_all(struct stage *stage)
{
	for (struct cue *cue = stage->cues; cue; cue = cue->next)
		stage_finish(stage, cue);
}

int
stage_act(struct stage *stage, enum ql_act_kind kind, uint64_t incarnation)
{
	struct cue *cue = stage_submit(stage, kind, incarnation);
	if (stage_finish(stage, cue))
		print_message("# %s: %s\n", ql_act_word(kind), cue->op.err.text);
	return cue->status;
}

enum ql_code
stage_refused(struct stage *stage, enum ql_act_kind kind, uint64_t incarnation)
{
	struct cue *cue = stage_submit(stage, kind, incarnation);
	return stage_finish(stage, cue) ? cue->op.err.code : QL_E_OK;
}

int
stage_purge(struct stage *stage, uint64_t incarnation)
{
	struct cue *cue = cue_new(stage, QL_ACT_NONE, incarnation);
	submit(cue, stage->runtime->ops->purge);
	if (stage_finish(stage, cue))
		print_message("# purge: %s\n", cue->op.err.text);
	return cue->status;
}

uint64_t
stage_hold(struct stage *stage, enum suite_program program)
{
	uint64_t incarnation = ql_rand_u64();
	struct cue *cue = stage_start(stage, incarnation, program, 0, SUITE_PATIENCE_MS);
	assert_int_equal(stage_finish(stage, cue), 0);
	stage_await(stage, incarnation, QL_EVENT_HELD);
	return incarnation;
}

int64_t
stage_kept(const struct stage *stage, uint64_t incarnation)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%016llx/output", stage->keep_dir,
		(unsigned long long)incarnation);
	return stat(path, &st) ? 0 : st.st_size;
}

struct output {
	uint64_t incarnation;
	int64_t bytes;
};

static bool
is_kept(struct stage *stage, void *arg)
{
	const struct output *wanted = arg;
	return stage_kept(stage, wanted->incarnation) >= wanted->bytes;
}

static void
beat(uv_timer_t *timer)
{
	(void)timer;
}

void
stage_await_pulse(struct stage *stage, bool (*is)(struct stage *stage, void *arg), void *arg)
{
	uv_timer_start(&stage->pulse, beat, 1, 1);
	stage_until(stage, is, arg);
	uv_timer_stop(&stage->pulse);
}

void
stage_await_output(struct stage *stage, uint64_t incarnation, int64_t bytes)
{
	struct output wanted = {incarnation, bytes};
	stage_await_pulse(stage, is_kept, &wanted);
}

uint64_t
stage_run(struct stage *stage, enum suite_program program)
{
	uint64_t incarnation = stage_hold(stage, program);
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, incarnation), 0);
	stage_await(stage, incarnation, QL_EVENT_RUNNING);
	if (program >= PROGRAM_STAYS && program <= PROGRAM_NOTICED)
		stage_await_output(stage, incarnation, 1);
	return incarnation;
}

void
stage_forget_seen(struct stage *stage)
{
	stage->read_from = stage->seen_count;
}

int
stage_place(const struct stage *stage, uint64_t incarnation, enum ql_event_kind kind)
{
	for (size_t i = stage->read_from; i < stage->seen_count; i++) {
		const struct ql_event *event = &stage->seen[i].event;
		if (event->incarnation == incarnation && event->kind == kind)
			return (int)i;
	}
	return -1;
}

int
stage_count(const struct stage *stage, uint64_t incarnation, enum ql_event_kind kind)
{
	int count = 0;
	for (size_t i = stage->read_from; i < stage->seen_count; i++) {
		const struct ql_event *event = &stage->seen[i].event;
		count += event->incarnation == incarnation && event->kind == kind;
	}
	return count;
}

struct wanted {
	uint64_t incarnation;
	enum ql_event_kind kind;
};

static bool
is_seen(struct stage *stage, void *arg)
{
	const struct wanted *wanted = arg;
	bool seen = stage_place(stage, wanted->incarnation, wanted->kind) >= 0;
	if (!seen && stage->impatient)
		print_message("# never seen: %016llx %s\n", (unsigned long long)wanted->incarnation,
			ql_event_word(wanted->kind));
	return seen;
}

const struct seen *
stage_await(struct stage *stage, uint64_t incarnation, enum ql_event_kind kind)
{
	struct wanted wanted = {incarnation, kind};
	stage_until(stage, is_seen, &wanted);
	return &stage->seen[stage_place(stage, incarnation, kind)];
}
