#include "daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/storage.h"
#include "rules/task.h"

enum type { TEXT, NUMBER, DURATION, SIZE, SWITCH };

static const struct setting {
	const char *name;
	enum type type;
	size_t at;
	const char *fallback;
} settings[] = {
#define X(field, name, type, fallback, value, means) \
	{name, type, offsetof(struct ql_config, field), fallback},
#include "daemon/setting.def"
#undef X
};

const struct ql_option ql_config_options[] = {
#define X(field, flag, type, fallback, shown, means) {.name = flag, .value = shown, .help = means},
#include "daemon/setting.def"
#undef X
	{0},
};

#define SETTINGS (sizeof(settings) / sizeof(*settings))

static const struct setting *
find(const char *name, size_t len)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		if (strlen(settings[i].name) == len && !memcmp(settings[i].name, name, len))
			return &settings[i];
	}
	return NULL;
}

static int
parse_switch(const char *value, bool *ret)
{
	bool yes = !strcmp(value, "true") || !strcmp(value, "1") || !strcmp(value, "yes");
	bool no = !strcmp(value, "false") || !strcmp(value, "0") || !strcmp(value, "no");
	*ret = yes;
	return yes || no ? 0 : -1;
}

/* from: who says so, for the sentence. */
static int
set(struct ql_config *config, const struct setting *setting, const char *value, const char *from,
	struct ql_err *e)
{
	void *field = (char *)config + setting->at;
	int status = 0;
	switch (setting->type) {
	case TEXT:
		free(*(char **)field);
		*(char **)field = ql_str_dup(value);
		break;
	case NUMBER:
		status = ql_str_int(value, 0, 1000000000, field);
		break;
	case DURATION:
		status = ql_str_duration(value, field);
		break;
	case SIZE:
		status = ql_str_size(value, field);
		break;
	case SWITCH:
		status = parse_switch(value, field);
		break;
	}
	if (!status)
		return 0;
	static const char *const wants[] = {[NUMBER] = "a whole number up to 1000000000",
		[DURATION] = "a duration such as 90s, 12h or 30d",
		[SIZE] = "a size such as 512M or 10G",
		[SWITCH] = "true or false"};
	return ql_fail(e, QL_E_USAGE, "%s%s takes %s, not \"%s\"", from, setting->name,
		wants[setting->type], value);
}

static int
set_defaults(struct ql_config *config, struct ql_err *e)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		if (settings[i].fallback &&
			set(config, &settings[i], settings[i].fallback, "the default of ", e))
			return -1;
	}
	config->workers = sysconf(_SC_NPROCESSORS_ONLN);
	return 0;
}

static int
read_environment(struct ql_config *config, struct ql_err *e)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		char name[64] = "QUELL_";
		size_t n = strlen(name);
		for (const char *c = settings[i].name; *c; c++)
			name[n++] = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
		const char *value = getenv(name);
		if (value && set(config, &settings[i], value, "the environment's QUELL_ ", e))
			return -1;
	}
	return 0;
}

/* Variables that other programs of a deployment read too, so that it names each thing once. */
static const struct {
	const char *variable;
	const char *setting;
} shared[] = {
	{"CELERY_BROKER_URL", "broker"},
	{"CELERY_RESULT_BACKEND", "result-backend"},
	{"STORAGE_SERVICE_URL", "storage-url"},
	{"DOCKER_HOST", "docker-host"},
};

static int
read_shared(struct ql_config *config, struct ql_err *e)
{
	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++) {
		const char *value = getenv(shared[i].variable);
		const char *name = shared[i].setting;
		if (value && set(config, find(name, strlen(name)), value, "the environment's ", e))
			return -1;
	}
	return 0;
}

static char *
trim(char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	char *end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = 0;
	return text;
}

static int
read_line(struct ql_config *config, char *line, const char *path, int number, struct ql_err *e)
{
	char *hash = strchr(line, '#');
	if (hash)
		*hash = 0;
	char *name = trim(line);
	if (!*name)
		return 0;
	char *equals = strchr(name, '=');
	if (!equals)
		return ql_fail(e, QL_E_USAGE, "%s line %d: wants `name = value`, has \"%s\"", path,
			number, name);
	*equals = 0;
	char *value = trim(equals + 1);
	name = trim(name);
	const struct setting *setting = find(name, strlen(name));
	if (!setting)
		return ql_fail(e, QL_E_USAGE, "%s line %d: there is no setting \"%s\"", path,
			number, name);
	if (set(config, setting, value, "", e))
		return ql_err_prefix(e, "%s line %d", path, number);
	return 0;
}

