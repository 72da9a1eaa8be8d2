#include "daemon/observe.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/drivers.h"
#include "rules/task.h"

struct ql_observer {
	const struct ql_config *config;
	struct ql_containers *containers; /* or NULL */
	struct ql_observe *observe;
	void (*seen)(void *arg, const json_t *report, const struct ql_err *err);
	void *arg;
	void (*closed)(void *arg);
	void *closed_arg;
};

static int
eval_of(const void *arg, const char *task_id, char ret_eval_id[static QL_EVAL_ID])
{
	const struct ql_observer *observer = arg;
	return ql_task_eval_id(observer->config->task_id, task_id, ret_eval_id, NULL);
}

static void
seen(void *arg, const json_t *report, const struct ql_err *err)
{
	const struct ql_observer *observer = arg;
	observer->seen(observer->arg, report, err);
}

int
ql_observer_open(uv_loop_t *loop, const struct ql_config *config, const char *instance,
	void (*on_seen)(void *arg, const json_t *report, const struct ql_err *err), void *arg,
	struct ql_observer **ret_observer, struct ql_err *e)
{
	struct ql_observer *observer = calloc(1, sizeof(*observer));
	if (!observer)
		return ql_fail(e, QL_E_UNAVAILABLE, "out of memory to observe a broker");
	observer->config = config;
	observer->seen = on_seen;
	observer->arg = arg;
	struct ql_observe_config looks = {
		.instance = instance, .eval_of = eval_of, .seen = seen, .arg = observer};
	if (ql_drivers_observe(
		    loop, config, &looks, &observer->containers, &observer->observe, e)) {
		free(observer);
		return -1;
	}
	*ret_observer = observer;
	return 0;
}

static void
all_closed(void *arg)
{
	struct ql_observer *observer = arg;
	void (*closed)(void *arg) = observer->closed;
	void *closed_arg = observer->closed_arg;
	free(observer);
	closed(closed_arg);
}

static void
observe_closed(void *arg)
{
	struct ql_observer *observer = arg;
	if (observer->containers)
		observer->containers->ops->close(observer->containers, all_closed, observer);
	else
		all_closed(observer);
}

void
ql_observer_close(struct ql_observer *observer, void (*closed)(void *arg), void *arg)
{
	if (!observer) {
		closed(arg);
		return;
	}
	observer->closed = closed;
	observer->closed_arg = arg;
	ql_observe_close(observer->observe, observe_closed, observer);
}

/* ---- once ---- */

struct once {
	struct ql_observer *observer;
	json_t *report;
	struct ql_err err;
};

static void
nothing_more(void *arg)
{
	(void)arg;
}

static void
seen_once(void *arg, const json_t *report, const struct ql_err *err)
{
	struct once *once = arg;
	if (report)
		once->report = json_incref((json_t *)report);
	else
		ql_fail(&once->err, QL_E_UNREACHABLE, "%s", err->text);
	ql_observer_close(once->observer, nothing_more, NULL);
}

/*
 * Replies come to one list for each host and broker, so that what comes too late is thrown away by the
 * next look. Two at once would take each other's: a name that only one process can have keeps them apart.
 */
static int
be_alone(const char *broker, struct ql_err *e)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "quell-doctor-%016llx",
		(unsigned long long)ql_str_hash(broker));
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	if (fd >= 0 && !bind(fd, (struct sockaddr *)&name, size))
		return fd;
	if (fd >= 0)
		close(fd);
	if (errno == EADDRINUSE)
		return ql_fail(e, QL_E_CONFLICT,
			"another doctor of this host looks at that broker just now: ask again "
			"when it is through");
	return ql_fail_sys(e, "a look at the broker can't begin");
}

static int
look_once(const struct ql_config *config, json_t **ret_report, struct ql_err *e)
{
	char host[65] = "", instance[80];
	struct once once = {0};
	uv_loop_t loop;
	gethostname(host, sizeof(host) - 1);
	snprintf(instance, sizeof(instance), "doctor.%s", host);
	int alone = be_alone(config->broker, e);
	if (alone < 0)
		return -1;
	uv_loop_init(&loop);
	int status = ql_observer_open(&loop, config, instance, seen_once, &once, &once.observer, e);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	close(alone);
	if (!status && !once.report) {
		*e = once.err;
		return -1;
	}
	*ret_report = once.report;
	return status;
}

int
ql_observe_once(const struct ql_cmd *cmd, json_t **ret_report, struct ql_err *e)
{
	struct ql_config config;
	if (ql_config_read(cmd->given, cmd->given_count, &config, e))
		return -1;
	int status = ql_config_is_remote(&config)
			     ? look_once(&config, ret_report, e)
			     : ql_fail(e, QL_E_USAGE,
				       "--broker %s: wants the URL of Celery's broker, as "
				       "redis://HOST:6379/0",
				       config.broker);
	ql_config_done(&config);
	return status;
}
