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
#include <stdbool.h>
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
#define REQUEST_MAX 512
#define NUMBER_MAX 24

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
	char request[REQUEST_MAX], after[REQUEST_MAX]; /* up to its number, and behind that */
	size_t before, after_len;
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

/* The same but for its number: what is written around that is made once. */
static size_t
put_number(char *ret_text, long number)
{
	char digits[NUMBER_MAX];
	size_t len = 0;
	do {
		digits[sizeof(digits) - ++len] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	memcpy(ret_text, digits + sizeof(digits) - len, len);
	return len;
}

static void
ask(struct load *load, struct line *line)
{
	if (load->asked == load->count)
		return;
	char *text = load->request;
	size_t len = load->before;
	len += put_number(text + len, load->first + load->step * load->asked++);
	memcpy(text + len, load->after, load->after_len);
	len += load->after_len;
	line->len = 0;
	line->asked_at = now_us();
	if (write(line->fd, text, len) != (ssize_t)len)
		err(1, "write");
}

/* The bytes of the body, by its header. */
static size_t
body_length(const char *at, const char *end)
{
	static const char name[] = "content-length:";
	while ((at = memchr(at, '\n', (size_t)(end - at)))) {
		if ((*++at | 0x20) == 'c' && !strncasecmp(at, name, sizeof(name) - 1))
			return strtoul(at + sizeof(name) - 1, NULL, 10);
	}
	errx(1, "an answer without its length");
}

static bool
is_whole(const struct line *line)
{
	const char *end = memmem(line->answer, line->len, "\r\n\r\n", 4);
	if (!end)
		return false;
	size_t head = (size_t)(end + 4 - line->answer);
	return line->len >= head + body_length(line->answer, end);
}

static void
hear(struct load *load, struct line *line)
{
	ssize_t got = read(line->fd, line->answer + line->len, ANSWER_MAX - 1 - line->len);
	if (got <= 0)
		errx(1, "the server closed the connection after %ld answers", load->answered);
	line->len += (size_t)got;
	line->answer[line->len] = 0;
	if (!is_whole(line))
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
		.step = atol(argv[5])};
	load.before = (size_t)snprintf(load.request, sizeof(load.request), "POST %s", argv[6]);
	load.after_len = (size_t)snprintf(load.after, sizeof(load.after),
		"%s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nContent-Length: 0\r\n\r\n", argv[7], argv[1]);
	if (load.before + load.after_len + NUMBER_MAX > REQUEST_MAX)
		errx(2, "HEAD and TAIL are too long");
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
