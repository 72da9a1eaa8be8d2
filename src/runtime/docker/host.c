#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "runtime/docker/api.h"

static bool
is_set(const char *text)
{
	return text && *text;
}

static const char *
after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);
	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static int
connect_tcp(uv_loop_t *loop, const struct ql_docker_address *address, const char *where,
	struct ql_fetch **ret_fetch, char *ret_base, size_t size, struct ql_err *e)
{
	char ca[PATH_MAX], cert[PATH_MAX], key[PATH_MAX];
	struct ql_fetch_config config = {.connections = address->connections};
	const char *scheme = address->tls_verify ? "https" : "http";
	int n = snprintf(ret_base, size, "%s://%s", scheme, where);
	if (n < 0 || (size_t)n >= size || strpbrk(where, "/ ?#@") || !*where)
		return ql_fail(e, QL_E_INVALID,
			"DOCKER_HOST is tcp://HOST:PORT, and nothing may follow the port: %.100s",
			address->host);
	if (address->tls_verify && is_set(address->cert_path)) {
		snprintf(ca, sizeof(ca), "%s/ca.pem", address->cert_path);
		snprintf(cert, sizeof(cert), "%s/cert.pem", address->cert_path);
		snprintf(key, sizeof(key), "%s/key.pem", address->cert_path);
		config.ca_file = ca;
		config.cert_file = cert;
		config.key_file = key;
	}
	return ql_fetch_open(loop, &config, ret_fetch, e);
}

int
ql_docker_connect(uv_loop_t *loop, const struct ql_docker_address *address,
	struct ql_fetch **ret_fetch, char *ret_base, size_t size, struct ql_err *e)
{
	const char *host = is_set(address->host) ? address->host : "unix://" QL_DOCKER_SOCKET;
	const char *path = after(host, "unix://");
	const char *where = after(host, "tcp://");
	if (where)
		return connect_tcp(loop, address, where, ret_fetch, ret_base, size, e);
	if (!path || path[0] != '/')
		return ql_fail(e, QL_E_INVALID,
			"DOCKER_HOST is unix:///PATH or tcp://HOST:PORT, not %.100s", host);
	struct ql_fetch_config config = {.unix_path = path, .connections = address->connections};
	ql_str_copy(ret_base, size, "http://docker");
	return ql_fetch_open(loop, &config, ret_fetch, e);
}
