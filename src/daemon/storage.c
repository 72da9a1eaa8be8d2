#include "daemon/storage.h"

#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/listen.h"

/* ---- is it this server? ---- */

/* An address as IPv4 where it is one in disguise. */
static struct sockaddr_storage
plain(const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_storage copy = {0};
	memcpy(&copy, addr, len);
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&copy;
	if (copy.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return copy;
	struct sockaddr_storage four = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&four;
	in->sin_family = AF_INET;
	memcpy(&in->sin_addr, six->sin6_addr.s6_addr + 12, sizeof(in->sin_addr));
	return four;
}

/* Whoever may bind an address has it. */
static bool
is_of_this_host(struct sockaddr_storage addr)
{
	struct sockaddr *any_port = (struct sockaddr *)&addr;
	socklen_t len = addr.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						   : sizeof(struct sockaddr_in);
	if (addr.ss_family == AF_INET6)
		((struct sockaddr_in6 *)any_port)->sin6_port = 0;
	else
		((struct sockaddr_in *)any_port)->sin_port = 0;
	int fd = socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is = fd >= 0 && !bind(fd, any_port, len);
	if (fd >= 0)
		close(fd);
	return is;
}

static bool
same_address(const struct sockaddr_storage *one, const struct sockaddr_storage *two)
{
	if (one->ss_family != two->ss_family)
		return false;
	if (one->ss_family == AF_INET6)
		return !memcmp(&((const struct sockaddr_in6 *)one)->sin6_addr,
			&((const struct sockaddr_in6 *)two)->sin6_addr, sizeof(struct in6_addr));
	return ((const struct sockaddr_in *)one)->sin_addr.s_addr ==
	       ((const struct sockaddr_in *)two)->sin_addr.s_addr;
}

/* A request to «any» address goes to loopback. */
static bool
is_any(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)addr)->sin6_addr);
	return ((const struct sockaddr_in *)addr)->sin_addr.s_addr == INADDR_ANY;
}

static bool
answers_at(const struct ql_listen *where, const struct addrinfo *found)
{
	struct sockaddr_storage own = plain((const struct sockaddr *)&where->addr, where->addr_len);
	for (; found; found = found->ai_next) {
		struct sockaddr_storage addr = plain(found->ai_addr, found->ai_addrlen);
		if (same_address(&addr, &own) || (is_any(&addr) && where->loopback) ||
			(where->any && is_of_this_host(addr)))
			return true;
	}
	return false;
}

/* A name that can't be resolved now is another's: ours can. */
static int
check_other(const char *host, const char *port, const char *listen, struct ql_err *e)
{
	struct ql_listen where;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	if (ql_listen_parse(listen, &where, e))
		return -1;
	if (!where.port || strtoul(port, NULL, 10) != where.port ||
		getaddrinfo(host, port, &hints, &found))
		return 0;
	bool own = answers_at(&where, found);
	freeaddrinfo(found);
	if (!own)
		return 0;
	return ql_fail(e, QL_E_USAGE,
		"the storage service's URL (--storage-url or STORAGE_SERVICE_URL) leads to this "
		"server itself, at %s:%s: name the outside service, or leave it out",
		host, port);
}

/* ---- the URL ---- */

struct parts {
	CURLU *url;
	char *scheme, *host, *port;
	char *user, *password, *query, *fragment;
};

static void
parts_done(struct parts *parts)
{
	char *texts[] = {parts->scheme, parts->host, parts->port, parts->user, parts->password,
		parts->query, parts->fragment};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		curl_free(texts[i]);
	curl_url_cleanup(parts->url);
}

static int
split(const char *text, struct parts *parts)
{
	parts->url = curl_url();
	if (!parts->url || curl_url_set(parts->url, CURLUPART_URL, text, 0) ||
		curl_url_get(parts->url, CURLUPART_SCHEME, &parts->scheme, 0) ||
		curl_url_get(parts->url, CURLUPART_HOST, &parts->host, 0) ||
		curl_url_get(parts->url, CURLUPART_PORT, &parts->port, CURLU_DEFAULT_PORT))
		return -1;
	curl_url_get(parts->url, CURLUPART_USER, &parts->user, 0);
	curl_url_get(parts->url, CURLUPART_PASSWORD, &parts->password, 0);
	curl_url_get(parts->url, CURLUPART_QUERY, &parts->query, 0);
	curl_url_get(parts->url, CURLUPART_FRAGMENT, &parts->fragment, 0);
	return 0;
}

static char *
without_brackets(char *host)
{
	size_t len = strlen(host);
	if (*host != '[' || host[len - 1] != ']')
		return host;
	host[len - 1] = 0;
	return host + 1;
}

static int
check(struct parts *parts, const char *listen, struct ql_err *e)
{
	bool plain_http = !strcmp(parts->scheme, "http");
	if (!plain_http && strcmp(parts->scheme, "https") != 0)
		return ql_fail(e, QL_E_USAGE,
			"the storage service's URL (--storage-url or STORAGE_SERVICE_URL) begins "
			"with %s://: it takes http:// and https://",
			parts->scheme);
	if (parts->user || parts->password)
		return ql_fail(e, QL_E_USAGE,
			"the storage service's URL holds a user or password, which logs would "
			"show: give a key with --storage-key-file");
	if (parts->query || parts->fragment)
		return ql_fail(e, QL_E_USAGE,
			"the storage service's URL ends with ?… or #…: leave that out, "
			"/evaluations/ID is put behind it");
	return plain_http ? check_other(without_brackets(parts->host), parts->port, listen, e) : 0;
}

int
ql_storage_check(const char *url, const char *listen, struct ql_err *e)
{
	struct parts parts = {0};
	int rc = split(url, &parts)
			 ? ql_fail(e, QL_E_USAGE,
				   "the storage service's URL (--storage-url or "
				   "STORAGE_SERVICE_URL) is none: it wants http://HOST:PORT")
			 : check(&parts, listen, e);
	parts_done(&parts);
	return rc;
}

/* ---- the key ---- */

static int
check_key(const char *path, const char *key, struct ql_err *e)
{
	size_t len = strlen(key);
	bool whole = len > 0 && len < QL_STORAGE_KEY_MAX - 1;
	for (size_t i = 0; i < len; i++)
		whole &= key[i] > ' ' && key[i] < 0x7f;
	if (whole)
		return 0;
	return ql_fail(e, QL_E_USAGE,
		"the first line of %s is no key: it wants 1 to %d printable characters without a "
		"blank",
		path, QL_STORAGE_KEY_MAX - 2);
}

int
ql_storage_key(const char *path, char ret_key[static QL_STORAGE_KEY_MAX], struct ql_err *e)
{
	struct stat st;
	FILE *file = fopen(path, "re");
	if (!file || fstat(fileno(file), &st)) {
		ql_fail_sys(e, "the key file %s can't be read", path);
		if (file)
			fclose(file);
		return -1;
	}
	ret_key[0] = 0;
	char *line = fgets(ret_key, QL_STORAGE_KEY_MAX, file);
	fclose(file);
	if (st.st_mode & 077)
		return ql_fail(
			e, QL_E_USAGE, "the key file %s can be read by others: chmod 600 it", path);
	if (line)
		line[strcspn(line, "\r\n")] = 0;
	return check_key(path, ret_key, e);
}
