/*
 * Calls that are one's own each, at most so many open at a time: wrk can't tell how long a certain
 * number of them took.
 *
 *	bench-calls PORT CONNECTIONS COUNT FIRST STEP HEAD TAIL
 *
 * POSTs HEAD n TAIL for n = FIRST, FIRST + STEP, …; prints "seconds p50_us p99_us refused", refused
 * being answers that are none of 2xx.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 65536

struct line {
	int fd;
	size_t len;
	int64_t asked_at;
	char answer[ANSWER_MAX];
};

struct load {
	int poll;
	struct sockaddr_in to;
	long count, first, step;
	const char *head, *tail;
	long asked, answered, refused;
	uint32_t *took; /* us */
};

static int64_t
now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void
ask(struct load *load, struct line *line)
{
	char text[512];
	if (load->asked == load->count)
		return;
	int len = snprintf(text, sizeof(text),
		"POST %s%ld%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 0\r\n\r\n",
		load->head, load->first + load->step * load->asked++, load->tail,
		ntohs(load->to.sin_port));
	line->len = 0;
	line->asked_at = now_us();
	if (write(line->fd, text, (size_t)len) != len)
		err(1, "write");
}

/* Its length with the body, or 0: not all of it is there. */
static size_t
whole(const struct line *line)
{
	const char *end = memmem(line->answer, line->len, "\r\n\r\n", 4);
	const char *length = strcasestr(line->answer, "\r\ncontent-length:");
	if (!end || !length || length > end)
		return 0;
	size_t all = (size_t)(end + 4 - line->answer) + strtoul(length + 17, NULL, 10);
	return line->len < all ? 0 : all;
}

static void
hear(struct load *load, struct line *line)
{
	ssize_t got = read(line->fd, line->answer + line->len, ANSWER_MAX - 1 - line->len);
	if (got <= 0)
		errx(1, "the server closed the connection after %ld answers", load->answered);
	line->len += (size_t)got;
	line->answer[line->len] = 0;
	if (!whole(line))
		return;
	load->took[load->answered++] = (uint32_t)(now_us() - line->asked_at);
	load->refused += line->answer[9] != '2';
	ask(load, line);
}

static void
begin(struct load *load, struct line *line)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = line};
	line->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (line->fd < 0 || connect(line->fd, (struct sockaddr *)&load->to, sizeof(load->to)) ||
		epoll_ctl(load->poll, EPOLL_CTL_ADD, line->fd, &event))
		err(1, "connect");
}

static int
by_time(const void *one, const void *two)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)two;
	return (a > b) - (a < b);
}

int
main(int argc, char **argv)
{
	if (argc != 8)
		errx(2, "PORT CONNECTIONS COUNT FIRST STEP HEAD TAIL");
	struct load load = {.poll = epoll_create1(EPOLL_CLOEXEC),
		.to = {.sin_family = AF_INET,
			.sin_port = htons((uint16_t)atoi(argv[1])),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.count = atol(argv[3]),
		.first = atol(argv[4]),
		.step = atol(argv[5]),
		.head = argv[6],
		.tail = argv[7]};
	size_t lines_count = (size_t)atoi(argv[2]);
	struct line *lines = calloc(lines_count, sizeof(*lines));
	struct epoll_event events[64];
	load.took = calloc((size_t)load.count, sizeof(*load.took));
	if (!lines || !load.took || load.poll < 0)
		err(1, "begin");
	for (size_t i = 0; i < lines_count; i++)
		begin(&load, &lines[i]);
	int64_t began = now_us();
	for (size_t i = 0; i < lines_count; i++)
		ask(&load, &lines[i]);
	while (load.answered < load.count) {
		int ready = epoll_wait(load.poll, events, 64, -1);
		if (ready < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < ready; i++)
			hear(&load, events[i].data.ptr);
	}
	double seconds = (double)(now_us() - began) / 1e6;
	qsort(load.took, (size_t)load.count, sizeof(*load.took), by_time);
	printf("%.6f %u %u %ld\n", seconds, load.took[load.count / 2],
		load.took[load.count - load.count / 100 - 1], load.refused);
	return 0;
}
