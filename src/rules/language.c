#include "rules/language.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/path.h"

static const struct ql_language languages[] = {
	/* -u: what was printed before a stop is output, not a lost buffer */
	{"python", "main.py", "python3", (const char *const[]){"python3", "-u", "main.py", NULL}},
	{"bash", "main.sh", "bash", (const char *const[]){"bash", "main.sh", NULL}},
	{"node", "main.js", "node", (const char *const[]){"node", "main.js", NULL}},
	/* exec: a signal reaches the program, not a shell that waits for it */
	{"c", "main.c", "cc",
		(const char *const[]){"sh", "-c",
			"cc -O2 -o /tmp/main main.c -lm -pthread && exec /tmp/main", NULL}},
};

#define LANGUAGE_COUNT (sizeof(languages) / sizeof(languages[0]))

static bool
is_installed(const char *program)
{
	char path[256];
	const char *end;
	for (const char *dir = QL_PROGRAM_PATH; *dir; dir = *end ? end + 1 : end) {
		end = strchrnul(dir, ':');
		int n = snprintf(path, sizeof(path), "%.*s/%s", (int)(end - dir), dir, program);
		if (n > 0 && (size_t)n < sizeof(path) && access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static int
fail_unknown(const char *name, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf known = {0};
	for (size_t i = 0; i < LANGUAGE_COUNT; i++)
		ql_buf_addf(&known, "%s%s", i ? ", " : "", languages[i].name);
	return ql_fail(e, QL_E_INVALID, "language must be one of %s, not '%s'", known.data, name);
}

const struct ql_language *
ql_language_known(const char *name, struct ql_err *e)
{
	for (size_t i = 0; i < LANGUAGE_COUNT; i++) {
		if (strcmp(languages[i].name, name) == 0)
			return &languages[i];
	}
	fail_unknown(name, e);
	return NULL;
}

const struct ql_language *
ql_language_find(const char *name, struct ql_err *e)
{
	const struct ql_language *language = ql_language_known(name, e);
	if (!language || is_installed(language->needs))
		return language;
	ql_fail(e, QL_E_INVALID,
		"language %s needs the program '%s', which this host has nowhere in %s: "
		"install it there",
		name, language->needs, QL_PROGRAM_PATH);
	return NULL;
}

int
ql_language_each(void (*fn)(void *arg, const struct ql_language *language), void *arg)
{
	int count = 0;
	for (size_t i = 0; i < LANGUAGE_COUNT; i++) {
		if (!is_installed(languages[i].needs))
			continue;
		count++;
		if (fn)
			fn(arg, &languages[i]);
	}
	return count;
}

const char *
ql_language_of_file(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
	for (size_t i = 0; dot && i < LANGUAGE_COUNT; i++) {
		if (strcmp(strrchr(languages[i].code_name, '.'), dot) == 0)
			return languages[i].name;
	}
	return NULL;
}
