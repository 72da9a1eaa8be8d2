#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "broker/celery/redis/redis.h"

#define REDIS_PORT 6379
#define SENTINEL_PORT 26379
#define DB_MAX 65535

/* A refusal never shows the text: it may hold a password. */
#define FORMS \
	"write redis://[USER:PASSWORD@]HOST:PORT/DB, redis+socket:///PATH?virtual_host=DB, or " \
	"sentinel://HOST:PORT;sentinel://HOST:PORT/DB?master_name=NAME"

/* A part of the text. */
struct slice {
	const char *at;
	size_t len;
};

/* What stands before the first `mark`; *rest goes on behind it. All of it when there is none. */
static struct slice
cut(struct slice *rest, char mark)
{
	struct slice head = *rest;
	const char *at = rest->len ? memchr(rest->at, mark, rest->len) : NULL;
	if (!at) {
		*rest = (struct slice){rest->at + rest->len, 0};
		return head;
	}
	head.len = (size_t)(at - head.at);
	*rest = (struct slice){at + 1, rest->len - head.len - 1};
	return head;
}

static bool
is(struct slice slice, const char *text)
{
	return slice.len == strlen(text) && !memcmp(slice.at, text, slice.len);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

/* Percent-decoded, replacing what *ret_text held. */
static int
decode(struct slice slice, char **ret_text, struct ql_err *e)
{
	char *text = malloc(slice.len + 1);
	if (!text)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to read a Redis address");
	size_t n = 0;
	for (size_t i = 0; i < slice.len; i++) {
		char c = slice.at[i];
		int high = c == '%' && i + 2 < slice.len ? hex(slice.at[i + 1]) : -1;
		int low = high >= 0 ? hex(slice.at[i + 2]) : -1;
		if (low >= 0) {
			c = (char)(high << 4 | low);
			i += 2;
		}
		text[n++] = c;
	}
	text[n] = 0;
	free(*ret_text);
	*ret_text = text;
	return 0;
}

static int
number(struct slice slice, int64_t min, int64_t max, const char *what, int *ret_number,
	struct ql_err *e)
{
	char text[16];
	int64_t value;
	if (slice.len < sizeof(text)) {
		memcpy(text, slice.at, slice.len);
		text[slice.len] = 0;
		if (!ql_str_int(text, min, max, &value)) {
			*ret_number = (int)value;
			return 0;
		}
	}
	return ql_fail(e, QL_E_INVALID,
		"The Redis address has a %s that is no number from %lld to %lld: " FORMS, what,
		(long long)min, (long long)max);
}

/* [USER:PASSWORD@] in front of a host; a bare word is the user, as redis-py has it. */
static int
take_user(struct slice *rest, struct ql_redis_url *url, struct ql_err *e)
{
	const char *at = rest->len ? memrchr(rest->at, '@', rest->len) : NULL;
	if (!at)
		return 0;
	struct slice password = {rest->at, (size_t)(at - rest->at)};
	*rest = (struct slice){at + 1, rest->len - password.len - 1};
	struct slice user = cut(&password, ':');
	if (user.len && decode(user, &url->user, e))
		return -1;
	return password.len ? decode(password, &url->password, e) : 0;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static int
take_host(struct slice rest, int port, char **ret_host, int *ret_port, struct ql_err *e)
{
	struct slice host;
	if (rest.len && rest.at[0] == '[') {
		rest = (struct slice){rest.at + 1, rest.len - 1};
		host = cut(&rest, ']');
		if (rest.len && rest.at[0] == ':')
			rest = (struct slice){rest.at + 1, rest.len - 1};
	} else {
		host = cut(&rest, ':');
	}
	*ret_port = port;
	if (rest.len && number(rest, 1, 65535, "port", ret_port, e))
		return -1;
	return decode(host.len ? host : (struct slice){"localhost", 9}, ret_host, e);
}

/* The options that other clients read (health_check_interval, ssl_cert_reqs, ...) are not ours. */
static int
take_query(struct slice query, struct ql_redis_url *url, struct ql_err *e)
{
	while (query.len) {
		struct slice value = cut(&query, '&');
		struct slice name = cut(&value, '=');
		if (is(name, "master_name") && decode(value, &url->master_name, e))
			return -1;
		if ((is(name, "virtual_host") || is(name, "db")) &&
			number(value, 0, DB_MAX, "database", &url->db, e))
			return -1;
	}
	return 0;
}

static int
take_path_db(struct slice path, struct ql_redis_url *url, struct ql_err *e)
{
	return path.len ? number(path, 0, DB_MAX, "database", &url->db, e) : 0;
}

static int
parse_tcp(struct slice rest, struct ql_redis_url *url, struct ql_err *e)
{
	struct slice query = rest;
	struct slice path = cut(&query, '?');
	struct slice place = cut(&path, '/');
	if (take_user(&place, url, e) || take_host(place, REDIS_PORT, &url->host, &url->port, e) ||
		take_path_db(path, url, e))
		return -1;
	return take_query(query, url, e);
}

static int
parse_socket(struct slice rest, struct ql_redis_url *url, struct ql_err *e)
{
	struct slice query = rest;
	struct slice place = cut(&query, '?');
	if (take_user(&place, url, e))
		return -1;
	if (!place.len || place.at[0] != '/')
		return ql_fail(e, QL_E_INVALID,
			"The Redis address names no absolute path of a socket: " FORMS);
	url->port = 0;
	return decode(place, &url->host, e) || take_query(query, url, e) ? -1 : 0;
}

/* One of sentinel://HOST:PORT;sentinel://HOST:PORT/DB: the prefix of all but the first is optional. */
static int
take_sentinel(struct slice one, struct ql_redis_url *url, struct ql_buf *list, struct ql_err *e)
{
	static const char prefix[] = "sentinel://";
	if (one.len >= sizeof(prefix) - 1 && !memcmp(one.at, prefix, sizeof(prefix) - 1))
		one = (struct slice){one.at + sizeof(prefix) - 1, one.len - sizeof(prefix) + 1};
	struct slice query = one;
	struct slice path = cut(&query, '?');
	struct slice place = cut(&path, '/');
	char *host = NULL;
	int port;
	if (take_user(&place, url, e) || take_host(place, SENTINEL_PORT, &host, &port, e) ||
		take_path_db(path, url, e) || take_query(query, url, e)) {
		free(host);
		return -1;
	}
	ql_buf_addf(list, "%s%s:%d", list->len ? " " : "", host, port);
	free(host);
	return 0;
}

static int
parse_sentinels(struct slice rest, struct ql_redis_url *url, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf list = {0};
	while (rest.len) {
		if (take_sentinel(cut(&rest, ';'), url, &list, e))
			return -1;
	}
	if (!list.len || !url->master_name || !url->master_name[0])
		return ql_fail(e, QL_E_INVALID,
			"The address of the Redis sentinels wants master_name: " FORMS);
	if (list.failed)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to read a Redis address");
	url->sentinels = ql_buf_take(&list);
	return 0;
}

static int
parse(const char *text, struct ql_redis_url *url, struct ql_err *e)
{
	static const struct {
		const char *scheme;
		int (*parse)(struct slice rest, struct ql_redis_url *url, struct ql_err *e);
	} forms[] = {
		{"redis://", parse_tcp},
		{"redis+socket://", parse_socket},
		{"unix://", parse_socket},
		{"sentinel://", parse_sentinels},
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		size_t len = strlen(forms[i].scheme);
		if (!strncmp(text, forms[i].scheme, len))
			return forms[i].parse(
				(struct slice){text + len, strlen(text + len)}, url, e);
	}
	if (!strncmp(text, "rediss://", 9))
		return ql_fail(e, QL_E_INVALID,
			"Redis over TLS (rediss://) is not spoken here: run stunnel beside Quell "
			"(client = yes, accept = 127.0.0.1:6380, connect = HOST:PORT, CAfile = "
			"FILE, verifyChain = yes) and name its end, redis://127.0.0.1:6380/DB");
	return ql_fail(e, QL_E_INVALID, "The address is none of a Redis: " FORMS);
}

int
ql_redis_url_parse(const char *text, struct ql_redis_url *ret_url, struct ql_err *e)
{
	struct ql_redis_url url = {0};
	if (parse(text, &url, e)) {
		ql_redis_url_done(&url);
		return -1;
	}
	*ret_url = url;
	return 0;
}

void
ql_redis_url_done(struct ql_redis_url *url)
{
	free(url->host);
	free(url->user);
	free(url->password);
	free(url->sentinels);
	free(url->master_name);
	*url = (struct ql_redis_url){0};
}

void
ql_redis_url_show(const struct ql_redis_url *url, char *ret_text, size_t size)
{
	if (url->sentinels)
		snprintf(ret_text, size, "sentinel://%s/%d?master_name=%s", url->sentinels, url->db,
			url->master_name);
	else if (!url->port)
		snprintf(ret_text, size, "redis+socket://%s?virtual_host=%d", url->host, url->db);
	else if (strchr(url->host, ':'))
		snprintf(ret_text, size, "redis://[%s]:%d/%d", url->host, url->port, url->db);
	else
		snprintf(ret_text, size, "redis://%s:%d/%d", url->host, url->port, url->db);
}
