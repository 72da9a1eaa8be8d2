#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/keep.h"
#include "proof/process.h"
#include "runner/file.h"
#include "runner/supervisor.h"
#include "runner/sys.h"
#include "runner/tar.h"

#define TEMP QL_KEEP_CHECKPOINT ".new"

/* Once it is being killed it is as good as dead: nothing that comes later may say that it ran. */
static bool
is_alive(const struct ql_supervisor *sup)
{
	int phase = sup->status.truth.phase;
	return (phase == QL_RUNNER_HELD || phase == QL_RUNNER_RUNNING) && !sup->ending &&
	       !sup->failing;
}

static int
refuse_ended(const struct ql_supervisor *sup, const char *what, struct ql_err *e)
{
	if (sup->status.truth.phase == QL_RUNNER_STARTING)
		return ql_fail(e, QL_E_CONFLICT, "%s: the run is not set up yet", what);
	return ql_fail(e, QL_E_CONFLICT, "%s: the run has ended", what);
}

/* Before the first means: what is used from here on, nobody wants. */
static void
note_asked(struct ql_supervisor *sup)
{
	if (sup->asked)
		return;
	sup->asked = true;
	sup->asked_cpu_us = ql_cgroup_cpu_us(&sup->group);
}

static void
note_sent(struct ql_supervisor *sup, enum ql_runner_sent sent)
{
	if (sup->sent < (int32_t)sent)
		sup->sent = (int32_t)sent;
}

/* It is durable that it may have run before it can run. */
static int
release(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e)
{
	(void)ask;
	struct ql_runner_truth *truth = &sup->status.truth;
	if (ql_end_look(sup) || !is_alive(sup))
		return refuse_ended(sup, "release", e);
	if (truth->phase == QL_RUNNER_RUNNING)
		return 0;
	truth->phase = QL_RUNNER_RUNNING;
	if (ql_status_write(sup, e)) {
		truth->phase = QL_RUNNER_HELD;
		return -1;
	}
	if (write(sup->life, "G", 1) != 1)
		return ql_fail_sys(e, "release the program");
	return 0;
}

static int
notice(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e)
{
	if (ql_end_look(sup) || !is_alive(sup))
		return refuse_ended(sup, "notice", e);
	note_asked(sup);
	if (ask->text_len > sizeof(ask->text))
		return ql_fail(
			e, QL_E_TOO_LARGE, "a notice has at most %d bytes", QL_RUNNER_NOTICE);
	if (ql_notice_give(&sup->notice, ask->text, ask->text_len, e))
		return -1;
	note_sent(sup, QL_SENT_NOTICE);
	return 0;
}

/* SIGCONT after it, or a stopped program would never see it. */
static int
terminate(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e)
{
	(void)ask;
	struct ql_runner_truth *truth = &sup->status.truth;
	uint64_t pending;
	uint64_t caught;
	if (ql_end_look(sup) || !is_alive(sup))
		return refuse_ended(sup, "terminate", e);
	note_asked(sup);
	truth->flags &= ~QL_RUNNER_CATCHES_TERM;
	if (ql_process_signals(truth->pid, &pending, &caught) == 0 &&
		caught & 1ULL << (SIGTERM - 1))
		truth->flags |= QL_RUNNER_CATCHES_TERM;
	if (pidfd_send_signal(sup->program.fd, SIGTERM, NULL, 0))
		return ql_fail_sys(e, "send SIGTERM to the program");
	note_sent(sup, QL_SENT_TERMINATE);
	(void)pidfd_send_signal(sup->program.fd, SIGCONT, NULL, 0);
	return 0;
}

static int
kill_all(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e)
{
	(void)ask;
	(void)e;
	if (ql_end_is_final(sup))
		return 0;
	note_asked(sup);
	if (!ql_end_look(sup))
		note_sent(sup, QL_SENT_KILL);
	if (sup->status.truth.phase == QL_RUNNER_STARTING)
		ql_end_fail(sup, "it was killed before it was set up");
	ql_end_kill(sup);
	return 0;
}

static int
inspect(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e)
{
	(void)ask;
	(void)e;
	ql_end_look(sup);
	ql_conn_tell_truth(sup);
	return 0;
}

