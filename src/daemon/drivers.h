/* The only place where drivers are named: a setting's word becomes a store, a runtime. */
#ifndef QL_DAEMON_DRIVERS_H
#define QL_DAEMON_DRIVERS_H

#include "broker/broker.h"
#include "broker/celery/observe/observe.h"
#include "daemon/config.h"
#include "daemon/data.h"
#include "outlet/outlet.h"
#include "outlet/poster.h"
#include "runtime/containers.h"
#include "runtime/runtime.h"
#include "store/store.h"
#include "sweeper/finder.h"

int ql_drivers_store(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_store **ret_store, struct ql_err *e);

/* NULL with workers = 0, and where a broker's workers run everything. */
int ql_drivers_runtime(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_runtime **ret_runtime, struct ql_err *e);

/* Of containers that tasks start. Does not wait for Docker; DOCKER_CERT_PATH, DOCKER_TLS_VERIFY are read. */
int ql_drivers_containers(uv_loop_t *loop, const struct ql_config *config,
	struct ql_containers **ret_containers, struct ql_err *e);

/* NULL where no storage service is named. */
int ql_drivers_storage(uv_loop_t *loop, const struct ql_config *config,
	struct ql_outlet **ret_outlet, struct ql_err *e);

/* Who is told anything by webhooks. */
int ql_drivers_poster(uv_loop_t *loop, const struct ql_config *config,
	struct ql_poster **ret_poster, struct ql_err *e);

/* NULL for the local queue. What it needs of config and data stays there. */
int ql_drivers_broker(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_broker **ret_broker, struct ql_err *e);

/* What may be orphaned on this host; NULL where it only observes. After the runtime. */
int ql_drivers_finder(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_finder **ret_finder, struct ql_err *e);

/* Fills what the settings say; the rest of observe is the caller's. The containers are closed after it. */
int ql_drivers_observe(uv_loop_t *loop, const struct ql_config *config,
	struct ql_observe_config *observe, struct ql_containers **ret_containers,
	struct ql_observe **ret_observe, struct ql_err *e);

/* Those that no engine closes, as there is none; each may be NULL. They are gone when the loop is idle. */
void ql_drivers_close(struct ql_runtime *runtime, struct ql_broker *broker,
	struct ql_outlet *storage, struct ql_poster *poster);

#endif
