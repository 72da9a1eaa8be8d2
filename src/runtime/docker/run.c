#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "proof/process.h"
#include "runtime/docker/run.h"

#define EXIT_STOPPED 75 /* EX_TEMPFAIL: the program's word that it stopped early */
#define EXIT_NOT_FOUND 127
#define BY_SIGNAL 128 /* what Docker adds to the signal that ended a program */

static void look_at_end(struct ql_docker_run *run);

/* ---- the books ---- */

struct ql_docker_run *
ql_docker_run_find(struct ql_docker_runtime *driver, uint64_t incarnation)
{
	struct ql_docker_run *run;
	HASH_FIND(hh, driver->runs, &incarnation, sizeof(incarnation), run);
	return run;
}

struct ql_docker_run *
ql_docker_run_new(struct ql_docker_runtime *driver, uint64_t incarnation)
{
	if (HASH_COUNT(driver->runs) >= QL_DOCKER_RUNS_MAX)
		return NULL;
	struct ql_docker_run *run = calloc(1, sizeof(*run));
	if (!run)
		return NULL;
	run->driver = driver;
	run->incarnation = incarnation;
	run->salvage = -1;
	run->keep.output = run->keep.index = -1;
	run->call.owner = run->second.owner = run;
	ql_run_name(incarnation, run->name);
	HASH_ADD(hh, driver->runs, incarnation, sizeof(run->incarnation), run);
	return run;
}

static void
drop_process(struct ql_docker_run *run)
{
	if (run->process)
		ql_docker_process_free(run->process, ql_docker_runtime_part_closed, run->driver);
	run->process = NULL;
}

static void
drop_end(struct ql_docker_run *run)
{
	if (run->end)
		ql_docker_end_free(run->end);
	run->end = NULL;
}

static void
let_go(struct ql_docker_run *run)
{
	struct ql_docker *docker = run->driver->docker;
	ql_docker_stop(&run->call);
	ql_docker_stop(&run->second);
	ql_docker_stop(&run->logs.call);
	ql_docker_never(docker, &run->later);
	ql_docker_never(docker, &run->stuck);
	drop_process(run);
	drop_end(run);
	ql_keep_close(&run->keep);
	if (run->salvage >= 0)
		close(run->salvage);
	run->salvage = -1;
	if (run->mapping)
		munmap(run->mapping, run->mapped);
	run->mapping = NULL;
}

void
ql_docker_run_free(struct ql_docker_run *run)
{
	struct ql_docker_ask *ask, *next;
	let_go(run);
	DL_FOREACH_SAFE (run->asks, ask, next)
		free(ask);
	if (run->is_doomed)
		DL_DELETE(run->driver->doomed, run);
	else
		HASH_DEL(run->driver->runs, run);
	free(run);
}

void
ql_docker_run_doom(struct ql_docker_run *run)
{
	if (run->is_doomed)
		return;
	let_go(run);
	HASH_DEL(run->driver->runs, run);
	run->is_doomed = true;
	DL_APPEND(run->driver->doomed, run);
	if (run->purging || !run->news.bits)
		ql_desk_hush(&run->driver->desk, &run->news);
}

bool
ql_docker_run_has_ended(const struct ql_docker_run *run)
{
	return run->record.phase >= QL_DOCKER_EXITED;
}

/* ---- telling ---- */

static void
fill_facts(struct ql_docker_run *run)
{
	const struct ql_docker_record *record = &run->record;
	run->news.facts = (struct ql_event){
		.incarnation = run->incarnation,
		.epoch = run->news.facts.epoch,
		.exit_code = record->exit_code,
		.exit_signal = record->exit_signal,
		.sent = (enum ql_rung)record->sent,
		.flags = record->flags,
		.unasked = record->unasked,
		.passed = record->passed,
		.output_bytes = record->output_bytes,
		.output_truncated = record->output_truncated,
		.checkpoint_bytes = record->checkpoint_bytes,
	};
	ql_str_copy(run->news.text, sizeof(run->news.text), record->text);
	snprintf(run->news.container, sizeof(run->news.container), "%.12s", record->id);
}

void
ql_docker_run_tell(struct ql_docker_run *run, enum ql_event_kind kind)
{
	fill_facts(run);
	if (!run->purging)
		ql_desk_tell(&run->driver->desk, &run->news, kind);
}

