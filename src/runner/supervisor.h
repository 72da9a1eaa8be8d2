/*
 * The supervisor of one run. Its life:
 *
 *	STARTING -> HELD -> RUNNING -> EXITED -> GONE		`start`
 *	    |________|_________|____________> FAILED		nothing ran, and nothing is left
 *	(status) ---------------> EXITED -> GONE		`recover`
 *
 * `phase` (in status.truth) moves by the run's own events; what is asked moves it only by what it
 * causes. From the first SIGKILL or the program's exit on, `ending` is set: everything is killed,
 * and each event from then on asks the verifier again until nothing is left. Each change
 * is written to the status file before it is told.
 */
#ifndef QL_RUNNER_SUPERVISOR_H
#define QL_RUNNER_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "proof/proof.h"
#include "runner/cgroup.h"
#include "runner/loop.h"
#include "runner/notice.h"
#include "runner/output.h"
#include "runner/plan.h"
#include "runner/proto.h"
#include "runner/shelf.h"
#include "runner/spec.h"

#define QL_ASK_COUNT (QL_ASK_FORGET + 1)

enum ql_status_found {
	QL_STATUS_NONE, /* nothing was ever made */
	QL_STATUS_READ,
	QL_STATUS_DAMAGED, /* the host went down while it was on its way to the disk */
};

struct ql_supervisor {
	const char *folder; /* absolute path of the run folder */
	int dir; /* that folder */
	char mark[32]; /* as it stands in the program's environment */
	struct ql_shelf keep;
	int status_fd; /* the status file, or -1 */
	struct ql_loop loop;
	struct ql_runner_status status;
	struct ql_spec spec;
	struct ql_plan plan;
	struct ql_cgroup group;
	struct ql_output output;
	struct ql_notice_file notice;
	int checkpoint; /* the checkpoint folder, held until the end; or -1 */
	int pidns; /* held so that its inode is given to no other; or -1 */
	int life; /* write end: a byte releases, closing kills */

	struct ql_source listener;
	struct ql_source conn;
	struct ql_source report;
	struct ql_source builder; /* pidfds; -1 = not there, or reaped */
	struct ql_source init;
	struct ql_source program;
	struct ql_source events; /* cgroup.events */
	struct ql_source streams[2];

	bool program_reported; /* it is held */
	bool failing; /* the start failed: FAILED once all is gone; status.text says why */
	bool ending;
	bool told_running; /* to this connection */
	bool told_exited;
	bool leaving; /* the loop's last turn */
	int32_t sent; /* enum ql_runner_sent so far */
	bool asked; /* to stop, by whatever means */
	int64_t asked_cpu_us; /* what it had used by then */
	int64_t taken[QL_ASK_COUNT]; /* highest epoch taken over, by kind */
	int64_t stuck_at; /* deadlines; 0 = none */
	int64_t hint_at;
	int64_t linger_at;
	int64_t listen_at;
};

/* start.c. Its failures become FAILED_START. */
void ql_start_name_cgroups(struct ql_supervisor *sup);
void ql_start(struct ql_supervisor *sup);
void ql_start_fail(struct ql_supervisor *sup, const struct ql_err *e);
void ql_start_take_reports(struct ql_supervisor *sup); /* of the run's processes; never waits */

/* end.c */
void ql_end_fail(struct ql_supervisor *sup, const char *text);
void ql_end_kill(struct ql_supervisor *sup); /* everything in the run; asks for the proof */
bool ql_end_look(struct ql_supervisor *sup); /* the program has exited, known from now on */
void ql_end_advance(struct ql_supervisor *sup);
void ql_end_tick(struct ql_supervisor *sup); /* it takes too long */
bool ql_end_is_final(const struct ql_supervisor *sup);
void ql_end_program_ready(void *arg, struct ql_source *source, uint32_t events);
void ql_end_process_ready(void *arg, struct ql_source *source, uint32_t events);
void ql_end_events_ready(void *arg, struct ql_source *source, uint32_t events);
void ql_end_stream_ready(void *arg, struct ql_source *source, uint32_t events);

/* recover.c: what an earlier supervisor left. */
void ql_recover(struct ql_supervisor *sup);

/* ask.c */
void ql_ask_handle(struct ql_supervisor *sup, const struct ql_runner_ask *ask);
int ql_ask_salvage(struct ql_supervisor *sup, struct ql_err *e);

/* conn.c */
void ql_conn_linger(struct ql_supervisor *sup); /* nobody is connected: for how long to wait */
void ql_conn_listen(struct ql_supervisor *sup); /* for the next server */
void ql_conn_take(struct ql_supervisor *sup, int fd); /* the newest; tells it the truth so far */
void ql_conn_tell(struct ql_supervisor *sup, enum ql_runner_tell_kind kind, const char *text);
void ql_conn_answer(struct ql_supervisor *sup, const struct ql_runner_ask *ask,
	enum ql_runner_tell_kind kind, const char *text);
void ql_conn_tell_truth(struct ql_supervisor *sup);

/* status.c */
int ql_status_write(struct ql_supervisor *sup, struct ql_err *e);
enum ql_status_found ql_status_read(int dir, struct ql_runner_status *ret_status);

#endif
