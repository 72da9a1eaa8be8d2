/*
 * Inside the driver for containers that others started. A hunt ends all of one evaluation and goes on
 * until a list, taken after all deaths were proven, shows no other; operations and bans share the
 * hunt of their evaluation. A job is one of the operations that don't kill.
 */
#ifndef QL_RUNTIME_DOCKER_CONTAINERS_H
#define QL_RUNTIME_DOCKER_CONTAINERS_H

#include <uthash.h>

#include "base/keep.h"
#include "runtime/containers.h"
#include "runtime/desk.h"
#include "runtime/docker/end.h"
#include "runtime/docker/events.h"
#include "runtime/docker/list.h"
#include "runtime/docker/pulse.h"

#define QL_DOCKER_HUNTS \
	64 /* evaluations whose containers are ended at once; others wait in order */
#define QL_DOCKER_HUNT_MS \
	20000 /* for one that no operation asked for; the next sweep takes it up */
#define QL_DOCKER_BANS_MAX 1000000 /* evaluations */
#define QL_DOCKER_BILLS_MAX 4096 /* evaluations of whose containers the processor time is known */
#define QL_DOCKER_SWEEP_MS 30000 /* between two looks for containers under a ban */
#define QL_DOCKER_SWEEP_SOON_MS 200 /* after a ban */

struct ql_docker_containers {
	struct ql_containers containers; /* first */
	struct ql_desk desk;
	struct ql_docker *docker;
	struct ql_docker_match match;
	struct ql_docker_events events;
	struct ql_docker_pulse pulse;
	struct ql_docker_hunt *hunts; /* by evaluation */
	struct ql_docker_hunt *queue; /* those that wait for a place */
	int hunting; /* that have one */
	struct ql_docker_job *jobs;
	struct ql_docker_trail *trails; /* by folder */
	struct ql_docker_ban *bans; /* by evaluation */
	size_t bans_refused;
	struct ql_docker_bill *bills; /* by evaluation, oldest first */
	bool unmet; /* containers may run that no event told of */
	struct ql_docker_listing sweep;
	struct ql_docker_later sweep_later;
	bool sweep_is_soon;
	int parts; /* docker, desk and processes: all are closed before it is freed */
	void (*closed)(void *arg);
	void *closed_arg;
};

struct ql_docker_hunt {
	UT_hash_handle hh;
	struct ql_docker_hunt *prev, *next; /* in the queue */
	struct ql_docker_containers *driver;
	char eval_id[QL_DOCKER_EVAL_ID];
	struct ql_containers_op *ops; /* linked by their `driver` */
	char *keep_dir; /* owned: for their logs, or NULL */
	int64_t output_max;
	struct ql_docker_listing listing;
	struct ql_docker_end *ends; /* of every container that was found */
	int open; /* ends that are not over */
	struct ql_docker_later limit; /* while there are no ops */
	bool active; /* it has a place */
	bool again; /* something came up since the last list was asked for */
};

/* ---- containers.c ---- */

void ql_docker_part_closed(void *driver);
void ql_docker_answer(struct ql_docker_containers *driver, struct ql_containers_op *op, int status);

/* ---- hunt.c ---- */

/* op NULL: for a ban. Joins the evaluation's hunt if there is one. */
void ql_docker_hunt(
	struct ql_docker_containers *driver, const char *eval_id, struct ql_containers_op *op);

/* A container of it was started. */
void ql_docker_hunt_hint(struct ql_docker_containers *driver, const char *eval_id);

/* Its ban is lifted: what shows up from now on is nobody's business but of those who wait. */
void ql_docker_hunt_unban(struct ql_docker_containers *driver, const char *eval_id);

/* The operation is answered by its deadline: says what is left, and goes without it. */
void ql_docker_hunt_leave(struct ql_docker_containers *driver, struct ql_containers_op *op);

void ql_docker_hunt_stop_all(struct ql_docker_containers *driver);

/* ---- ban.c ---- */

void ql_docker_ban(struct ql_docker_containers *driver, const char *eval_id, bool on);
void ql_docker_ban_start(struct ql_docker_containers *driver);
void ql_docker_ban_stop(struct ql_docker_containers *driver);

/* ---- one.c ---- */

/* END. */
void ql_docker_end_one(struct ql_docker_containers *driver, struct ql_containers_op *op);
/* The operation is answered by its deadline: says what stands in the way. */
void ql_docker_one_leave(struct ql_containers_op *op);

/* ---- bill.c: the processor time of containers ---- */

/*
 * One was started, at that time where it is known: its process is held, where it is on this host, and its cgroup
 * read when that has died.
 */
void ql_docker_bill_meet(struct ql_docker_containers *driver, const char *eval_id, const char *id,
	int64_t started_at);
/* One was ended, with what was read of it on the way. */
void ql_docker_bill_end(struct ql_docker_containers *driver, const struct ql_docker_end *end);
int64_t ql_docker_bill_cpu_us(
	const struct ql_docker_containers *driver, const char *eval_id, int64_t since);
void ql_docker_bills_stop(struct ql_docker_containers *driver);

/* ---- job.c ---- */

/* FIND, SALVAGE, REMOVE. */
void ql_docker_job(struct ql_docker_containers *driver, struct ql_containers_op *op);
/* The operation is answered by its deadline: says what it waits for. */
void ql_docker_job_leave(struct ql_containers_op *op);

#endif
