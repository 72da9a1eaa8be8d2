/*
 * The questions to the workers that looks share: whoever comes while a round gathers is in it. A worker answers
 * for everything that it has, so a thousand looks cost what one does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/driver.h"

struct look_round {
	struct ql_celery *celery;
	struct ql_quest *looks; /* by task_id; further ones of the same task hang on the first */
	struct ql_quest *of_process; /* those that name a process, by next_of_process */
	struct ql_ask asks[3];
	int open;
};

/* In the order in which a task goes through them: one that moves meanwhile is seen, at worst twice. */
static const struct {
	const char *method;
	enum ql_place place;
} questions[] = {
	{"scheduled", QL_PLACE_SCHEDULED},
	{"reserved", QL_PLACE_RESERVED},
	{"active", QL_PLACE_ACTIVE},
};

/* ---- what the workers have ---- */

struct finding {
	struct look_round *round;
	const char *node;
};

static void
add_copy(struct ql_quest *look, const char *node, const struct ql_seen *seen)
{
	if (look->copy_count == QL_CELERY_SEEN_MAX)
		return; /* more than a state has places for: they are met later */
	struct copy *copy = &look->copies[look->copy_count++];
	*copy = (struct copy){
		.place = seen->place, .pid = seen->pid, .since = seen->since, .eta = seen->eta};
	ql_str_copy(copy->node, sizeof(copy->node), node);
}

static void
note_process(struct look_round *round, const char *node, const struct ql_seen *seen)
{
	struct ql_quest *look = round->of_process;
	for (; look; look = look->next_of_process) {
		if (look->pid == seen->pid && !strcmp(look->node, node) &&
			strcmp(look->task_id, seen->task_id) != 0)
			look->works_on_another = true;
	}
}

static void
each_seen(void *arg, const struct ql_seen *seen)
{
	const struct finding *finding = arg;
	struct ql_quest *look;
	HASH_FIND(in_round, finding->round->looks, seen->task_id, strlen(seen->task_id), look);
	for (; look; look = look->same)
		add_copy(look, finding->node, seen);
	if (seen->place == QL_PLACE_ACTIVE && seen->pid)
		note_process(finding->round, finding->node, seen);
}

/* ---- a round ---- */

static void
each(struct look_round *round, const struct ql_err *err,
	void (*say)(struct ql_quest *look, const struct ql_err *err))
{
	for (struct ql_quest *head = round->looks; head; head = head->in_round.next) {
		for (struct ql_quest *look = head; look; look = look->same)
			say(look, err);
	}
}

static void
over(struct look_round *round)
{
	struct ql_quest *looks = round->looks, *head, *next_head;
	HASH_ITER (in_round, looks, head, next_head) {
		struct ql_quest *next = head;
		HASH_DELETE(in_round, looks, head);
		for (struct ql_quest *look = head; look; look = next) {
			next = look->same;
			ql_quest_asked(look);
		}
	}
	free(round);
}

static void
on_asked(struct ql_ask *ask, int status)
{
	size_t i = 0;
	const char *node;
	json_t *reply;
	while (strcmp(ask->method, questions[i].method) != 0)
		i++;
	struct look_round *round = QL_OWNER(ask, struct look_round, asks[i]);
	struct ql_celery *celery = round->celery;
	struct ql_err err;
	json_object_foreach (ask->replies, node, reply) {
		struct finding finding = {.round = round, .node = node};
		ql_inspect_list(reply, questions[i].place, each_seen, &finding);
	}
	if (status)
		each(round, &ask->err, ql_quest_fail);
	if (--round->open)
		return;
	if (ql_silence_count(celery, &err))
		each(round, &err, ql_quest_hush);
	celery->rounds--;
	over(round);
	ql_rounds_go_on(celery);
}

static void
on_due(uv_timer_t *timer)
{
	struct ql_celery *celery = timer->data;
	struct look_round *round = celery->gathering;
	celery->gathering = NULL;
	celery->rounds++;
	celery->round_began = uv_now(celery->base.loop);
	round->open = 3;
	for (size_t i = 0; i < 3; i++) {
		round->asks[i] = (struct ql_ask){.method = questions[i].method, .done = on_asked};
		ql_control_ask(celery->control, &round->asks[i]);
	}
}

void
ql_rounds_go_on(struct ql_celery *celery)
{
	uint64_t now = uv_now(celery->base.loop);
	uint64_t due = celery->round_began + QL_CELERY_ROUND_MS;
	if (!celery->gathering || celery->rounds >= QL_CELERY_ROUNDS_MAX || celery->closing ||
		uv_is_active((uv_handle_t *)&celery->round_due))
		return;
	uv_timer_start(&celery->round_due, on_due, due > now ? due - now : 0, 0);
}

static void
join(struct look_round *round, struct ql_quest *look)
{
	struct ql_quest *head;
	size_t len = strlen(look->task_id);
	HASH_FIND(in_round, round->looks, look->task_id, len, head);
	if (head) {
		look->same = head->same;
		head->same = look;
	} else {
		look->same = NULL;
		HASH_ADD_KEYPTR(in_round, round->looks, look->task_id, len, look);
	}
	if (look->pid) {
		look->next_of_process = round->of_process;
		round->of_process = look;
	}
}

int
ql_round_join(struct ql_celery *celery, struct ql_quest *look)
{
	if (!celery->gathering) {
		celery->gathering = calloc(1, sizeof(*celery->gathering));
		if (!celery->gathering)
			return -1;
		celery->gathering->celery = celery;
	}
	join(celery->gathering, look);
	ql_rounds_go_on(celery);
	return 0;
}

void
ql_rounds_start(struct ql_celery *celery)
{
	uv_timer_init(celery->base.loop, &celery->round_due);
	celery->round_due.data = celery;
}

void
ql_rounds_close(struct ql_celery *celery, uv_close_cb closed)
{
	struct look_round *round = celery->gathering;
	struct ql_err err;
	uv_close((uv_handle_t *)&celery->round_due, closed);
	celery->gathering = NULL;
	if (!round)
		return;
	ql_fail(&err, QL_E_UNAVAILABLE, "the server ends");
	each(round, &err, ql_quest_fail);
	over(round);
}
