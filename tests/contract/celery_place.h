/* A Redis of the test's own, a worker of Celery's on it (broker_tasks.py), and the driver that is opened on them. */
#ifndef QL_TESTS_CELERY_PLACE_H
#define QL_TESTS_CELERY_PLACE_H

#include "../celery/kit.h"
#include "broker/broker.h"
#include "runtime/containers.h"

#define CELERY_PLACE_PATIENCE_MS 60000
#define CELERY_PLACE_USER "driver" /* the driver's, that can be shut out */

struct celery_place {
	struct server server;
	pid_t worker;
	char node[64];
	char url[128];
};

void celery_place_up(struct celery_place *place);
void celery_place_down(struct celery_place *place);

/* It knows the worker, and has its answer. containers is taken over; or NULL. */
struct ql_broker *celery_place_open(
	const struct celery_place *place, uv_loop_t *loop, struct ql_containers *containers);

/* Another producer's message. */
void celery_place_send(const struct celery_place *place, const char *task_id, const char *eval_id,
	const char *queue, const char *code);

/* Where a task is, asked until every place has answered. */
enum ql_place celery_place_locate(struct ql_broker *broker, uv_loop_t *loop, const char *task_id);

#endif
