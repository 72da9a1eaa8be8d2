#include "daemon/drivers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "broker/celery/celery.h"
#include "daemon/log.h"
#include "daemon/rundir.h"
#include "daemon/storage.h"
#include "outlet/post.h"
#include "outlet/storage.h"
#include "runtime/docker/docker.h"
#include "runtime/sandbox/errand.h"
#include "sweeper/host.h"

int
ql_drivers_store(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_store **ret_store, struct ql_err *e)
{
	char path[PATH_MAX];
	if (config->observe) /* nothing is kept */
		return ql_store_memory_open(loop, ret_store, e);
	if (ql_data_path(data, "quell.db", path, sizeof(path), e))
		return -1;
	return ql_store_sqlite_open(loop, path, ret_store, e);
}

/* quell-runner stands beside this program. */
static int
find_runner(char *ret_path, size_t size, struct ql_err *e)
{
	ssize_t n = readlink("/proc/self/exe", ret_path, size - sizeof("quell-runner"));
	if (n < 0)
		return ql_fail_sys(e, "/proc/self/exe can't be read: is /proc mounted?");
	ret_path[n] = 0;
	char *name = strrchr(ret_path, '/') + 1;
	ql_str_copy(name, size - (size_t)(name - ret_path), "quell-runner");
	if (access(ret_path, X_OK))
		return ql_fail_sys(e, "%s, which runs programs, is missing: reinstall", ret_path);
	return 0;
}

/* As docker itself takes them: any value of the second but an empty one is a yes. */
static struct ql_docker_address
docker_address(const struct ql_config *config)
{
	const char *verify = getenv("DOCKER_TLS_VERIFY");
	return (struct ql_docker_address){
		.host = config->docker_host,
		.cert_path = getenv("DOCKER_CERT_PATH"),
		.tls_verify = verify && *verify,
	};
}

/* What a driver can't make sense of came from a setting. */
static int
blame_setting(int status, struct ql_err *e)
{
	if (status && e->code == QL_E_INVALID)
		e->code = QL_E_USAGE;
	return status;
}

static int
open_sandbox(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_runtime **ret_runtime, struct ql_err *e)
{
	char runner[PATH_MAX];
	char run_dir[PATH_MAX];
	if (find_runner(runner, sizeof(runner), e) || ql_rundir_open(data, run_dir, e))
		return -1;
	struct ql_sandbox_config sandbox = {
		.runner = runner,
		.run_dir = run_dir,
		.uid_base = geteuid() ? 0 : config->uid_base,
	};
	return ql_runtime_sandbox_open(loop, &sandbox, ret_runtime, e);
}

/* On a disk: a run's checkpoint grows there, and a record has to outlive a boot. */
static int
open_docker(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_runtime **ret_runtime, struct ql_err *e)
{
	char run_dir[PATH_MAX];
	if (ql_data_path(data, "docker", run_dir, sizeof(run_dir), e))
		return -1;
	if (mkdir(run_dir, 0700) && errno != EEXIST)
		return ql_fail_sys(e, "%s can't be made", run_dir);
	struct ql_docker_runtime_config docker = {
		.address = docker_address(config),
		.run_dir = run_dir,
		.image = ql_config_has(config->docker_image) ? config->docker_image : NULL,
	};
	return blame_setting(ql_runtime_docker_open(loop, &docker, ret_runtime, e), e);
}

int
ql_drivers_runtime(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_runtime **ret_runtime, struct ql_err *e)
{
	*ret_runtime = NULL;
	if (!config->workers || ql_config_is_remote(config))
		return 0;
	if (strcmp(config->runtime, "docker") == 0)
		return open_docker(loop, config, data, ret_runtime, e);
	return open_sandbox(loop, config, data, ret_runtime, e);
}

int
ql_drivers_containers(uv_loop_t *loop, const struct ql_config *config,
	struct ql_containers **ret_containers, struct ql_err *e)
{
	struct ql_docker_config docker = {
		.address = docker_address(config),
		.label = config->container_label,
		.name = config->container_name,
	};
	return blame_setting(ql_containers_docker_open(loop, &docker, ret_containers, e), e);
}

int
ql_drivers_storage(uv_loop_t *loop, const struct ql_config *config, struct ql_outlet **ret_outlet,
	struct ql_err *e)
{
	char key[QL_STORAGE_KEY_MAX];
	struct ql_storage_config storage = {.url = config->storage_url};
	*ret_outlet = NULL;
	if (!ql_config_has(config->storage_url))
		return 0;
	if (ql_config_has(config->storage_key_file)) {
		if (ql_storage_key(config->storage_key_file, key, e))
			return -1;
		storage.key = key;
	}
	int status = ql_outlet_storage_open(loop, &storage, ret_outlet, e);
	explicit_bzero(key, sizeof(key));
	return status;
}