void
ql_docker_run_tell_truth(struct ql_docker_run *run)
{
	bool lost = run->record.flags & QL_RUN_LOST;
	switch ((enum ql_docker_phase)run->record.phase) {
	case QL_DOCKER_MAKING:
		break;
	case QL_DOCKER_HELD:
		ql_docker_run_tell(run, QL_EVENT_HELD);
		break;
	case QL_DOCKER_RELEASED:
		ql_docker_run_tell(run, QL_EVENT_RUNNING);
		if (run->record.flags & QL_RUN_STUCK)
			ql_docker_run_tell(run, QL_EVENT_STUCK);
		break;
	case QL_DOCKER_EXITED:
		if (!lost)
			ql_docker_run_tell(run, QL_EVENT_EXITED);
		break;
	case QL_DOCKER_GONE:
		ql_docker_run_tell(run, lost ? QL_EVENT_LOST : QL_EVENT_EXITED);
		ql_docker_run_tell(run, QL_EVENT_GONE);
		break;
	case QL_DOCKER_FAILED:
		ql_docker_run_tell(run, QL_EVENT_FAILED_START);
		break;
	}
}

/* What can't be written is known until the server ends, and looked for again after that. */
static void
move(struct ql_docker_run *run, enum ql_docker_phase phase)
{
	struct ql_err e;
	run->record.phase = (int32_t)phase;
	(void)!ql_docker_folder_save(run, &e);
}

/* ---- its processor time ---- */

/* Read while its cgroup is there; one that died while the server was away is not known of. */
static void
meter(struct ql_docker_run *run)
{
	struct ql_news *news = &run->news;
	int64_t cpu_us = run->process ? ql_docker_process_cpu_us(run->process) : 0;
	if (run->end && run->end->cpu_us > cpu_us)
		cpu_us = run->end->cpu_us;
	if (cpu_us > news->cpu_us)
		news->cpu_us = cpu_us;
	if (run->asked && run->asked_cpu_us >= 0 && news->cpu_us > run->asked_cpu_us)
		news->cpu_burnt_us = news->cpu_us - run->asked_cpu_us;
}

void
ql_docker_run_asked(struct ql_docker_run *run)
{
	if (run->asked)
		return;
	meter(run);
	run->asked = true;
	run->asked_cpu_us = run->news.cpu_us ? run->news.cpu_us : -1;
}

/* ---- its life ---- */

static void
died(void *arg)
{
	meter(arg);
	ql_docker_run_write_up(arg);
}

static int
hold_process(struct ql_docker_run *run)
{
	drop_process(run);
	struct ql_docker_process *process = ql_docker_process_find(run->record.id, run->state.pid);
	if (!process)
		return -1;
	run->process = process;
	run->driver->parts++;
	if (ql_docker_process_watch(process, run->driver->runtime.loop, died, run) == 0)
		return 0;
	drop_process(run);
	return -1;
}

static void
look_again(struct ql_docker_later *later)
{
	ql_docker_run_write_up(QL_OWNER(later, struct ql_docker_run, later));
}

/* A stream that ends while the program runs was cut: the daemon is away, or was for a moment. */
static void
read_all(struct ql_docker_logs *logs, int status)
{
	struct ql_docker_run *run = logs->owner;
	run->following = false;
	run->drained = !status;
	if (run->exit_known) {
		look_at_end(run);
	} else if (!run->ending) {
		run->later.ring = look_again;
		ql_docker_later(run->driver->docker, &run->later, QL_DOCKER_LOOK_MAX_MS);
	}
}

static int
open_keep(struct ql_docker_run *run)
{
	struct ql_err e;
	const struct ql_docker_record *record = &run->record;
	if (run->keep.path)
		return 0;
	return ql_keep_start(&run->keep, record->keep_dir, record->output_max, &e);
}

/* From where it was left, if it was read before. */
static void
read_output(struct ql_docker_run *run, bool follow)
{
	if (run->following || open_keep(run))
		return;
	run->logs.docker = run->driver->docker;
	run->logs.keep = &run->keep;
	run->logs.skip = run->keep.bytes;
	run->logs.done = read_all;
	run->logs.owner = run;
	run->drained = false;
	run->following = ql_docker_logs_start(&run->logs, run->record.id, false, follow) == 0;
}

