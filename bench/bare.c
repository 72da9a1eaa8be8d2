/*
 * What an HTTP answer costs at the least: libmicrohttpd alone, on one thread, with a constant body.
 * Prints its port, serves until standard input ends.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

static enum MHD_Result
answer(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **state)
{
	(void)url, (void)method, (void)version, (void)data, (void)size;
	if (!*state) { /* the headers; an answer from here would close the connection */
		*state = arg;
		return MHD_YES;
	}
	return MHD_queue_response(connection, MHD_HTTP_OK, arg);
}

int
main(void)
{
	static char body[] = "{\"status\":\"ok\"}\n";
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct MHD_Response *response =
		MHD_create_response_from_buffer(sizeof(body) - 1, body, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(response, "Content-Type", "application/json");
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL,
		answer, response, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
	if (!daemon) {
		fprintf(stderr, "the bare server can't start\n");
		return 1;
	}
	printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	char byte;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	MHD_stop_daemon(daemon);
	MHD_destroy_response(response);
	return 0;
}