int
ql_drivers_poster(uv_loop_t *loop, const struct ql_config *config, struct ql_poster **ret_poster,
	struct ql_err *e)
{
	struct ql_poster_config poster = {.private = config->webhook_private};
	return ql_poster_open(loop, &poster, ret_poster, e);
}

static void
nothing_more(void *arg)
{
	(void)arg;
}

static void
close_containers(struct ql_containers *containers)
{
	if (containers)
		containers->ops->close(containers, nothing_more, NULL);
}

/* A host without Docker has no containers of tasks, where nobody says that there is one. */
static int
open_containers(uv_loop_t *loop, const struct ql_config *config,
	struct ql_containers **ret_containers, struct ql_err *e)
{
	*ret_containers = NULL;
	if (ql_config_has(config->docker_host) || !access("/var/run/docker.sock", F_OK))
		return ql_drivers_containers(loop, config, ret_containers, e);
	return 0;
}

static const char *
given(const char *text)
{
	return ql_config_has(text) ? text : NULL;
}

int
ql_drivers_broker(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_broker **ret_broker, struct ql_err *e)
{
	struct ql_celery_config celery = {
		.broker = config->broker,
		.results = ql_config_has(config->result_backend) ? config->result_backend : NULL,
		.task = config->task_name,
		.task_id = config->task_id,
		.queue = config->task_queue,
		.instance = data->id,
		.prefix = config->key_prefix,
		.results_prefix = config->result_prefix,
		.fanout_prefix = config->fanout_prefix,
		.exchange = config->control_exchange,
		.steps = given(config->priority_steps),
		.separator = given(config->priority_separator),
		.log = ql_log,
	};
	*ret_broker = NULL;
	if (!ql_config_is_remote(config))
		return 0;
	if (open_containers(loop, config, &celery.containers, e))
		return -1;
	if (!celery.containers)
		ql_log("no Docker here (--docker-host): containers of tasks are not looked for");
	if (!blame_setting(ql_broker_celery_open(loop, &celery, ret_broker, e), e))
		return 0;
	close_containers(celery.containers);
	return -1;
}

/* The name that its runs' cgroups bear; without local runs there are none. */
static int
name_runs(const struct ql_config *config, const struct ql_data *data, char ret_dir[static PATH_MAX],
	char ret_name[static QL_RUN_NAME], struct ql_err *e)
{
	char path[PATH_MAX];
	ret_dir[0] = 0;
	ql_str_copy(ret_name, QL_RUN_NAME, data->instance);
	if (!config->workers || ql_config_is_remote(config) || strcmp(config->runtime, "sandbox"))
		return 0;
	if (ql_data_path(data, "run", path, sizeof(path), e))
		return -1;
	int fd = realpath(path, ret_dir) ? open(ret_dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return ql_fail_sys(e, "the folder of runs %s can't be opened", path);
	int rc = ql_run_instance(fd, ret_name, e);
	close(fd);
	return rc;
}

int
ql_drivers_finder(uv_loop_t *loop, const struct ql_config *config, const struct ql_data *data,
	struct ql_finder **ret_finder, struct ql_err *e)
{
	char run_dir[PATH_MAX];
	char name[QL_RUN_NAME];
	struct ql_host_config host = {.server = name, .data_dir = data->dir};
	*ret_finder = NULL;
	if (config->observe)
		return 0;
	if (name_runs(config, data, run_dir, name, e))
		return -1;
	host.run_dir = run_dir[0] ? run_dir : NULL;
	*ret_finder = ql_finder_host(loop, &host);
	return *ret_finder ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory for the sweeper");
}

int
ql_drivers_observe(uv_loop_t *loop, const struct ql_config *config,
	struct ql_observe_config *observe, struct ql_containers **ret_containers,
	struct ql_observe **ret_observe, struct ql_err *e)
{
	observe->broker = config->broker;
	observe->results = ql_config_has(config->result_backend) ? config->result_backend : NULL;
	observe->queue = config->task_queue;
	observe->prefix = config->key_prefix;
	observe->results_prefix = config->result_prefix;
	observe->fanout_prefix = config->fanout_prefix;
	observe->exchange = config->control_exchange;
	observe->steps = given(config->priority_steps);
	observe->separator = given(config->priority_separator);
	if (open_containers(loop, config, ret_containers, e))
		return -1;
	observe->containers = *ret_containers;
	if (!blame_setting(ql_observe_open(loop, observe, ret_observe, e), e))
		return 0;
	close_containers(*ret_containers);
	return -1;
}

void
ql_drivers_close(struct ql_runtime *runtime, struct ql_broker *broker, struct ql_outlet *storage,
	struct ql_poster *poster)
{
	if (runtime)
		runtime->ops->close(runtime, nothing_more, NULL);
	if (broker)
		broker->ops->close(broker, nothing_more, NULL);
	if (storage)
		storage->close(storage, nothing_more, NULL);
	if (poster)
		poster->close(poster, nothing_more, NULL);
}