static int
collect(struct ql_supervisor *sup, int64_t *ret_bytes, struct ql_err *e)
{
	int entries = 0;
	int64_t bytes = 0;
	*ret_bytes = -1;
	if (ql_tar_is_empty(sup->checkpoint))
		return 0;
	int keep = ql_shelf_need(&sup->keep, e);
	if (keep < 0)
		return -1;
	QL_CLEAN_FD int fd =
		openat(keep, TEMP, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ql_fail_sys(e, "make the checkpoint's file");
	int r = ql_tar_pack(sup->checkpoint, fd, QL_CHECKPOINT_BYTES,
		ql_sys_now_ms() + QL_CHECKPOINT_MS, &bytes, &entries, e);
	if (!r && entries && fdatasync(fd))
		r = ql_fail_sys(e, "sync the checkpoint");
	if (!r && entries && renameat(keep, TEMP, keep, QL_KEEP_CHECKPOINT))
		r = ql_fail_sys(e, "put the checkpoint in place");
	if (r || !entries)
		unlinkat(keep, TEMP, 0);
	*ret_bytes = entries ? bytes : -1;
	return r;
}

/* What can't be collected is told as «none», with the reason: the answer must not stay out. */
int
ql_ask_salvage(struct ql_supervisor *sup, struct ql_err *e)
{
	struct ql_runner_truth *truth = &sup->status.truth;
	if (truth->flags & QL_RUNNER_SALVAGED)
		return 0;
	int r = 0;
	truth->checkpoint_bytes = -1;
	if (sup->checkpoint >= 0)
		r = collect(sup, &truth->checkpoint_bytes, e);
	if (r)
		truth->checkpoint_bytes = -1;
	truth->flags |= QL_RUNNER_SALVAGED;
	ql_fd_done(&sup->checkpoint);
	ql_status_write(sup, NULL);
	return r;
}

static int
salvage(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e)
{
	(void)ask;
	struct ql_err why = {0};
	if (sup->status.truth.phase == QL_RUNNER_FAILED)
		return ql_fail(e, QL_E_CONFLICT, "salvage: the run never was");
	if (sup->status.truth.phase != QL_RUNNER_GONE)
		return ql_fail(e, QL_E_CONFLICT, "salvage: the run is not proven to be gone");
	int r = ql_ask_salvage(sup, &why);
	ql_conn_tell(sup, QL_TELL_SALVAGED, r ? why.text : NULL);
	return 0;
}

static int
forget(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e)
{
	(void)ask;
	static const char *const files[] = {QL_RUNNER_SPEC, QL_RUNNER_CODE, QL_RUNNER_STATUS,
		QL_RUNNER_STATUS ".new", QL_RUNNER_SOCK, QL_RUNNER_LOCK};
	if (!ql_end_is_final(sup))
		return ql_fail(e, QL_E_CONFLICT, "forget: the run is not proven to be gone");
	if (ql_cgroup_remove(&sup->group, e))
		return -1;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (unlinkat(sup->dir, files[i], 0) && errno != ENOENT)
			return ql_fail_sys(e, "remove %s of the run folder", files[i]);
	}
	if (rmdir(sup->folder))
		return ql_fail_sys(e, "remove the run folder");
	sup->leaving = true;
	return 0;
}

static const struct {
	int (*act)(struct ql_supervisor *sup, const struct ql_runner_ask *ask, struct ql_err *e);
	bool repeats; /* does it again when asked again under the same epoch */
} acts[QL_ASK_COUNT] = {
	[QL_ASK_RELEASE] = {release, false},
	[QL_ASK_NOTICE] = {notice, false},
	[QL_ASK_TERMINATE] = {terminate, false},
	[QL_ASK_KILL] = {kill_all, true},
	[QL_ASK_INSPECT] = {inspect, true},
	[QL_ASK_SALVAGE] = {salvage, true},
	[QL_ASK_FORGET] = {forget, true},
};

void
ql_ask_handle(struct ql_supervisor *sup, const struct ql_runner_ask *ask)
{
	struct ql_err e = {0};
	int r;
	if (ask->incarnation != sup->status.incarnation)
		r = ql_fail(&e, QL_E_FENCED, "this supervisor answers for run %016llx alone",
			(unsigned long long)sup->status.incarnation);
	else if (ask->kind >= QL_ASK_COUNT || !acts[ask->kind].act)
		r = ql_fail(&e, QL_E_INVALID, "%d is nothing that can be asked", ask->kind);
	else if (ask->epoch <= sup->taken[ask->kind] && !acts[ask->kind].repeats)
		r = 0;
	else
		r = acts[ask->kind].act(sup, ask, &e);
	if (!r && ask->epoch > sup->taken[ask->kind])
		sup->taken[ask->kind] = ask->epoch;
	ql_conn_answer(sup, ask, r ? QL_TELL_REFUSED : QL_TELL_ACK, r ? e.text : NULL);
}