/* Without its process in hand it is Docker that has to be asked, again and again. */
void
ql_docker_run_follow(struct ql_docker_run *run)
{
	if (!run->process && hold_process(run)) {
		run->later.ring = look_again;
		ql_docker_later(run->driver->docker, &run->later, QL_DOCKER_LOOK_MAX_MS);
	}
	read_output(run, true);
}

/* ---- its end ---- */

static void
come_back(struct ql_docker_run *run, void (*ring)(struct ql_docker_later *later))
{
	int64_t in_ms = QL_DOCKER_LOOK_MS;
	for (int i = 0; i < run->tries && in_ms < QL_DOCKER_LOOK_MAX_MS; i++)
		in_ms *= 2;
	run->tries++;
	run->later.ring = ring;
	ql_docker_later(run->driver->docker, &run->later, in_ms);
}

static void
gone(struct ql_docker_run *run, int32_t unasked, int32_t passed)
{
	run->record.unasked = unasked;
	run->record.passed = passed | 1 << QL_CHECK_RUNTIME;
	move(run, QL_DOCKER_GONE);
	ql_docker_never(run->driver->docker, &run->stuck);
	run->ending = false;
	drop_process(run);
	drop_end(run);
	ql_docker_run_tell_truth(run);
	ql_docker_act_gone(run);
}

static void prove_again(struct ql_docker_later *later);

static void
prove(struct ql_docker_run *run)
{
	struct ql_proof proof = {0};
	int32_t kernel = 1 << QL_CHECK_PIDFD | 1 << QL_CHECK_CGROUP | 1 << QL_CHECK_PIDNS;
	struct ql_docker_process *left = NULL;
	if (run->process)
		ql_docker_process_prove(run->process, &proof);
	else
		left = ql_docker_process_find(run->record.id, 0);
	if (run->process ? ql_proof_holds(&proof) : !left && errno == ESRCH) {
		gone(run, proof.unasked & kernel, proof.passed & kernel);
		return;
	}
	if (left)
		ql_docker_process_free(left, NULL, NULL);
	ql_str_copy(run->record.text, sizeof(run->record.text), proof.text);
	come_back(run, prove_again);
}

static void
prove_again(struct ql_docker_later *later)
{
	prove(QL_OWNER(later, struct ql_docker_run, later));
}

static void
judge_exit(struct ql_docker_run *run)
{
	struct ql_docker_record *record = &run->record;
	int code = run->state.exit_code;
	record->exit_signal =
		code > BY_SIGNAL && code <= BY_SIGNAL + SIGRTMAX ? code - BY_SIGNAL : 0;
	record->exit_code = record->exit_signal ? -1 : code;
	if (run->state.oom)
		record->flags |= QL_RUN_OOM;
	if (code == EXIT_STOPPED || ql_docker_folder_noticed(run))
		record->flags |= QL_RUN_SAID_STOPPED;
}

static void
ended(struct ql_docker_run *run)
{
	run->record.output_bytes = run->keep.bytes;
	run->record.output_truncated = run->keep.truncated;
	ql_docker_never(run->driver->docker, &run->stuck);
	ql_docker_never(run->driver->docker, &run->later);
	ql_docker_stop(&run->second);
	ql_docker_stop(&run->logs.call);
	run->following = false;
	ql_keep_close(&run->keep);
	if (!(run->record.flags & QL_RUN_LOST))
		judge_exit(run);
	move(run, QL_DOCKER_EXITED);
	run->tries = 0;
	if (!(run->record.flags & QL_RUN_LOST))
		ql_docker_run_tell(run, QL_EVENT_EXITED);
	prove(run);
}

static void
drained_late(struct ql_docker_later *later)
{
	struct ql_docker_run *run = QL_OWNER(later, struct ql_docker_run, stuck);
	run->keep.truncated |= !run->drained;
	ended(run);
}

/*
 * The last of its output. A stream that is followed may end without the last of it (Docker 20.10
 * was seen to), so it is read once more, from where it was left, now that all of it is there.
 */
