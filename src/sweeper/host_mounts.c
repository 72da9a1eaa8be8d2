#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "base/str.h"
#include "runner/file.h"
#include "sweeper/inside.h"

#define MOUNTINFO_MAX (1 << 20)
#define PREFIX "quell-"

/* "36 35 98:0 / /the/point opts … - type source opts": point and source, cut in place. */
static int
cut(char *line, char **ret_point, char **ret_source)
{
	char *save;
	char *tail = strstr(line, " - ");
	if (!tail)
		return -1;
	*tail = 0;
	strtok_r(line, " ", &save);
	for (int i = 0; i < 3; i++)
		strtok_r(NULL, " ", &save);
	*ret_point = strtok_r(NULL, " ", &save);
	strtok_r(tail + 3, " ", &save);
	*ret_source = strtok_r(NULL, " ", &save);
	return *ret_point && *ret_source ? 0 : -1;
}

/* The run that its source names, and by which marks it is ours; 0: it is no run's. */
static uint64_t
look_at(const struct ql_host *host, const char *point, const char *source, uint32_t *ret_marks)
{
	uint64_t run;
	char folder[PATH_MAX + 32];
	if (strncmp(source, PREFIX, strlen(PREFIX)) != 0 ||
		ql_orphan_run(source + strlen(PREFIX), &run))
		return 0;
	int len = snprintf(folder, sizeof(folder), "%s/%016" PRIx64, host->run_dir, run);
	bool inside = host->run_dir[0] && !strncmp(point, folder, (size_t)len) &&
		      (!point[len] || point[len] == '/');
	*ret_marks = 1u << QL_MARK_SOURCE | (inside ? 1u << QL_MARK_PLACE : 0);
	return run;
}

/* Calls each for every mount of a run; those on top of others come after them. */
static int
each_mount(struct ql_host *host,
	void (*each)(void *arg, const char *point, uint64_t run, uint32_t marks), void *arg,
	struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {.limit = MOUNTINFO_MAX};
	if (ql_file_read(AT_FDCWD, "/proc/self/mountinfo", &text, e))
		return ql_err_prefix(e, "mounts can't be looked for");
	char *save, *point, *source;
	uint32_t marks;
	for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		uint64_t run =
			cut(line, &point, &source) ? 0 : look_at(host, point, source, &marks);
		if (run)
			each(arg, point, run, marks);
	}
	return 0;
}

static void
add(void *arg, const char *point, uint64_t run, uint32_t marks)
{
	struct ql_trace *trace = ql_traces_add(arg);
	if (!trace)
		return;
	trace->kind = QL_ORPHAN_MOUNT;
	trace->incarnation = run;
	trace->marks = marks;
	ql_str_copy(trace->name, sizeof(trace->name), point);
}

int
ql_host_find_mounts(struct ql_host *host, struct ql_traces *traces, struct ql_err *e)
{
	return each_mount(host, add, traces, e);
}

struct search {
	const struct ql_trace *trace;
	bool sure; /* there, with both its marks */
	bool there;
};

static void
compare(void *arg, const char *point, uint64_t run, uint32_t marks)
{
	struct search *search = arg;
	if (run != search->trace->incarnation || strcmp(point, search->trace->name) != 0)
		return;
	search->there = true;
	search->sure = ql_orphan_is_sure(marks);
}

int
ql_host_reap_mount(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e)
{
	struct search before = {.trace = trace}, after = {.trace = trace};
	if (each_mount(host, compare, &before, e))
		return -1;
	if (!before.there)
		return 0;
	if (!before.sure)
		return ql_fail(e, QL_E_CONFLICT,
			"the mount at %s carries its marks no more: it was left alone",
			trace->name);
	if (umount2(trace->name, UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
		return ql_fail_sys(e, "the mount at %s can't be taken off", trace->name);
	if (each_mount(host, compare, &after, e))
		return -1;
	return after.there ? ql_fail(e, QL_E_CONFLICT, "there is a mount at %s yet", trace->name)
			   : 0;
}
