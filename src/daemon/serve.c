#include "daemon/serve.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "daemon/access.h"
#include "daemon/config.h"
#include "daemon/data.h"
#include "daemon/drivers.h"
#include "daemon/gauge.h"
#include "daemon/lag.h"
#include "daemon/log.h"
#include "daemon/observe.h"
#include "daemon/outages.h"
#include "daemon/rundir.h"
#include "engine/engine.h"
#include "http/server.h"
#include "rules/language.h"

/* The server's whole life, made in this order and ended in the reverse one. */
struct daemon {
	struct ql_config config;
	struct ql_data data;
	uv_loop_t loop;
	struct ql_store *store;
	struct ql_runtime *runtime;
	struct ql_broker *broker;
	struct ql_finder *finder;
	struct ql_outlet *storage;
	struct ql_poster *poster;
	struct ql_observer *observer;
	struct ql_meter meter;
	struct ql_limiter *limiter;
	struct ql_signer *signer;
	struct ql_lag lag;
	struct ql_outages outages;
	struct ql_engine *engine;
	struct ql_access access;
	struct ql_server *server;
	uv_signal_t signals[2];
	bool started; /* the handles above and the loop's watches are at work */
	bool stopping;
};

#define PATIENCE_MS 5000 /* until what a failed start opened has closed */

/* Each connection and each run takes descriptors: as many as the host allows. */
static void
raise_limits(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		ql_log("the number of open files can't be raised");
}

static int
open_clock(struct daemon *daemon, struct ql_clock *ret_clock, struct ql_err *e)
{
	struct ql_store *store = daemon->store;
	ql_clock_init(ret_clock, &store->facts.clock, store->facts.last_ms);
	return store->ops->keep_clock(store, ret_clock, e);
}

static int
open_engine(struct daemon *daemon, struct ql_err *e)
{
	struct ql_engine_config config = {
		.loop = &daemon->loop,
		.store = daemon->store,
		.runtime = daemon->runtime,
		.broker = daemon->broker,
		.outlets = {[QL_OUTLET_STORAGE] = daemon->storage,
			[QL_OUTLET_RESULTS] = daemon->broker ? daemon->broker->results : NULL},
		.poster = daemon->poster,
		.hook_patience = ql_hook_patience_default,
		.task_id = daemon->config.task_id,
		.data_dir = daemon->data.dir,
		.workers = daemon->runtime ? (int32_t)daemon->config.workers : 0,
		.max_queued = daemon->config.max_queued,
		.max_stops = daemon->config.max_stops,
		.keep_ms = daemon->config.keep_ms,
		.keep_bytes = daemon->config.keep_bytes,
		.audit_keep_ms = daemon->config.audit_keep_ms,
		.audit_keep_bytes = daemon->config.audit_keep_bytes,
		.signer = daemon->signer,
		.finder = daemon->finder,
		.orphan_age_ms = daemon->config.orphan_age_ms,
		.reap_orphans = daemon->config.reap_orphans,
		.observes = daemon->config.observe,
		.policy = ql_policy_default,
		.meter = &daemon->meter,
		.measure = ql_gauge,
		.log = ql_log,
	};
	config.policy.remote_broker = daemon->broker != NULL;
	config.hook_patience.give_up_ms = daemon->config.webhook_give_up_ms;
	if (open_clock(daemon, &config.clock, e))
		return -1;
	return ql_engine_new(&config, &daemon->engine, e);
}

/* Where nobody is asked for a key, all are one principal. */
static int
open_limiter(struct daemon *daemon, struct ql_err *e)
{
	struct ql_limits limits;
	const char *text = daemon->config.limits;
	if (!ql_config_has(text))
		text = strcmp(daemon->config.auth, "none") ? "on" : "off";
	if (ql_limits_parse(text, &limits, e))
		return ql_err_prefix(e, "--limits");
	daemon->limiter = ql_limiter_new(&limits);
	return daemon->limiter ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory for the limits");
}

static int
open_server(struct daemon *daemon, struct ql_err *e)
{
	struct ql_server_config config = {
		.loop = &daemon->loop,
		.engine = daemon->engine,
		.auth = &daemon->access.auth,
		.listen = daemon->config.listen,
		.data_dir = daemon->data.dir,
		.broker = daemon->broker != NULL,
		.task_id = daemon->config.task_id,
		.place = {.images = !strcmp(daemon->config.runtime, "docker"),
			.elsewhere = daemon->broker != NULL},
		.webhook_private = daemon->config.webhook_private,
		.observes = daemon->config.observe,
		.meter = &daemon->meter,
		.limiter = daemon->limiter,
		.signer = daemon->signer,
		.limits = ql_server_limits_default,
	};
	return ql_server_start(&config, &daemon->server, e);
}

