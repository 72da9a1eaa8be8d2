/*
 * The wire between the server and quell-runner, the supervisor of one local run.
 *
 * The run folder <data>/run/<incarnation, 16 hex digits>/ (0700) is made by the server and holds
 *	lock	flock'ed by whoever answers for the run; see below
 *	spec	what to run: NUL-terminated "key=value" strings, see the keys below
 *	code	the program's text, when the spec has a code_name
 *	status	struct ql_runner_status, from before anything is made of the run; overwritten at
 *		each change: what happened is known even when the supervisor died after it. Not
 *		synced: after a host crash the boot id says that nothing of the run can be alive
 *	sock	a listening SOCK_SEQPACKET socket, from when the first connection was lost on
 *
 * Starting. The server opens `lock`, takes flock(LOCK_EX | LOCK_NB), and spawns, in a new session,
 *	quell-runner start <run folder>
 * with descriptor 3 = that lock and 4 = one end of a SOCK_SEQPACKET socketpair, which is the
 * first connection; 0-2 should be /dev/null. Then it closes both of its own. The lock goes over without a
 * window: it is free if and only if no supervisor lives. quell-runner closes every other
 * descriptor. End of file on the connection before anything was told: it could not even start,
 * and has started nothing.
 *
 * Coming back. A server that finds a run folder tries the lock. Taken: it connects to `sock` (a
 * refusal or no file: the supervisor is just starting or ending, or has not seen yet that it lost
 * the connection before; try again, lock first). Free: the
 * supervisor is dead, or ended after its linger; the server then spawns, with the same descriptors,
 *	quell-runner recover <run folder>
 * which never starts the program: it kills what is left of the run, proves it, and then answers
 * for it on the same wire, with flag LOST where the exit was not seen. What `status` already told as
 * final stays. A folder without status: nothing was ever made (FAILED_START).
 *
 * One connection counts, the newest: an older one is closed. A new connection, and INSPECT, is
 * answered by the whole truth as the tells that led to it, in order, each with the full
 * struct ql_runner_truth: HELD | RUNNING | FAILED_START | [RUNNING] EXITED, then STUCK or GONE,
 * then SALVAGED if it was done (nothing but the ACK while it is still being set up). So a server maps each tell
 * to one sighting and forgets nothing by missing one.
 *
 * Each ask names the incarnation and carries its epoch; it is answered by one ACK or REFUSED with the
 * same epoch and kind (after the truth, for INSPECT). An ask of another incarnation is
 * refused and does nothing. An ask with an epoch and kind that were taken over already is ACKed
 * again and, but for KILL and INSPECT, does nothing again.
 *
 *	RELEASE		a held run starts; refused once it has ended
 *	NOTICE		the notice file appears with `text` as its bytes; refused once the run has ended
 *	TERMINATE	SIGTERM, then SIGCONT, to the program's own first process; not to its children,
 *			which it may want to end in its own order
 *	KILL		SIGKILL to everything in the run; asked again it is done again
 *	SALVAGE		partial output and checkpoint are kept; refused before GONE; answered by SALVAGED
 *	FORGET		cgroups and the run folder's content are removed, the folder too, then the
 *			supervisor exits: ACK, then end of file. Refused before GONE or FAILED_START
 *
 * After the run's end a supervisor without a connection for QL_RUNNER_LINGER_MS salvages by itself,
 * writes its status and exits; `recover` answers for it from there.
 *
 * `quell-runner --probe` says in one line what this host lets runs be bounded by; a server asks once,
 * at its start, before its first run.
 *
 * Byte order and alignment are the host's: both ends are one build on one host, and a message
 * of another version or size is refused by closing the connection.
 */
#ifndef QL_RUNNER_PROTO_H
#define QL_RUNNER_PROTO_H

#include <stdint.h>

#define QL_RUNNER_MAGIC 0x31525151u /* "QQR1" */
#define QL_RUNNER_VERSION 2

