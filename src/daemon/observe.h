/*
 * Looking at a Celery deployment, and only looking: `quell doctor --broker` once, `quell serve
 * --observe` again and again.
 */
#ifndef QL_DAEMON_OBSERVE_H
#define QL_DAEMON_OBSERVE_H

#include <jansson.h>
#include <uv.h>

#include "base/err.h"
#include "cli/cmd.h"
#include "daemon/config.h"

struct ql_observer;

/*
 * instance names its list of replies. seen: as of ql_observe_config. The config is borrowed until it is
 * closed.
 */
int ql_observer_open(uv_loop_t *loop, const struct ql_config *config, const char *instance,
	void (*seen)(void *arg, const json_t *report, const struct ql_err *err), void *arg,
	struct ql_observer **ret_observer, struct ql_err *e);

/* closed is called from the loop; NULL is closed at once. */
void ql_observer_close(struct ql_observer *observer, void (*closed)(void *arg), void *arg);

/* doctor --broker: a report, the caller's. */
int ql_observe_once(const struct ql_cmd *cmd, json_t **ret_report, struct ql_err *e);

#endif
