/*
 * Inside the runtime «docker»: a run is a container that Quell made, and a folder with what has to be
 * known of it when the server comes back: its record, its program's text, and the folders that the
 * program shares with the host (notice, checkpoint). Created is held, started is released.
 *
 * The folder is made before the container and removed after it; the container's name is that of the
 * run, so that it is found when a reply was lost, and can't be made twice.
 */
#ifndef QL_RUNTIME_DOCKER_RUN_H
#define QL_RUNTIME_DOCKER_RUN_H

#include <limits.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/keep.h"
#include "runtime/desk.h"
#include "runtime/docker/end.h"
#include "runtime/docker/logs.h"
#include "runtime/docker/pulse.h"
#include "runtime/sandbox/errand.h"

#define QL_DOCKER_RUNS_MAX 4096 /* runs in memory */
#define QL_DOCKER_USER "65534:65534" /* nobody: each run has its own PID namespace and no network */
#define QL_DOCKER_UID 65534
#define QL_DOCKER_CONNECTIONS 256 /* a live run holds one, for its output */
#define QL_DOCKER_STUCK_MS 3000 /* after a kill, before it is said to be stuck */
#define QL_DOCKER_DRAIN_MS 2000 /* after an exit, for the last of its output */
#define QL_DOCKER_IN_FLIGHT_MS 2000 /* for a container to appear whose maker was given up */
#define QL_DOCKER_FILES_MB 32 /* of its log, twice */
#define QL_DOCKER_CHECKPOINT_MAX (64 << 20)

enum ql_docker_phase {
	QL_DOCKER_MAKING = 1, /* its container was asked for */
	QL_DOCKER_HELD,
	QL_DOCKER_RELEASED, /* its start was asked for */
	QL_DOCKER_EXITED, /* and something may be left */
	QL_DOCKER_GONE,
	QL_DOCKER_FAILED, /* it could not be made */
};

/* What is on disk; written whole, before what it announces is done. */
struct ql_docker_record {
	uint32_t magic;
	int32_t phase;
	int32_t sent; /* enum ql_rung: the strongest */
	int32_t flags; /* QL_RUN_* */
	int32_t exit_code, exit_signal;
	int32_t unasked, passed; /* bits of enum ql_check */
	int32_t output_truncated;
	int64_t output_bytes;
	int64_t checkpoint_bytes; /* -1 = none, or not salvaged */
	int64_t output_max;
	uint64_t notice; /* inode of the file; 0 = none was given */
	char boot_id[QL_BOOT_ID];
	char id[QL_DOCKER_ID];
	char text[QL_NEWS_TEXT];
	char checkpoint[PATH_MAX]; /* to start from; "" = none */
	char keep_dir[PATH_MAX];
};

