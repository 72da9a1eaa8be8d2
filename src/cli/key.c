#include "cli/key.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* The path of the admin key file; false when there is no home to look in. */
static bool
key_path(struct ql_buf *path)
{
	static const struct {
		const char *env, *below;
	} places[] = {
		{"QUELL_DATA", ""},
		{"XDG_STATE_HOME", "/quell"},
		{"HOME", "/.local/state/quell"},
	};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *dir = getenv(places[i].env);
		if (!dir || !*dir)
			continue;
		ql_buf_addf(path, "%s%s/admin.key", dir, places[i].below);
		return !path->failed;
	}
	return false;
}

/* A header's value: printable ASCII without a space. */
static bool
is_key(const char *key)
{
	for (const char *c = key; *c; c++) {
		if (!isgraph((unsigned char)*c))
			return false;
	}
	return *key;
}

static int
read_key(const char *path, char **ret_key, struct ql_buf *source, struct ql_err *e)
{
	char key[QL_KEY_MAX + 1];
	FILE *file = fopen(path, "re");
	if (!file) {
		ql_buf_addf(source, "no key: %s: %s; name one with --key or QUELL_KEY", path,
			strerror(errno));
		return 0;
	}
	size_t len = fread(key, 1, QL_KEY_MAX, file);
	fclose(file);
	while (len > 0 && isspace((unsigned char)key[len - 1]))
		len--;
	key[len] = 0;
	if (!is_key(key))
		return ql_fail(e, QL_E_INVALID, "the key file %s holds no key", path);
	ql_buf_addf(source, "the key of %s", path);
	*ret_key = ql_str_dup(key);
	return *ret_key ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory");
}

static int
find_key(const char *given, bool local, char **ret_key, struct ql_buf *source, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	const char *env = getenv("QUELL_KEY");
	const char *key = given ? given : env && *env ? env : NULL;
	if (key) {
		const char *name = given ? "--key" : "QUELL_KEY";
		if (!is_key(key))
			return ql_fail(
				e, QL_E_USAGE, "%s must be a key: printable, without spaces", name);
		ql_buf_addf(source, "the key of %s", name);
		*ret_key = ql_str_dup(key);
		return *ret_key ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory");
	}
	if (local && key_path(&path))
		return read_key(path.data, ret_key, source, e);
	ql_buf_adds(source, "no key: name one with --key or QUELL_KEY");
	return 0;
}

int
ql_key_find(const char *given, bool local, char **ret_key, char **ret_source, struct ql_err *e)
{
	struct ql_buf source = {0};
	*ret_key = NULL;
	int rc = find_key(given, local, ret_key, &source, e);
	*ret_source = ql_buf_take(&source);
	return rc;
}
