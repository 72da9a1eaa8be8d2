/*
 * A Redis, workers of Celery's, and the remote control beside them. Workers are real, each in a process
 * group of its own, and go with the test.
 */
#ifndef QL_TESTS_CELERY_PLANT_H
#define QL_TESTS_CELERY_PLANT_H

#include "kit.h"

#include "broker/celery/control/control.h"

#define PLANT_WORKERS 4
#define PLANT_START_MS 60000 /* Python is slow to start, and to list many ids, on a busy machine */

struct plant {
	struct server server;
	struct client client;
	struct ql_control *control;
	pid_t workers[PLANT_WORKERS];
	int changes;
	bool closed;
};

/* The server and the control; config: or NULL. */
void plant_open(struct plant *plant, const struct ql_control_config *config);
void plant_close(struct plant *plant);
/* Another control, which knows nothing of what the one before knew. */
void plant_reopen(struct plant *plant);

/* more: "NAME=value" of its environment, "--flag", or NULL. Returns at once. */
void plant_worker(struct plant *plant, int i, const char *pool, const char *node, const char *more);
void plant_stop(struct plant *plant, int i);
void plant_signal(const struct plant *plant, int i, int signal);

/* The worker of that name, once it is HERE and its pool is known. */
const struct ql_worker *plant_here(struct plant *plant, const char *node);

void plant_bury(struct plant *plant, const char *task_id, int64_t eta);

/* A message of Quell's for the queue celery; runs for that many seconds. eta: or NULL. */
void plant_send(struct plant *plant, const char *task_id, const char *seconds, const char *eta);

/* The status in the result backend; false while it is another or none. */
bool plant_has_result(const struct plant *plant, const char *task_id, const char *status);

/* A question, and what came of it. */
struct question {
	struct ql_ask ask;
	int done;
	int status;
	json_t *replies; /* kept; the caller drops it */
	json_t *missing;
};
void plant_ask(struct plant *plant, struct question *question, const char *method, json_t *nodes);
void plant_ask_with(struct plant *plant, struct question *question, const char *method,
	json_t *nodes, json_t *arguments);
void question_done(struct question *question);

/* Asks `revoked` of all until the node's reply lists the id, or lists it no more. */
void plant_await_revoked(struct plant *plant, const char *node, const char *task_id, bool listed);

#endif
