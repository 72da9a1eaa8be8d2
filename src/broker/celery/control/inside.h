/* What the files of this folder share. */
#ifndef QL_BROKER_CELERY_CONTROL_INSIDE_H
#define QL_BROKER_CELERY_CONTROL_INSIDE_H

#include "broker/celery/control/control.h"
#include "broker/celery/control/tombstone.h"
#include "runtime/alarm.h"

#define QL_CONTROL_CHANNELS 2
#define QL_CONTROL_NONE UINT64_MAX /* no turn of a laying */

/* Bodies of answers to hello, made when they are wanted and kept until a tombstone comes or goes. */
struct ql_control_bodies {
	char **bodies;
	size_t *lens;
	size_t count;
	bool fresh;
};

/* A worker that said hello and hears no broadcast yet. */
struct ql_control_join {
	UT_hash_handle hh;
	struct ql_control *control;
	struct ql_control_timer due;
	struct ql_ask ping;
	json_t *nodes; /* owned: its name alone */
	bool pinging;
	int64_t began;
	int64_t pause;
	uint64_t since; /* what was laid from this turn on, its answer may not have had */
	json_t *knows; /* owned; or NULL: the lifted ones that it said it knows, as what takes them back */
	char node[QL_TASK_NODE];
};

struct ql_control {
	struct ql_control_config config; /* its strings are those below */
	char *node, *instance, *key_prefix;
	char *channels[QL_CONTROL_CHANNELS]; /* owned; where control messages are published */
	size_t channel_count;
	char *events[QL_CONTROL_CHANNELS]; /* owned; patterns of workers' events */
	char *reply_list; /* owned; as workers are told */
	char *reply_key; /* owned; as Redis knows it */

	struct ql_redis *hearing;
	struct ql_redis *replies;
	struct ql_redis_command pop;
	bool popping;
	struct ql_control_timer pop_again;

	struct ql_alarm alarm;
	struct ql_workers workers;
	struct ql_ask *asks; /* by ticket */
	uint64_t ticket; /* the last that was given */
	struct ql_control_join *joins;
	struct ql_control_timer sweep;
	struct ql_control_timer census_due;
	struct ql_ask census;
	bool counting;
	struct ql_ask survey; /* of those whose version is not known */
	json_t *surveyed; /* owned: their names, while they are asked */

	struct ql_tombstones tombstones;
	struct ql_control_bodies bodies;
	uint64_t told; /* every turn up to this one was cast once */
	struct ql_tombstones lifted; /* for as long as a worker may keep them; told_at: when */
	uint64_t given_back; /* every lifting up to this turn was cast once */
	struct ql_control_timer give_back;
	struct ql_control_timer flush;
	struct ql_control_timer refresh;
	struct ql_control_timer eta;
	struct ql_control_timer again;
	uint64_t again_from; /* too few heard what was laid from this turn on */
	int64_t again_began, again_pause;

	size_t open; /* things that must end before it can be freed */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* control.c */
void ql_control_ring(struct ql_control *control, struct ql_control_timer *timer, int64_t in_ms);
void ql_control_still(struct ql_control *control, struct ql_control_timer *timer);
void ql_control_hold(struct ql_control *control);
void ql_control_let_go(struct ql_control *control);

/*
 * Publishes the bytes, which are taken over, and counts the workers that heard it: who subscribed to the channel
 * by its very name is another server of Quell's kind, as workers subscribe to patterns. told (or NULL) is called later
 * with the number, or with -1 when it isn't known.
 */
typedef void (*ql_heard_fn)(struct ql_control *control, uint64_t about, int64_t heard);
void ql_control_cast(
	struct ql_control *control, char *bytes, size_t len, ql_heard_fn told, uint64_t about);

/* ask.c */
void ql_control_pop(struct ql_control *control);
void ql_control_drop_asks(struct ql_control *control);

/* hello.c */
void ql_control_hello(struct ql_control *control, const char *bytes, size_t len);
void ql_control_drop_joins(struct ql_control *control);
bool ql_control_joins(struct ql_control *control, const char *node);

/* census.c */
void ql_control_census(struct ql_control *control, int64_t in_ms);
void ql_control_heard_of(struct ql_control *control, const char *node);
void ql_control_beat(struct ql_control *control, const char *bytes, size_t len);
void ql_control_start_census(struct ql_control *control);

/* lift.c */
void ql_control_start_lifting(struct ql_control *control);
void ql_control_keep_lifted(struct ql_control *control, const char *task_id);
/* The names of the workers that take a mark back; the caller's. */
json_t *ql_control_who_gives_back(const struct ql_control *control);
/* What was lifted since the last call, to all that take it for what it is. */
void ql_control_give_back(struct ql_control *control);
/* All that it was not told of yet, now that its version is known. */
void ql_control_give_back_to(struct ql_control *control, struct ql_worker *worker);
/* It said hello, and now it listens. */
void ql_control_give_back_joined(struct ql_control *control, const struct ql_control_join *join);
/* Those that are among what a worker's hello says it knows, as what takes them back; NULL: none. */
json_t *ql_control_lifted_among(struct ql_control *control, const json_t *known);

/* told.c */
/* revoked, which is taken over, as a list or as the dict that takes back. */
void ql_control_cast_hello(struct ql_control *control, json_t *revoked, json_t *nodes,
	ql_heard_fn told, uint64_t about);
int64_t ql_control_wall_ms(void);
void ql_control_tell(struct ql_control *control, uint64_t from);
void ql_control_start_telling(struct ql_control *control);
void ql_control_stop_telling(struct ql_control *control);

#endif
