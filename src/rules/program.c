/* The way back: from a record's payload to what a launch needs. */
#include <stdlib.h>
#include <string.h>

#include "rules/language.h"
#include "rules/submission.h"
#include "rules/trace.h"

static int
fail_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "out of memory while reading a payload");
}

static const char **
argv_of_language(const struct ql_language *language)
{
	size_t count = 0;
	while (language->argv[count])
		count++;
	const char **argv = calloc(count + 1, sizeof(*argv));
	if (argv)
		memcpy(argv, language->argv, count * sizeof(*argv));
	return argv;
}

static const char **
argv_of_command(const json_t *command)
{
	const char **argv = calloc(json_array_size(command) + 1, sizeof(*argv));
	for (size_t i = 0; argv && i < json_array_size(command); i++)
		argv[i] = json_string_value(json_array_get(command, i));
	return argv;
}

/* One block: the pointers, then the texts they point to. */
static const char **
env_block(json_t *env)
{
	const char *name;
	json_t *value;
	size_t size = (json_object_size(env) + 1) * sizeof(char *);
	json_object_foreach (env, name, value)
		size += strlen(name) + json_string_length(value) + 2;
	const char **block = calloc(1, size);
	if (!block)
		return NULL;
	char *text = (char *)(block + json_object_size(env) + 1);
	size_t i = 0;
	json_object_foreach (env, name, value) {
		block[i++] = text;
		text = stpcpy(text, name);
		*text++ = '=';
		text = stpcpy(text, json_string_value(value)) + 1;
	}
	return block;
}

/* What the submission names itself comes first. */
static int
add_trace(json_t *payload)
{
	struct ql_trace_context trace;
	json_t *env = json_object_get(payload, "env");
	ql_trace_of(payload, &trace);
	if (!trace.parent[0] || json_object_get(env, "TRACEPARENT"))
		return 0;
	if (!env) {
		env = json_object();
		if (json_object_set_new(payload, "env", env))
			return -1;
	}
	if (json_object_set_new(env, "TRACEPARENT", json_string(trace.parent)))
		return -1;
	return trace.state[0] ? json_object_set_new(env, "TRACESTATE", json_string(trace.state))
			      : 0;
}

static int
parse_code(struct ql_program *program, bool elsewhere, struct ql_err *e)
{
	const json_t *code = json_object_get(program->payload, "code");
	program->code = json_string_value(code);
	program->code_len = json_string_length(code);
	program->language = json_string_value(json_object_get(program->payload, "language"));
	if (elsewhere)
		return 0;
	if (!code) {
		program->argv = argv_of_command(json_object_get(program->payload, "command"));
		return program->argv ? 0 : fail_memory(e);
	}
	const struct ql_language *language =
		ql_language_known(program->language ? program->language : "", e);
	if (!language)
		return -1;
	program->code_name = language->code_name;
	program->argv = argv_of_language(language);
	return program->argv ? 0 : fail_memory(e);
}

int
ql_program_parse(
	const char *payload, bool elsewhere, struct ql_program *ret_program, struct ql_err *e)
{
	*ret_program = (struct ql_program){0};
	json_error_t error;
	json_t *object = json_loads(payload, 0, &error);
	if (!json_is_object(object)) {
		json_decref(object);
		return ql_fail(
			e, QL_E_INTERNAL, "a stored payload isn't a JSON object: %s", error.text);
	}
	ret_program->payload = object;
	const char *queue = json_string_value(json_object_get(object, "queue"));
	ret_program->queue = queue && strcmp(queue, QL_QUEUE_DEFAULT) ? queue : NULL;
	ret_program->priority = (int32_t)json_integer_value(json_object_get(object, "priority"));
	ret_program->image = json_string_value(json_object_get(object, "image"));
	ret_program->memory_mb = json_integer_value(json_object_get(object, "memory_mb"));
	ret_program->pids = json_integer_value(json_object_get(object, "pids"));
	ret_program->cpus = json_number_value(json_object_get(object, "cpus"));
	int rc = parse_code(ret_program, elsewhere, e);
	if (rc == 0 && add_trace(object))
		rc = fail_memory(e);
	if (rc == 0) {
		ret_program->env = env_block(json_object_get(object, "env"));
		rc = ret_program->env ? 0 : fail_memory(e);
	}
	if (rc)
		ql_program_done(ret_program);
	return rc;
}

void
ql_program_done(struct ql_program *program)
{
	if (!program)
		return;
	free(program->argv);
	free(program->env);
	json_decref(program->payload);
	*program = (struct ql_program){0};
}
