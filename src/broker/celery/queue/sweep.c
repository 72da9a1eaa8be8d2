/*
 * Marks go out of the list that is read. A sweep passes all that stays before the marks, so it waits until there are
 * enough of them, but not longer than until nobody asks for more.
 */
#include <stdio.h>

#include "base/owner.h"
#include "broker/celery/queue/inside.h"

/*
 * What Redis needs for a message that a sweep passes, and for a mark that it takes out. Each message is fetched from
 * memory, so passing many costs far more than taking some out; measured.
 */
#define PASS_NS 160
#define DROP_NS 1000

static struct ql_queue_list *
list_of(const struct ql_queues *queues)
{
	return &queues->lists[queues->reading.list];
}

/* Of those that were left workers may have taken some, and a server that died left some more. */
void
ql_queues_mark_met(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	int64_t sure = ++reading->met + reading->made;
	if (list_of(queues)->standing < sure)
		list_of(queues)->standing = sure;
}

void
ql_queues_mark_made(struct ql_queues *queues)
{
	queues->reading.made++;
	list_of(queues)->standing++;
}

bool
ql_queues_sweep_is_due(const struct ql_queues *queues, const struct ql_queue_list *list)
{
	int64_t passed = queues->reading.seen;
	bool alone = queues->alone && !queues->pending;
	return alone || list->standing >= QL_QUEUE_LEFT ||
	       passed <= list->standing * QL_QUEUE_WORTH;
}

static bool
is_any_left(const struct ql_queues *queues)
{
	for (size_t i = 0; i < queues->list_count; i++) {
		if (queues->lists[i].standing > 0)
			return true;
	}
	return false;
}

static void
rested(uv_timer_t *timer)
{
	struct ql_queues *queues = timer->data;
	uv_idle_start(&queues->idle, ql_queues_turn);
}

/* Later looks meet the marks that a failed one left again. */
void
ql_queues_rest(struct ql_queues *queues)
{
	for (size_t i = 0; queues->failed && i < queues->list_count; i++)
		queues->lists[i].standing = 0;
	queues->rested_at = ql_alarm_ms();
	if (is_any_left(queues) && !queues->closing)
		uv_timer_start(&queues->rest, rested, QL_QUEUE_REST_MS + 1, 0);
}

bool
ql_queues_is_rested(const struct ql_queues *queues)
{
	return ql_alarm_ms() >= queues->rested_at + QL_QUEUE_REST_MS && is_any_left(queues);
}

/* All that stood behind the last message that stays is gone: the way goes on behind that one. */
static int
go_on_behind_kept(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	struct ql_queue_list *list = list_of(queues);
	int64_t seen = reading->seen - reading->swept;
	bool any = reading->kept.len > 0;
	reading->seen = any && seen < 1 ? 1 : any ? seen : 0;
	if (reading->finds) /* what stays between them stays behind the first one */
		ql_queues_found(list, reading->first_at + reading->finds - 1, reading->found_at);
	int64_t *const places[] = {&list->near, &list->last, &list->first_now, &list->last_now};
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		*places[i] = *places[i] > reading->swept ? *places[i] - reading->swept : 0;
	reading->finds = reading->stay = reading->between = 0;
	reading->found_at = 0;
	reading->marks = reading->met = reading->made = 0;
	reading->enough = reading->seen > QL_QUEUE_MARKS ? reading->seen : QL_QUEUE_MARKS;
	reading->swept = 0;
	reading->sweeping = false;
	list->standing = 0;
	ql_buf_consume(&reading->edge, reading->edge.len);
	reading->behind = 0;
	return any ? ql_buf_add(&reading->edge, reading->kept.data, reading->kept.len) : 0;
}

static void
swept(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queues *queues = QL_OWNER(command, struct ql_queues, reading.command);
	if (!ql_queues_landed(queues, status, &command->err))
		return;
	struct ql_queue_reading *reading = &queues->reading;
	reading->swept += reply->integer;
	list_of(queues)->standing -= reply->integer;
	if (reply->integer == reading->wanted && list_of(queues)->standing > 0) {
		ql_queues_sweep(queues);
		return;
	}
	if (go_on_behind_kept(queues))
		ql_queues_out_of_memory(queues);
	ql_queues_read_on(queues);
}

/* Messages that a sweep passes before it meets the first mark: from the end that they are nearer to. */
static int64_t
passed(const struct ql_queues *queues, bool *ret_forward)
{
	const struct ql_queue_list *list = list_of(queues);
	int64_t tail = queues->reading.seen ? queues->reading.seen : list->near;
	int64_t head = list->len > tail ? list->len - tail : 0;
	*ret_forward = head < tail;
	return head < tail ? head : tail;
}

static int64_t
most_at_once(const struct ql_queue_list *list, int64_t passed)
{
	int64_t most = (QL_QUEUE_SWEEP_US * INT64_C(1000) - passed * PASS_NS) / DROP_NS;
	if (most > QL_QUEUE_SWEEP)
		most = QL_QUEUE_SWEEP;
	if (most < QL_QUEUE_SWEEP_LEAST)
		most = QL_QUEUE_SWEEP_LEAST;
	return most < list->standing ? most : list->standing;
}

/* No more than there are: LREM goes on to the other end for one that it does not find. */
void
ql_queues_sweep(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	const struct ql_queue_list *list = list_of(queues);
	char count[24];
	const char *const argv[] = {"LREM", list->key, count, ql_queue_mark};
	bool forward;
	int64_t most = most_at_once(list, passed(queues, &forward));
	snprintf(count, sizeof(count), "%lld", (long long)(forward ? most : -most));
	reading->wanted = most;
	reading->sweeping = true;
	reading->command.done = swept;
	queues->flying++;
	ql_redis_send(queues->redis, &reading->command, 4, argv, NULL);
}