#define QL_RUNNER_LOCK "lock"
#define QL_RUNNER_SPEC "spec"
#define QL_RUNNER_CODE "code"
#define QL_RUNNER_STATUS "status"
#define QL_RUNNER_SOCK "sock"

#define QL_RUNNER_LOCK_FD 3
#define QL_RUNNER_CONN_FD 4

/*
 * Keys of the spec. Required: incarnation, instance, eval_id, attempt, argv (at least one), keep,
 * output_max, memory_mb, pids, cpu_milli. A key that isn't here is refused.
 */
#define QL_SPEC_INCARNATION "incarnation" /* 16 hex digits */
#define QL_SPEC_INSTANCE "instance" /* [a-z0-9]{1,32}: this server; part of the cgroups' name */
#define QL_SPEC_EVAL_ID "eval_id"
#define QL_SPEC_ATTEMPT "attempt"
#define QL_SPEC_ARGV "argv" /* repeated, in order */
#define QL_SPEC_ENV "env" /* repeated: NAME=value, the submitter's own */
#define QL_SPEC_CODE_NAME "code_name" /* `code` appears under this name in the working folder */
/* absolute path of the keep folder, see base/keep.h; made, in one that is there, when it is needed */
#define QL_SPEC_KEEP "keep"
#define QL_SPEC_CHECKPOINT "checkpoint" /* absolute path of a tar to start from; may be absent */
#define QL_SPEC_OUTPUT_MAX "output_max" /* bytes */
#define QL_SPEC_MEMORY_MB "memory_mb"
#define QL_SPEC_PIDS "pids"
#define QL_SPEC_CPU_MILLI "cpu_milli" /* 1000 = one processor */
/*
 * As root: uid and gid to run as; without one the start fails, as nothing is run as root. Ordinary users
 * leave it out: runs have their uid.
 */
#define QL_SPEC_UID "uid"
/* v2 folder to put the run's cgroup in; absent = the server's own, see cgroup_down.c */
#define QL_SPEC_CGROUP "cgroup"

#define QL_SPEC_LINGER_MS "linger_ms" /* absent = QL_RUNNER_LINGER_MS */

#define QL_SPEC_MAX (8 << 20) /* bytes of a spec */
#define QL_RUNNER_TEXT 512
#define QL_RUNNER_NOTICE 2048 /* bytes of a notice file */

#define QL_RUNNER_LINGER_MS 600000
#define QL_RUNNER_STUCK_MS 1000 /* from SIGKILL, or the program's exit, to the first STUCK */
#define QL_RUNNER_RECOVER_MS 5000 /* the same in recover: zombies wait for the host's PID 1 there */
#define QL_RUNNER_WATCH_MS 500 /* between looks at a run that is stuck */

enum ql_runner_ask_kind {
	QL_ASK_RELEASE = 1,
	QL_ASK_NOTICE,
	QL_ASK_TERMINATE,
	QL_ASK_KILL,
	QL_ASK_INSPECT,
	QL_ASK_SALVAGE,
	QL_ASK_FORGET,
};

struct ql_runner_ask {
	uint32_t magic;
	uint16_t version;
	uint16_t kind; /* enum ql_runner_ask_kind */
	uint64_t incarnation;
	int32_t epoch;
	uint32_t text_len; /* NOTICE: bytes of text */
	char text[QL_RUNNER_NOTICE]; /* NOTICE: the notice file's content */
};

enum ql_runner_tell_kind {
	QL_TELL_ACK = 1, /* epoch, answers */
	QL_TELL_REFUSED, /* epoch, answers, text */
	QL_TELL_HELD, /* pid and the names by which it can be proven dead */
	QL_TELL_FAILED_START, /* text; nothing is left */
	QL_TELL_RUNNING,
	QL_TELL_EXITED,
	QL_TELL_STUCK, /* text: who, in which state, where in the kernel */
	QL_TELL_GONE,
	QL_TELL_SALVAGED, /* checkpoint_bytes */
	QL_TELL_OUTPUT, /* a hint: output_bytes grew; at most one per QL_RUNNER_HINT_MS */
};

