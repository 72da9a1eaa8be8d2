#include "runtime/docker/state.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"

bool
ql_docker_is_id(const char *text)
{
	return text && strlen(text) == QL_DOCKER_ID - 1 &&
	       strspn(text, "0123456789abcdef") == QL_DOCKER_ID - 1;
}

const char *
ql_docker_name(const json_t *name)
{
	const char *text = json_string_value(name);
	return text && *text == '/' ? text + 1 : text;
}

/* The year 1 stands for «never». */
static bool
is_never(const char *time)
{
	return !time || !*time || strncmp(time, "0001-", 5) == 0;
}

static int64_t
time_of(const char *text)
{
	int64_t at;
	return is_never(text) || ql_time_parse(text, &at) ? 0 : at;
}

static bool
truth(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

static bool
is_armed(const json_t *json)
{
	const json_t *policy =
		json_object_get(json_object_get(json, "HostConfig"), "RestartPolicy");
	const char *name = json_string_value(json_object_get(policy, "Name"));
	return name && *name && strcmp(name, "no") != 0;
}

static void
name_it(const json_t *json, struct ql_docker_state *ret_state)
{
	const char *name = ql_docker_name(json_object_get(json, "Name"));
	const char *image =
		json_string_value(json_object_get(json_object_get(json, "Config"), "Image"));
	if (name)
		ql_str_copy(ret_state->name, sizeof(ret_state->name), name);
	if (image)
		ql_str_copy(ret_state->image, sizeof(ret_state->image), image);
}

int
ql_docker_state_read(const json_t *json, struct ql_docker_state *ret_state)
{
	const json_t *state = json_object_get(json, "State");
	const char *id = json_string_value(json_object_get(json, "Id"));
	const char *started = json_string_value(json_object_get(state, "StartedAt"));
	const char *file = json_string_value(json_object_get(json, "HostnamePath"));
	const char *status = json_string_value(json_object_get(state, "Status"));
	if (!ql_docker_is_id(id) || !json_is_object(state))
		return -1;
	*ret_state = (struct ql_docker_state){
		.started_at = time_of(started),
		.finished_at = time_of(json_string_value(json_object_get(state, "FinishedAt"))),
		.pid = json_integer_value(json_object_get(state, "Pid")),
		.exit_code = (int)json_integer_value(json_object_get(state, "ExitCode")),
		.running = truth(state, "Running"),
		.paused = truth(state, "Paused"),
		.restarting = truth(state, "Restarting"),
		.oom = truth(state, "OOMKilled"),
		.armed = is_armed(json),
		.tty = truth(json_object_get(json, "Config"), "Tty"),
	};
	bool fresh = status && strcmp(status, "created") == 0;
	ret_state->created = !ret_state->running && (fresh || is_never(started));
	name_it(json, ret_state);
	ql_str_copy(ret_state->id, sizeof(ret_state->id), id);
	ql_str_copy(ret_state->word, sizeof(ret_state->word), status ? status : "");
	ql_str_copy(ret_state->started, sizeof(ret_state->started), started ? started : "");
	ql_str_copy(ret_state->host_file, sizeof(ret_state->host_file), file ? file : "");
	return 0;
}
