/* What the files of the host's finder share. */
#ifndef QL_SWEEPER_INSIDE_H
#define QL_SWEEPER_INSIDE_H

#include <limits.h>
#include <sys/stat.h>

#include "sweeper/host.h"

#define QL_HOST_ENVIRON (64 << 10) /* bytes of an environment that are looked at */
#define QL_HOST_NESTED 8 /* how deep folders in a cgroup are followed */

struct ql_host {
	struct ql_finder finder; /* first */
	uv_loop_t *loop;
	uv_work_t work;
	struct ql_find *find; /* under way, on another thread; or NULL */
	struct ql_reap *reap; /* so is this */
	int status; /* of either */
	char run_dir[PATH_MAX]; /* "" = none */
	char data_dir[PATH_MAX];
	unsigned shard; /* where the next look at kept folders begins */
	int64_t until; /* monotonic ms: this look's end */
	char text[QL_HOST_ENVIRON]; /* scratch */
};

int64_t ql_host_now_ms(void); /* monotonic */
bool ql_host_is_late(const struct ql_host *host);
/* This server has a folder of that run. */
bool ql_host_has_run(const struct ql_host *host, uint64_t incarnation);
/* Since its last change, by the wall clock. */
int64_t ql_host_age_ms(const struct stat *st);

int ql_host_find_processes(struct ql_host *host, struct ql_traces *traces, struct ql_err *e);
int ql_host_find_cgroups(struct ql_host *host, struct ql_traces *traces, struct ql_err *e);
int ql_host_find_mounts(struct ql_host *host, struct ql_traces *traces, struct ql_err *e);
int ql_host_find_folders(struct ql_host *host, struct ql_traces *traces, struct ql_err *e);

int ql_host_reap_process(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e);
int ql_host_reap_cgroup(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e);
int ql_host_reap_mount(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e);
int ql_host_reap_folder(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e);

#endif