#define QL_RUNNER_HINT_MS 50

/* The strongest that was sent before the exit; the supervisor looked just before each. */
enum ql_runner_sent {
	QL_SENT_NONE,
	QL_SENT_NOTICE,
	QL_SENT_TERMINATE,
	QL_SENT_KILL,
};

enum ql_runner_flag {
	QL_RUNNER_CATCHES_TERM = 1 << 0, /* SIGTERM was in its SigCgt just before it was sent */
	QL_RUNNER_SAID_STOPPED = 1 << 1, /* it removed its notice file, or exited with 75 */
	QL_RUNNER_OOM = 1 << 2, /* the cgroup's own counter says so */
	QL_RUNNER_LOST = 1 << 3, /* the supervisor died: no exit status is known */
	QL_RUNNER_UNSTARTED = 1 << 4, /* it was never released: the program never ran */
	QL_RUNNER_TRUNCATED = 1 << 5, /* output over output_max, or what the disk didn't take */
	QL_RUNNER_STUCK = 1 << 6, /* see text */
	QL_RUNNER_SALVAGED = 1 << 7,
};

enum ql_runner_phase {
	QL_RUNNER_STARTING,
	QL_RUNNER_HELD,
	QL_RUNNER_RUNNING,
	QL_RUNNER_EXITED,
	QL_RUNNER_GONE,
	QL_RUNNER_FAILED,
};

/* All that is known of the run. */
struct ql_runner_truth {
	int32_t phase; /* enum ql_runner_phase */
	int32_t flags; /* bits of enum ql_runner_flag */
	int32_t sent; /* enum ql_runner_sent; from EXITED on it doesn't change */
	int32_t exit_code; /* -1 = none */
	int32_t exit_signal; /* 0 = none */
	int32_t unasked; /* from GONE on: bits of enum ql_check that could not be asked */
	int32_t passed; /* from GONE on: those that said «nothing is left» */
	int32_t pid; /* of the program's first process, in the host's numbers; 0 = none */
	uint64_t pid_start; /* its start time, field 22 of /proc/PID/stat */
	uint64_t pidns; /* inode of the run's PID namespace */
	int64_t output_bytes;
	int64_t checkpoint_bytes; /* from SALVAGED on; -1 = the program left none */
	int64_t cpu_us; /* from GONE on: processor time of all of it; 0 = not known */
	int64_t cpu_burnt_us; /* and of it, after the first notice, SIGTERM or SIGKILL was asked for */
};

struct ql_runner_tell {
	uint32_t magic;
	uint16_t version;
	uint16_t kind; /* enum ql_runner_tell_kind */
	uint64_t incarnation;
	int32_t epoch; /* ACK, REFUSED: of the ask */
	int32_t answers; /* ACK, REFUSED: enum ql_runner_ask_kind */
	struct ql_runner_truth truth;
	char text[QL_RUNNER_TEXT]; /* a sentence, or empty */
};

#define QL_RUNNER_CGROUPS 4
#define QL_RUNNER_CGROUP_PATH 256

/* The status file: the truth, and by what the run can be found when its supervisor is dead. */
struct ql_runner_status {
	uint32_t magic;
	uint32_t version;
	uint64_t incarnation;
	struct ql_runner_truth truth;
	char text[QL_RUNNER_TEXT]; /* of FAILED_START or STUCK */
	char boot_id[40];
	int32_t init_pid; /* PID 1 of the run, in the host's numbers; 0 = not made yet */
	int32_t uid;
	uint64_t init_start;
	char cgroups[QL_RUNNER_CGROUPS][QL_RUNNER_CGROUP_PATH]; /* absolute; empty = none */
	uint64_t end; /* the magic again: all of it is there */
};

#endif
