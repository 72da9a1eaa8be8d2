#include "plant.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/celery/control/inspect.h"
#include "broker/celery/wire/message.h"

static void
changed(void *arg, const struct ql_worker *worker)
{
	(void)worker;
	((struct plant *)arg)->changes++;
}

static void
closed(void *arg)
{
	((struct plant *)arg)->closed = true;
}

static void
open_control(struct plant *plant, struct ql_control_config config)
{
	struct ql_err e;
	config.url = &plant->client.url;
	config.commands = plant->client.redis;
	config.node = "quell@test";
	config.instance = "test";
	config.changed = changed;
	config.arg = plant;
	if (ql_control_open(&plant->client.loop, &config, &plant->control, &e))
		fail_msg("%s", e.text);
	UNTIL(&plant->client, ql_control_is_up(plant->control), 5000);
}

static void
close_control(struct plant *plant)
{
	plant->closed = false;
	ql_control_close(plant->control, closed, plant);
	UNTIL(&plant->client, plant->closed, 10000);
}

void
plant_open(struct plant *plant, const struct ql_control_config *config)
{
	*plant = (struct plant){0};
	server_start(&plant->server, NULL);
	client_open(&plant->client, plant->server.url, false);
	open_control(plant, config ? *config : (struct ql_control_config){0});
}

void
plant_close(struct plant *plant)
{
	for (int i = 0; i < PLANT_WORKERS; i++)
		plant_stop(plant, i);
	close_control(plant);
	client_close(&plant->client);
	server_remove(&plant->server);
}

void
plant_reopen(struct plant *plant)
{
	close_control(plant);
	open_control(plant, (struct ql_control_config){0});
}

static void
become_worker(const char *pool, const char *node, const char *flag)
{
	char with_pool[64];
	int log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	snprintf(with_pool, sizeof(with_pool), "--pool=%s", pool);
	if (getenv("PROJ_LOG"))
		log = open(getenv("PROJ_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(log, 1);
	dup2(log, 2);
	execl("/usr/bin/python3", "python3", "-B", "-m", "celery", "-A", "proj", "worker",
		with_pool, "-c", "1", "-n", node, "-l", "INFO", flag, (char *)NULL);
	_exit(127);
}

void
plant_worker(struct plant *plant, int i, const char *pool, const char *node, const char *more)
{
	assert_int_equal(plant->workers[i], 0);
	plant->workers[i] = fork();
	if (plant->workers[i])
		return;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("PROJ_URL", plant->server.url, 1);
	setenv("C_FORCE_ROOT", "1", 1);
	setenv("PYTHONPATH", getenv("QUELL_PROJ"), 1);
	bool is_flag = more && *more == '-';
	if (more && !is_flag)
		putenv(strdup(more));
	if (chdir(plant->server.dir))
		_exit(126);
	become_worker(pool, node, is_flag ? more : NULL);
}

void
plant_signal(const struct plant *plant, int i, int signal)
{
	assert_true(plant->workers[i] > 0);
	assert_int_equal(kill(-plant->workers[i], signal), 0);
}

void
plant_stop(struct plant *plant, int i)
{
	if (!plant->workers[i])
		return;
	plant_signal(plant, i, SIGKILL);
	assert_int_equal(waitpid(plant->workers[i], NULL, 0), plant->workers[i]);
	plant->workers[i] = 0;
}

const struct ql_worker *
plant_here(struct plant *plant, const char *node)
{
	const struct ql_workers *workers = ql_control_workers(plant->control);
	const struct ql_worker *worker = NULL;
	UNTIL(&plant->client,
		(worker = ql_workers_find(workers, node)) && worker->state == QL_WORKER_HERE &&
			worker->version[0] && worker->pool != QL_POOL_UNKNOWN,
		PLANT_START_MS);
	return worker;
}

void
plant_bury(struct plant *plant, const char *task_id, int64_t eta)
{
	const struct ql_tombstone tombstone = {.task_id = task_id, .eta = eta};
	struct ql_err e;
	if (ql_control_bury(plant->control, &tombstone, &e))
		fail_msg("%s", e.text);
}

void
plant_send(struct plant *plant, const char *task_id, const char *seconds, const char *eta)
{
	const struct ql_message_new what = {.task_id = task_id,
		.task = "tasks.evaluate_code",
		.queue = "celery",
		.eval_id = task_id,
		.code = seconds,
		.language = "python"};
	char quoted[64];
	size_t len;
	char *bytes = ql_message_make(&what, &len);
	struct ql_text whole = {bytes, len}, headers, slice;
	assert_int_equal(ql_text_member(whole, "headers", &headers), 1);
	assert_int_equal(ql_text_member(headers, "eta", &slice), 1);
	snprintf(quoted, sizeof(quoted), "\"%s\"", eta ? eta : "");
	struct ql_text by = {eta ? quoted : "null", eta ? strlen(quoted) : 4};
	char *sent = ql_text_replace(whole, slice, by, &len);
	free(server_ask(&plant->server, "LPUSH celery %s", sent));
	free(sent);
	free(bytes);
}

bool
plant_has_result(const struct plant *plant, const char *task_id, const char *status)
{
	char *text = server_ask(&plant->server, "GET celery-task-meta-%s", task_id);
	struct ql_result result;
	bool has = false;
	if (ql_result_parse(text, strlen(text), &result, NULL) == 0) {
		has = !strcmp(result.state, status);
		ql_result_done(&result);
	}
	free(text);
	return has;
}

static void
answered(struct ql_ask *ask, int status)
{
	struct question *question = (struct question *)ask;
	question->done++;
	question->status = status;
	question->replies = json_incref(ask->replies);
	question->missing = json_incref(ask->missing);
}

void
plant_ask(struct plant *plant, struct question *question, const char *method, json_t *nodes)
{
	plant_ask_with(plant, question, method, nodes, NULL);
}

void
plant_ask_with(struct plant *plant, struct question *question, const char *method, json_t *nodes,
	json_t *arguments)
{
	*question = (struct question){.ask = {.method = method,
					      .nodes = nodes,
					      .arguments = arguments,
					      .done = answered}};
	ql_control_ask(plant->control, &question->ask);
	assert_int_equal(question->done, 0);
	UNTIL(&plant->client, question->done, 10000);
	assert_int_equal(question->done, 1);
}

void
question_done(struct question *question)
{
	json_decref(question->replies);
	json_decref(question->missing);
}

void
plant_await_revoked(struct plant *plant, const char *node, const char *task_id, bool listed)
{
	int64_t end = now_ms() + PLANT_START_MS;
	for (bool is = !listed; is != listed;) {
		struct question question;
		plant_ask(plant, &question, "revoked", NULL);
		const json_t *ids = json_object_get(question.replies, node);
		if (ids)
			is = ql_inspect_is_revoked(ids, task_id);
		question_done(&question);
		if (now_ms() > end)
			fail_msg("%s %s %s", node, listed ? "was not told of" : "still knows",
				task_id);
	}
}