/* ---- what is observed ---- */

static void
on_report(void *arg, const json_t *report, const struct ql_err *err)
{
	struct daemon *daemon = arg;
	char *text = report ? json_dumps(report, JSON_COMPACT) : NULL;
	if (err)
		ql_logf("the broker can't be looked at: %s", err->text);
	ql_server_observed(daemon->server, text);
	free(text);
}

static int
open_observer(struct daemon *daemon, struct ql_err *e)
{
	char instance[sizeof(daemon->data.id) + sizeof("observe.")];
	if (!daemon->config.observe)
		return 0;
	snprintf(instance, sizeof(instance), "observe.%s", daemon->data.id);
	return ql_observer_open(
		&daemon->loop, &daemon->config, instance, on_report, daemon, &daemon->observer, e);
}

/* ---- the end ---- */

static void
on_engine_closed(void *arg)
{
	struct daemon *daemon = arg;
	if (!daemon->started)
		return;
	ql_lag_stop(&daemon->lag);
	ql_outages_stop(&daemon->outages);
	ql_tokens_stop(&daemon->access.tokens);
	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&daemon->signals[i], NULL);
}

static void
on_observer_closed(void *arg)
{
	struct daemon *daemon = arg;
	ql_engine_close(daemon->engine, daemon->config.stop_runs, on_engine_closed, daemon);
}

static void
on_server_stopped(void *arg)
{
	struct daemon *daemon = arg;
	ql_observer_close(daemon->observer, on_observer_closed, daemon);
}

static void
on_signal(uv_signal_t *handle, int signum)
{
	struct daemon *daemon = handle->data;
	if (daemon->stopping) {
		ql_logf("SIG%s again: leaves at once; what was answered is durable",
			sigabbrev_np(signum));
		_exit(1);
	}
	daemon->stopping = true;
	ql_logf("SIG%s: stops accepting%s", sigabbrev_np(signum),
		daemon->config.stop_runs ? ", terminates its runs" : "; runs go on");
	ql_engine_stop_accepting(daemon->engine);
	ql_server_stop(daemon->server, on_server_stopped, daemon);
}

static void
watch_signals(struct daemon *daemon)
{
	static const int numbers[2] = {SIGTERM, SIGINT};
	for (int i = 0; i < 2; i++) {
		uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		uv_signal_start(&daemon->signals[i], on_signal, numbers[i]);
	}
}

/* ---- the start ---- */

static void
add_language(void *arg, const struct ql_language *language)
{
	struct ql_buf *names = arg;
	ql_buf_addf(names, "%s%s", names->len ? ", " : "", language->name);
}

/* The link with the key is for who sits before the terminal: what a journal keeps, others read. */
static void
announce_page(const struct daemon *daemon, const char *url)
{
	char key[QL_KEY_TEXT];
	struct ql_err err;
	bool keys = strcmp(daemon->config.auth, "none") != 0;
	if (keys && isatty(STDERR_FILENO) && !ql_data_admin_key(&daemon->data, key, &err))
		ql_logf("page: %s/#key=%s", url, key);
	else
		ql_logf("page: %s/", url);
	explicit_bzero(key, sizeof(key));
}

static void
announce(void *arg)
{
	struct daemon *daemon = arg;
	QL_CLEAN_BUF struct ql_buf names = {0};
	struct ql_health health;
	const char *url = ql_server_url(daemon->server);
	ql_data_sign(&daemon->data, url);
	ql_engine_health(daemon->engine, &health);
	if (health.runtime_limits)
		ql_logf("%s: %s", health.runtime_name, health.runtime_limits);
	ql_language_each(add_language, &names);
	if (daemon->runtime)
		ql_logf("%d workers; languages: %s", health.slots, names.len ? names.data : "none");
	else if (daemon->observer)
		ql_log("only looks: see /api/observe; nothing is stopped, submitted or kept");
	else if (daemon->broker)
		ql_logf("%s: workers of Celery run what is submitted", daemon->broker->ops->name);
	else
		ql_log("no workers: evaluations are queued and none is run");
	if (daemon->storage)
		ql_logf("storage service: %s", daemon->config.storage_url);
	if (!strcmp(daemon->config.auth, "none"))
		ql_log("no keys are asked for: whoever reaches this address may do anything");
	else
		ql_logf("admin key: %s/admin.key", daemon->data.dir);
	announce_page(daemon, url);
	ql_logf("quell %s is ready at %s", QL_VERSION, url);
}

