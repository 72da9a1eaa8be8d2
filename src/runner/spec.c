#include "runner/spec.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "runner/file.h"
#include "runner/proto.h"

struct key {
	const char *name;
	int (*take)(struct ql_spec *spec, const struct key *key, const char *value);
	size_t offset;
	int64_t min, max; /* numbers */
	bool required;
};

static int
take_text(struct ql_spec *spec, const struct key *key, const char *value)
{
	*(const char **)((char *)spec + key->offset) = value;
	return *value ? 0 : -1;
}

static int
take_path(struct ql_spec *spec, const struct key *key, const char *value)
{
	return *value == '/' ? take_text(spec, key, value) : -1;
}

static int
take_plain_name(struct ql_spec *spec, const struct key *key, const char *value)
{
	if (strchr(value, '/') || !strcmp(value, ".") || !strcmp(value, ".."))
		return -1;
	return take_text(spec, key, value);
}

static int
take_instance(struct ql_spec *spec, const struct key *key, const char *value)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789");
	return value[len] || len > 32 ? -1 : take_text(spec, key, value);
}

static int
take_number(struct ql_spec *spec, const struct key *key, const char *value)
{
	return ql_str_int(value, key->min, key->max, (int64_t *)((char *)spec + key->offset));
}

static int
take_incarnation(struct ql_spec *spec, const struct key *key, const char *value)
{
	(void)key;
	if (strlen(value) != 16 || strspn(value, "0123456789abcdef") != 16)
		return -1;
	spec->incarnation = strtoull(value, NULL, 16);
	return spec->incarnation ? 0 : -1;
}

static int
take_argv(struct ql_spec *spec, const struct key *key, const char *value)
{
	(void)key;
	if (spec->argc >= QL_SPEC_WORDS)
		return -1;
	spec->argv[spec->argc++] = value;
	return 0;
}

static int
take_env(struct ql_spec *spec, const struct key *key, const char *value)
{
	(void)key;
	if (spec->envc >= QL_SPEC_WORDS || !strchr(value, '=') || *value == '=')
		return -1;
	spec->env[spec->envc++] = value;
	return 0;
}

#define AT(field) offsetof(struct ql_spec, field)

static const struct key keys[] = {
	{QL_SPEC_INCARNATION, take_incarnation, AT(incarnation), .required = true},
	{QL_SPEC_INSTANCE, take_instance, AT(instance), .required = true},
	{QL_SPEC_EVAL_ID, take_text, AT(eval_id), .required = true},
	{QL_SPEC_ATTEMPT, take_text, AT(attempt), .required = true},
	{QL_SPEC_ARGV, take_argv, AT(argv), .required = true},
	{QL_SPEC_ENV, take_env, AT(env)},
	{QL_SPEC_CODE_NAME, take_plain_name, AT(code_name)},
	{QL_SPEC_KEEP, take_path, AT(keep), .required = true},
	{QL_SPEC_CHECKPOINT, take_path, AT(checkpoint)},
	{QL_SPEC_OUTPUT_MAX, take_number, AT(output_max), 0, INT64_MAX / 2, .required = true},
	{QL_SPEC_MEMORY_MB, take_number, AT(memory_mb), 1, 1 << 30, .required = true},
	{QL_SPEC_PIDS, take_number, AT(pids), 1, 1 << 22, .required = true},
	{QL_SPEC_CPU_MILLI, take_number, AT(cpu_milli), 1, 1 << 20, .required = true},
	{QL_SPEC_LINGER_MS, take_number, AT(linger_ms), 0, QL_RUNNER_LINGER_MS},
	{QL_SPEC_UID, take_number, AT(uid), 0, UINT32_MAX - 1},
	{QL_SPEC_CGROUP, take_path, AT(cgroup)},
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static int
take_pair(struct ql_spec *spec, char *pair, unsigned *seen, struct ql_err *e)
{
	char *value = strchr(pair, '=');
	if (!value)
		return ql_fail(e, QL_E_INVALID, "the spec has '%.60s' without a value", pair);
	*value++ = 0;
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (strcmp(keys[i].name, pair) != 0)
			continue;
		*seen |= 1u << i;
		if (keys[i].take(spec, &keys[i], value) == 0)
			return 0;
		return ql_fail(e, QL_E_INVALID, "the spec's %s can't be '%.80s'", pair, value);
	}
	return ql_fail(e, QL_E_INVALID, "the spec has a key that isn't known: '%.60s'", pair);
}

int
ql_spec_read(int dir, struct ql_spec *ret_spec, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {.limit = QL_SPEC_MAX};
	*ret_spec = (struct ql_spec){0};
	if (ql_file_read(dir, QL_RUNNER_SPEC, &text, e))
		return -1;
	size_t len = text.len;
	if (!len || text.data[len - 1])
		return ql_fail(e, QL_E_SYNTAX, "the spec is cut short: it must end with a NUL");
	ret_spec->text = ql_buf_take(&text);
	unsigned seen = 0;
	char *end = ret_spec->text + len;
	for (char *pair = ret_spec->text; pair < end;) {
		char *next = pair + strlen(pair) + 1;
		if (take_pair(ret_spec, pair, &seen, e))
			return -1;
		pair = next;
	}
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (keys[i].required && !(seen & 1u << i))
			return ql_fail(e, QL_E_INVALID, "the spec has no %s", keys[i].name);
	}
	return 0;
}

void
ql_spec_done(struct ql_spec *spec)
{
	free(spec->text);
	*spec = (struct ql_spec){0};
}
