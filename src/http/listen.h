/*
 * Where the server listens, and which Host and Origin belong to it. A web page elsewhere can make
 * a browser send requests here, even under a name of its own that resolves to this machine; what
 * it can't do is to write the Host or the Origin of its choice.
 */
#ifndef QL_HTTP_LISTEN_H
#define QL_HTTP_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define QL_LISTEN_NAME 256

struct ql_listen {
	char name[QL_LISTEN_NAME]; /* as given, without brackets; lower case */
	uint16_t port; /* after ql_listen_open the real one */
	bool loopback;
	bool any; /* 0.0.0.0 or [::] */
	struct sockaddr_storage addr;
	socklen_t addr_len;
};

/* "127.0.0.1:8080", "[::1]:0", "name:80". Resolves a name; blocking, at start. */
int ql_listen_parse(const char *text, struct ql_listen *ret_where, struct ql_err *e);

/* A listening socket, non-blocking and close-on-exec; the caller closes it. Finds the port. */
int ql_listen_open(struct ql_listen *where, int *ret_fd, struct ql_err *e);

/*
 * Host: the listen name with its port; localhost, 127.0.0.1 and [::1] are one when it listens on
 * loopback; when it listens on any address, each literal address, localhost and the machine's
 * own name will do (a page elsewhere can come under a name only).
 */
bool ql_listen_has_host(const struct ql_listen *where, const char *host);

/* "http://" and such a Host. */
bool ql_listen_has_origin(const struct ql_listen *where, const char *origin);

#endif