struct ql_docker_runtime {
	struct ql_runtime runtime; /* first */
	struct ql_desk desk;
	struct ql_docker *docker;
	struct ql_docker_pulse pulse;
	char *image; /* where a launch names none; or NULL */
	char *dir; /* absolute: one folder a run */
	int dir_fd;
	char instance[QL_RUN_NAME];
	char boot_id[QL_BOOT_ID];
	struct ql_docker_run *runs; /* by incarnation */
	struct ql_docker_run *doomed; /* not found any more; freed once all is told */
	struct ql_docker_census *lists;
	int parts; /* desk, docker, processes, removals: all are over before it is freed */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One thing that a run was asked for. */
struct ql_docker_ask {
	struct ql_docker_ask *prev, *next;
	struct ql_runtime_op *op; /* NULL: its caller was answered */
	enum ql_act_kind kind; /* NONE: a purge */
	int32_t epoch;
	bool looked; /* for it */
};

struct ql_docker_run {
	struct ql_news news; /* first */
	struct ql_docker_runtime *driver;
	UT_hash_handle hh;
	struct ql_docker_run *prev, *next; /* among the doomed */
	uint64_t incarnation;
	char name[QL_RUN_NAME];
	struct ql_docker_record record;
	bool known; /* the record is there and what is true now was looked for */
	bool is_doomed;
	bool purging; /* nothing is sighted of it */
	bool busy; /* the first of its asks is being worked at */
	bool acting; /* within ql_docker_act_next */
	struct ql_docker_ask *asks; /* in the order in which they came */
	struct ql_docker_call call; /* of the first of them, or of reaching it */
	struct ql_docker_call second; /* of its end */
	struct ql_docker_later later;
	struct ql_docker_later
		stuck; /* or the last of its output is awaited: after a kill, or an exit */
	struct ql_docker_process *process;
	struct ql_docker_end *end; /* it is being killed */
	struct ql_docker_state state; /* as it was looked at last */
	struct ql_docker_logs logs;
	struct ql_keep keep;
	bool following; /* its output is being read */
	bool drained; /* to its end */
	bool reread; /* after its exit, for what the stream may have left out */
	bool ending; /* its exit was seen, and is being written up */
	bool exit_known; /* state is that of its exit; the last of its output is awaited */
	bool asked; /* a first means of a stop reached it, when it had used asked_cpu_us (-1: not known) */
	int64_t asked_cpu_us;
	int tries;
	int salvage; /* descriptor of the checkpoint that is being written; -1 */
	int64_t salvaged;
	void *mapping; /* of the checkpoint that it starts from */
	size_t mapped;
};

/* ---- folder.c: what is on disk; all of it blocks, for moments ---- */

/* Makes it, with the program's text and the folders that it shares. */
int
ql_docker_folder_make(struct ql_docker_run *run, const struct ql_launch *launch, struct ql_err *e);

/* Writes the record whole. */
int ql_docker_folder_save(struct ql_docker_run *run, struct ql_err *e);

/* -1 with QL_E_NOT_FOUND when there is no such run. */
int ql_docker_folder_load(struct ql_docker_run *run, struct ql_err *e);

/* Puts the notice file in place, once; whether the program has taken it away. */
int ql_docker_folder_notice(
	struct ql_docker_run *run, const struct ql_notice *notice, struct ql_err *e);
bool ql_docker_folder_noticed(const struct ql_docker_run *run);

/* The program left nothing in its checkpoint. */
bool ql_docker_folder_is_bare(const struct ql_docker_run *run);

/* Seconds since the record was written. */
int64_t ql_docker_folder_age(const struct ql_docker_run *run);

/* Every run that has one; the caller frees them. */
int ql_docker_folder_list(const struct ql_docker_runtime *driver, uint64_t **ret_incarnations,
	size_t *ret_count, struct ql_err *e);

/* Removes it on a thread of the pool, as its program may have filled it; done is called from the loop. */
int ql_docker_folder_remove(struct ql_docker_run *run, void (*done)(void *arg, int status),
	void *arg, struct ql_err *e);

/* ---- create.c ---- */

json_t *ql_docker_create_body(
	const struct ql_docker_run *run, const struct ql_launch *launch, const char *image);

/* ---- run.c: what becomes of a run ---- */

struct ql_docker_run *ql_docker_run_find(struct ql_docker_runtime *driver, uint64_t incarnation);
struct ql_docker_run *ql_docker_run_new(struct ql_docker_runtime *driver, uint64_t incarnation);
void ql_docker_run_free(struct ql_docker_run *run);

/* Out of the books; freed once all of it is told. */
void ql_docker_run_doom(struct ql_docker_run *run);

/* Writes the record and tells of it. */
void ql_docker_run_tell(struct ql_docker_run *run, enum ql_event_kind kind);

/* All that it has come to so far. */
void ql_docker_run_tell_truth(struct ql_docker_run *run);

/* Its container runs: holds its process and reads its output. */
void ql_docker_run_follow(struct ql_docker_run *run);

/* Its end was seen: what Docker says of it, the last of its output, EXITED and GONE. */
void ql_docker_run_write_up(struct ql_docker_run *run);

/* Docker could not start it, as its command isn't there: it has exited with 127, and said why. */
void ql_docker_run_not_startable(struct ql_docker_run *run, const char *why);

/* A means of a stop is sent now: what it uses from the first one on is burnt. */
void ql_docker_run_asked(struct ql_docker_run *run);

/* Kills it, until that is proven. */
int ql_docker_run_kill(struct ql_docker_run *run, struct ql_err *e);

bool ql_docker_run_has_ended(const struct ql_docker_run *run);

/* ---- act.c: what it is asked for ---- */

int ql_docker_ask_add(struct ql_docker_run *run, struct ql_runtime_op *op, enum ql_act_kind kind);

/* Works at the first of its asks, unless that is being done. */
void ql_docker_act_next(struct ql_docker_run *run);

/* It is proven dead: a purge waits for that. */
void ql_docker_act_gone(struct ql_docker_run *run);

/* The first of its asks is done with, or all of them. */
void ql_docker_act_answer(struct ql_docker_run *run, int status, const struct ql_err *why);
void ql_docker_act_answer_all(struct ql_docker_run *run, const struct ql_err *why);

void ql_docker_runtime_part_closed(void *driver);

#endif