static void
look_at_end(struct ql_docker_run *run)
{
	bool last = run->reread || run->keep.truncated || run->record.flags & QL_RUN_LOST;
	if (run->following)
		return;
	if (!last) {
		run->reread = true;
		read_output(run, false);
	}
	if (!run->following)
		drained_late(&run->stuck);
}

static bool
is_dead(const struct ql_docker_run *run)
{
	if (run->end && run->end->over)
		return true;
	return run->process && !ql_process_lives(run->process->pid, run->process->start);
}

static void
end_looked(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	bool lost = status && call->err.code == QL_E_NOT_FOUND;
	if (!lost && (status || ql_docker_state_read(call->json, &run->state))) {
		come_back(run, look_again);
		return;
	}
	if (!lost && run->state.running && is_dead(run)) {
		come_back(run, look_again); /* Docker learns of it after us */
		return;
	}
	if (!lost && run->state.running) {
		ql_docker_run_follow(run);
		return;
	}
	run->ending = true;
	run->record.flags |= lost ? QL_RUN_LOST : 0;
	if (lost)
		ql_str_copy(run->record.text, sizeof(run->record.text),
			"Its container was removed by somebody else");
	run->exit_known = true;
	run->stuck.ring = drained_late;
	ql_docker_later(run->driver->docker, &run->stuck, QL_DOCKER_DRAIN_MS);
	look_at_end(run);
}

void
ql_docker_run_write_up(struct ql_docker_run *run)
{
	if (ql_docker_run_has_ended(run) || run->second.docker || run->exit_known)
		return;
	if (!run->ending && is_dead(run)) {
		run->ending = true;
		run->tries = 0;
	}
	run->second.done = end_looked;
	if (ql_docker_ask(run->driver->docker, &run->second, "GET", NULL, QL_DOCKER_CALL_MS,
		    "/containers/%s/json", run->record.id))
		come_back(run, look_again);
}

void
ql_docker_run_not_startable(struct ql_docker_run *run, const char *why)
{
	if (open_keep(run) == 0) {
		ql_keep_add(&run->keep, 2, why, strlen(why));
		ql_keep_add(&run->keep, 2, "\n", 1);
	}
	run->record.output_bytes = run->keep.bytes;
	ql_keep_close(&run->keep);
	run->record.exit_code = EXIT_NOT_FOUND;
	gone(run, 0, 0);
}

/* ---- killing it ---- */

static void
still_there(struct ql_docker_later *later)
{
	struct ql_docker_run *run = QL_OWNER(later, struct ql_docker_run, stuck);
	const struct ql_err *why = run->end ? &run->end->why : NULL;
	run->record.flags |= QL_RUN_STUCK;
	ql_str_copy(run->record.text, sizeof(run->record.text),
		why && why->code ? why->text : "It was killed, and is not proven dead yet");
	ql_docker_run_tell(run, QL_EVENT_STUCK);
}

static void
ended_unstarted(struct ql_docker_run *run, int32_t unasked)
{
	run->record.flags |= QL_RUN_UNSTARTED;
	run->record.exit_code = -1;
	run->record.exit_signal = run->record.sent == QL_RUNG_TERMINATE ? SIGTERM : SIGKILL;
	gone(run, unasked, 0);
}

static void
kill_ended(struct ql_docker_end *end)
{
	struct ql_docker_run *run = end->owner;
	int32_t unasked = end->unasked;
	meter(run);
	bool held = run->record.phase <= QL_DOCKER_HELD;
	if (held)
		ended_unstarted(run, unasked & ~(1 << QL_CHECK_HOST));
	else
		ql_docker_run_write_up(run);
}

int
ql_docker_run_kill(struct ql_docker_run *run, struct ql_err *e)
{
	if (run->end)
		return 0;
	struct ql_docker_end *end = calloc(1, sizeof(*end));
	if (!end)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to kill a run");
	end->docker = run->driver->docker;
	end->ended = kill_ended;
	end->owner = run;
	end->parts = &run->driver->parts;
	end->part_closed = ql_docker_runtime_part_closed;
	end->parts_owner = run->driver;
	run->end = end;
	if (!run->ending) {
		run->stuck.ring = still_there;
		ql_docker_later(run->driver->docker, &run->stuck, QL_DOCKER_STUCK_MS);
	}
	ql_docker_end_start(end, run->record.id);
	return 0;
}