static int
open_all(struct daemon *daemon, struct ql_err *e)
{
	if (ql_data_open(daemon->config.data, &daemon->data, e) ||
		ql_drivers_store(
			&daemon->loop, &daemon->config, &daemon->data, &daemon->store, e) ||
		ql_drivers_runtime(
			&daemon->loop, &daemon->config, &daemon->data, &daemon->runtime, e) ||
		ql_drivers_finder(
			&daemon->loop, &daemon->config, &daemon->data, &daemon->finder, e) ||
		ql_drivers_broker(
			&daemon->loop, &daemon->config, &daemon->data, &daemon->broker, e) ||
		ql_drivers_storage(&daemon->loop, &daemon->config, &daemon->storage, e) ||
		ql_drivers_poster(&daemon->loop, &daemon->config, &daemon->poster, e) ||
		ql_data_signer(&daemon->data, &daemon->signer, e) || open_engine(daemon, e) ||
		ql_access_open(&daemon->loop, &daemon->config, &daemon->data, daemon->store,
			&daemon->access, e) ||
		open_limiter(daemon, e) || open_server(daemon, e))
		return -1;
	return open_observer(daemon, e);
}

static void
free_all(struct daemon *daemon)
{
	ql_server_free(daemon->server);
	ql_engine_free(daemon->engine);
	if (daemon->finder)
		daemon->finder->ops->free(daemon->finder);
	if (daemon->store)
		daemon->store->ops->close(daemon->store);
	ql_limiter_free(daemon->limiter);
	ql_meter_done(&daemon->meter);
	ql_access_done(&daemon->access);
	ql_signer_free(daemon->signer);
	if (daemon->data.lock_fd >= 0)
		ql_rundir_close(&daemon->data);
	ql_data_close(&daemon->data);
	ql_config_done(&daemon->config);
}

static void
on_patience(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* After a start that failed: who is furthest closes what is before it, as at any end. */
static void
close_opened(struct daemon *daemon)
{
	uv_timer_t patience;
	uv_timer_init(&daemon->loop, &patience);
	uv_timer_start(&patience, on_patience, PATIENCE_MS, 0);
	uv_unref((uv_handle_t *)&patience);
	if (daemon->server)
		ql_server_stop(daemon->server, on_server_stopped, daemon);
	else if (daemon->engine)
		on_server_stopped(daemon);
	else
		ql_drivers_close(daemon->runtime, daemon->broker, daemon->storage, daemon->poster);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&patience, NULL);
	uv_run(&daemon->loop, UV_RUN_NOWAIT); /* the timer is this function's */
}

static int
run(struct daemon *daemon, struct ql_err *e)
{
	if (open_all(daemon, e)) {
		close_opened(daemon);
		return -1;
	}
	daemon->started = true;
	watch_signals(daemon);
	ql_lag_start(&daemon->lag, &daemon->loop, &daemon->meter);
	ql_outages_start(&daemon->outages, &daemon->loop, daemon->engine, ql_log);
	ql_tokens_start(&daemon->access.tokens, &daemon->loop);
	ql_engine_start(daemon->engine, announce, daemon);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	return QL_EXIT_DONE;
}

static int
serve(struct ql_cmd *cmd, struct ql_err *e)
{
	struct daemon daemon = {.data = {.lock_fd = -1}};
	if (ql_config_read(cmd->given, cmd->given_count, &daemon.config, e))
		return -1;
	setlocale(LC_ALL, "C.UTF-8");
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	setenv("UV_THREADPOOL_SIZE", "8", 0); /* store, files, starts: none waits for another */
	raise_limits();
	uv_loop_init(&daemon.loop);
	ql_meter_init(&daemon.meter);
	int status = run(&daemon, e);
	free_all(&daemon);
	uv_run(&daemon.loop, UV_RUN_NOWAIT); /* what was closed last goes then */
	(void)!uv_loop_close(&daemon.loop); /* refused where something did not close in time */
	return status;
}

const struct ql_verb ql_verb_serve = {
	.name = "serve",
	.brief = "run the server",
	.about =
		"Runs the server until SIGTERM or Ctrl-C. Runs go on under their supervisors then, "
		"and the next start takes them up.\n\n"
		"Each option is also QUELL_NAME in the environment and a line `name = value` of "
		"the "
		"config file; the flag wins, then the environment.\n",
	.options = ql_config_options,
	.also = "server daemon start",
	.local = true,
	.run = serve,
};
