#include "http/listen.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/str.h"

#define BACKLOG 1024

/* An authority, "name:port" or "[v6]:port"; the port is 0 when there is none. */
struct authority {
	char name[QL_LISTEN_NAME];
	int64_t port;
	bool has_port;
};

static int
parse_authority(const char *text, struct authority *ret_authority)
{
	const char *name = text, *end = strchr(text, ':');
	if (*text == '[') {
		name = text + 1;
		end = strchr(name, ']');
		if (!end || !memchr(name, ':', (size_t)(end - name)))
			return -1;
	}
	size_t len = end ? (size_t)(end - name) : strlen(name);
	if (!len || len >= QL_LISTEN_NAME)
		return -1;
	for (size_t i = 0; i < len; i++)
		ret_authority->name[i] = (char)tolower((unsigned char)name[i]);
	ret_authority->name[len] = 0;
	const char *rest = *text == '[' ? end + 1 : name + len;
	ret_authority->port = 0;
	ret_authority->has_port = *rest == ':';
	if (!*rest)
		return 0;
	if (*rest != ':' || !isdigit((unsigned char)rest[1]) || strlen(rest + 1) > 5)
		return -1;
	return ql_str_int(rest + 1, 0, 65535, &ret_authority->port);
}

static bool
is_literal(const char *name)
{
	unsigned char addr[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1;
}

static void
classify(struct ql_listen *where)
{
	if (where->addr.ss_family == AF_INET6) {
		const struct in6_addr *addr = &((struct sockaddr_in6 *)&where->addr)->sin6_addr;
		where->loopback = IN6_IS_ADDR_LOOPBACK(addr);
		where->any = IN6_IS_ADDR_UNSPECIFIED(addr);
		return;
	}
	in_addr_t addr = ntohl(((struct sockaddr_in *)&where->addr)->sin_addr.s_addr);
	where->loopback = addr >> 24 == 127;
	where->any = addr == INADDR_ANY;
}

int
ql_listen_parse(const char *text, struct ql_listen *ret_where, struct ql_err *e)
{
	struct authority authority;
	if (parse_authority(text, &authority) || !authority.has_port)
		return ql_fail(e, QL_E_USAGE,
			"can't listen on '%.100s': give an address and a port, as in "
			"127.0.0.1:8080 or [::1]:8080",
			text);
	char port[8];
	snprintf(port, sizeof(port), "%d", (int)authority.port);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
	int rc = getaddrinfo(authority.name, port, &hints, &found);
	if (rc)
		return ql_fail(
			e, QL_E_USAGE, "can't listen on '%.100s': %s", text, gai_strerror(rc));
	*ret_where = (struct ql_listen){.port = (uint16_t)authority.port};
	memcpy(ret_where->name, authority.name, sizeof(authority.name));
	memcpy(&ret_where->addr, found->ai_addr, found->ai_addrlen);
	ret_where->addr_len = found->ai_addrlen;
	freeaddrinfo(found);
	classify(ret_where);
	return 0;
}

static int
open_socket(struct ql_listen *where, int fd, struct ql_err *e)
{
	int on = 1;
	struct sockaddr *addr = (struct sockaddr *)&where->addr;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, addr, where->addr_len) || listen(fd, BACKLOG) ||
		getsockname(fd, addr, &where->addr_len))
		return ql_fail_sys(e, "can't listen on %s, port %d", where->name, where->port);
	where->port =
		ntohs(where->addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)addr)->sin6_port
							: ((struct sockaddr_in *)addr)->sin_port);
	return 0;
}

int
ql_listen_open(struct ql_listen *where, int *ret_fd, struct ql_err *e)
{
	int fd = socket(where->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ql_fail_sys(e, "can't make a socket to listen on");
	if (open_socket(where, fd, e)) {
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

static bool
is_loopback_name(const char *name)
{
	return !strcmp(name, "localhost") || !strcmp(name, "127.0.0.1") || !strcmp(name, "::1");
}

static bool
is_own_name(const char *name)
{
	char own[QL_LISTEN_NAME] = "";
	return !gethostname(own, sizeof(own) - 1) && !strcasecmp(name, own);
}

bool
ql_listen_has_host(const struct ql_listen *where, const char *host)
{
	struct authority authority;
	if (parse_authority(host, &authority))
		return false;
	if ((authority.has_port ? authority.port : 80) != where->port)
		return false;
	if (!strcmp(authority.name, where->name))
		return true;
	if (where->loopback)
		return is_loopback_name(authority.name);
	return where->any && (is_literal(authority.name) || is_loopback_name(authority.name) ||
				     is_own_name(authority.name));
}

bool
ql_listen_has_origin(const struct ql_listen *where, const char *origin)
{
	return !strncmp(origin, "http://", 7) && ql_listen_has_host(where, origin + 7);
}
