/* The body of a create: as little right as a program needs, and what names the run. */
#include <stdio.h>

#include "base/path.h"
#include "runtime/docker/run.h"

#define SHARED "/quell"

static void
add_each(json_t *list, const char *const *values)
{
	for (; values && *values; values++)
		json_array_append_new(list, json_string(*values));
}

static void
add_number(json_t *list, const char *name, long long value)
{
	char text[64];
	snprintf(text, sizeof(text), "%s=%lld", name, value);
	json_array_append_new(list, json_string(text));
}

static void
add_text(json_t *list, const char *name, const char *value)
{
	char text[256];
	snprintf(text, sizeof(text), "%s=%s", name, value);
	json_array_append_new(list, json_string(text));
}

/* The submitter's own first: what follows is ours. */
static json_t *
environment(const struct ql_launch *launch)
{
	json_t *list = json_array();
	add_each(list, launch->env);
	add_text(list, "QUELL_EVAL_ID", launch->eval_id);
	add_number(list, "QUELL_ATTEMPT", launch->attempt);
	add_text(list, "QUELL_CHECKPOINT", SHARED "/checkpoint");
	add_text(list, "QUELL_CANCEL", SHARED "/cancel/notice");
	return list;
}

static json_t *
mount(const struct ql_docker_run *run, const char *file, const char *where, bool read_only)
{
	char source[PATH_MAX];
	snprintf(source, sizeof(source), "%s/%s/%s", run->driver->dir, run->name, file);
	return json_pack("{s:s, s:s, s:s, s:b}", "Type", "bind", "Source", source, "Target", where,
		"ReadOnly", read_only);
}

static json_t *
mounts(const struct ql_docker_run *run, const struct ql_launch *launch)
{
	char where[300];
	json_t *list = json_array();
	json_array_append_new(list, mount(run, "cancel", SHARED "/cancel", false));
	json_array_append_new(list, mount(run, "checkpoint", SHARED "/checkpoint", false));
	snprintf(where, sizeof(where), "/work/%s", launch->code_name ? launch->code_name : "");
	if (launch->code)
		json_array_append_new(list, mount(run, "code", where, true));
	return list;
}

static json_t *
host_config(const struct ql_docker_run *run, const struct ql_launch *launch)
{
	json_int_t memory = (json_int_t)launch->memory_mb << 20;
	char files[16];
	snprintf(files, sizeof(files), "%dm", QL_DOCKER_FILES_MB);
	json_t *config = json_pack("{s:s, s:b, s:[s], s:[s], s:I, s:I, s:I, s:I, s:b, s:b}",
		"NetworkMode", "none", "ReadonlyRootfs", 1, "CapDrop", "ALL", "SecurityOpt",
		"no-new-privileges", "PidsLimit", (json_int_t)launch->pids, "Memory", memory,
		"MemorySwap", memory, "NanoCpus", (json_int_t)(launch->cpus * 1e9 + 0.5), "Init", 1,
		"AutoRemove", 0);
	json_object_set_new(config, "RestartPolicy", json_pack("{s:s}", "Name", "no"));
	json_object_set_new(config, "IpcMode", json_string("private"));
	json_object_set_new(config, "Tmpfs",
		json_pack("{s:s, s:s}", "/tmp", "size=64m,mode=1777,exec", "/work",
			"size=64m,mode=1777,exec"));
	json_object_set_new(config, "LogConfig",
		json_pack("{s:s, s:{s:s, s:s}}", "Type", "json-file", "Config", "max-size", files,
			"max-file", "2"));
	json_object_set_new(config, "Mounts", mounts(run, launch));
	return config;
}

json_t *
ql_docker_create_body(
	const struct ql_docker_run *run, const struct ql_launch *launch, const char *image)
{
	char attempt[16];
	json_t *argv = json_array();
	add_each(argv, launch->argv);
	snprintf(attempt, sizeof(attempt), "%d", launch->attempt);
	json_t *labels = json_pack("{s:s, s:s, s:s, s:s}", "quell.eval_id", launch->eval_id,
		"quell.incarnation", run->name, "quell.attempt", attempt, "quell.server",
		run->driver->instance);
	return json_pack("{s:s, s:o, s:[], s:o, s:o, s:s, s:s, s:s, s:b, s:o}", "Image", image,
		"Cmd", argv, "Entrypoint", "Env", environment(launch), "Labels", labels, "User",
		QL_DOCKER_USER, "WorkingDir", "/work", "StopSignal", "SIGTERM", "NetworkDisabled",
		1, "HostConfig", host_config(run, launch));
}