static int
read_file(struct ql_config *config, const char *path, struct ql_err *e)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return ql_fail_sys(e, "the config file %s can't be read", path);
	char *line = NULL;
	size_t size = 0;
	int status = 0;
	for (int number = 1; !status && getline(&line, &size, file) >= 0; number++)
		status = read_line(config, line, path, number, e);
	free(line);
	fclose(file);
	return status;
}

static int
read_flags(struct ql_config *config, const struct ql_given *given, size_t count, struct ql_err *e)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = given[i].option->name;
		const struct setting *setting = find(name, strlen(name));
		const char *value = given[i].value ? given[i].value : "true";
		if (setting && set(config, setting, value, "--", e))
			return -1;
	}
	return 0;
}

static int
default_data(struct ql_config *config, struct ql_err *e)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int n = 0;
	if (config->data && *config->data)
		return 0;
	free(config->data);
	config->data = NULL;
	if (state && *state)
		n = asprintf(&config->data, "%s/quell", state);
	else if (home && *home)
		n = asprintf(&config->data, "%s/.local/state/quell", home);
	else
		return ql_fail(e, QL_E_USAGE,
			"no data folder: neither XDG_STATE_HOME nor HOME is set; use --data");
	return n < 0 ? ql_fail(e, QL_E_UNAVAILABLE, "out of memory") : 0;
}

static int
check_word(const char *name, const char *value, const char *const *known, const char *later,
	struct ql_err *e)
{
	for (; *known; known++) {
		if (!strcmp(value, *known))
			return 0;
	}
	return ql_fail(e, QL_E_USAGE, "--%s %s is not known: %s", name, value, later);
}

/* What the URL says is read by its driver. */
static int
check_broker(const struct ql_config *config, struct ql_err *e)
{
	static const char *const schemes[] = {
		"redis://", "rediss://", "redis+socket://", "sentinel://", NULL};
	if (config->observe && !ql_config_is_remote(config))
		return ql_fail(e, QL_E_USAGE,
			"--observe looks at a broker of others: name it with --broker, as "
			"redis://HOST:6379/0");
	if (!ql_config_is_remote(config))
		return 0;
	for (const char *const *scheme = schemes; *scheme; scheme++) {
		if (!strncmp(config->broker, *scheme, strlen(*scheme)))
			return 0;
	}
	return ql_fail(e, QL_E_USAGE,
		"--broker takes local, or the URL of Celery's broker on Redis, as "
		"redis://HOST:6379/0: not \"%.20s…\"",
		config->broker);
}

static int
check_task_id(const struct ql_config *config, struct ql_err *e)
{
	if (!ql_task_template_check(config->task_id, e))
		return 0;
	e->code = QL_E_USAGE;
	return ql_err_prefix(e, "--task-id");
}

static int
check(const struct ql_config *config, struct ql_err *e)
{
	static const char *const auths[] = {"keys", "none", NULL};
	static const char *const stores[] = {"sqlite", NULL};
	static const char *const runtimes[] = {"sandbox", "docker", NULL};
	if (check_word("auth", config->auth, auths, "keys or none", e) ||
		check_word("store", config->store, stores, "sqlite", e) ||
		check_broker(config, e) || check_task_id(config, e) ||
		check_word("runtime", config->runtime, runtimes, "sandbox or docker", e))
		return -1;
	if (ql_config_has(config->storage_url) &&
		ql_storage_check(config->storage_url, config->listen, e))
		return -1;
	if (config->workers > 4096)
		return ql_fail(e, QL_E_USAGE, "--workers takes at most 4096");
	return 0;
}

static const char *
file_named(const struct ql_given *given, size_t count)
{
	const char *path = getenv("QUELL_CONFIG");
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(given[i].option->name, "config"))
			path = given[i].value;
	}
	return path;
}

int
ql_config_read(
	const struct ql_given *given, size_t count, struct ql_config *ret_config, struct ql_err *e)
{
	const char *path = file_named(given, count);
	*ret_config = (struct ql_config){0};
	int status = set_defaults(ret_config, e);
	if (!status)
		status = read_shared(ret_config, e);
	if (!status && path)
		status = read_file(ret_config, path, e);
	if (!status)
		status = read_environment(ret_config, e);
	if (!status)
		status = read_flags(ret_config, given, count, e);
	if (!status)
		status = default_data(ret_config, e);
	if (!status)
		status = check(ret_config, e);
	if (status)
		ql_config_done(ret_config);
	return status;
}

bool
ql_config_is_remote(const struct ql_config *config)
{
	return ql_config_has(config->broker) && strcmp(config->broker, "local") != 0;
}

bool
ql_config_has(const char *text)
{
	return text && *text;
}

void
ql_config_done(struct ql_config *config)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		if (settings[i].type == TEXT)
			free(*(char **)((char *)config + settings[i].at));
	}
	*config = (struct ql_config){0};
}
