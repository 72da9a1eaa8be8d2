/*
 * Containers that others started for an evaluation: found by label or name, ended, kept from coming back,
 * proven gone. For brokers whose tasks run in containers that Quell did not start. One seam with
 * a real driver (docker) and a fake.
 *
 * An operation is a struct embedded in its caller's, done exactly once, as in runtime.h.
 */
#ifndef QL_RUNTIME_CONTAINERS_H
#define QL_RUNTIME_CONTAINERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/breaker.h"
#include "base/err.h"
#include "runtime/runtime.h"

#define QL_CONTAINER_ID 65
#define QL_CONTAINERS_MAX 64 /* of one evaluation */
#define QL_CONTAINER_NAME 128 /* bytes that are kept of its name, with a NUL */
#define QL_CONTAINER_IMAGE 256

struct ql_container {
	char id[QL_CONTAINER_ID]; /* full */
	char eval_id[129]; /* whose it is, by its label or name */
	char name[QL_CONTAINER_NAME];
	char image[QL_CONTAINER_IMAGE]; /* as it was asked for */
	char state[16]; /* the daemon's word: "running" "paused" "exited" … */
	bool running; /* its first process has not ended */
	int64_t started_at; /* unix ms; 0 = never */
	int64_t pid; /* on this host, 0 = not known */
	int exit_code; /* -1 = none */
	bool oom;
};

struct ql_containers;

struct ql_containers_op {
	enum ql_containers_kind {
		QL_CONTAINERS_FIND, /* all of one evaluation; eval_id NULL: all that have the label */
		QL_CONTAINERS_KILL, /* ends each of the evaluation, proves it, and then says so; what shows up meanwhile too */
		/* the logs of its stopped ones, and of those whose kill kept them, in keep_dir as an evaluation's output */
		QL_CONTAINERS_SALVAGE,
		QL_CONTAINERS_REMOVE, /* and removes them */
		/*
		 * ends one of them, as `container` and `started_at` name it, and proves it: 0 also when it is dead
		 * or gone already. One that was started anew since then is another: CONFLICT
		 */
		QL_CONTAINERS_END,
	} kind;
	const char *eval_id; /* the caller's until done */
	const char *container; /* END: its full id; so is this */
	int64_t started_at; /* END */
	/*
	 * SALVAGE; KILL, or NULL: their logs are read from before they are killed, as who waits for a
	 * container may remove it as soon as it is dead. The kill does not wait for them: a SALVAGE does.
	 */
	const char *keep_dir; /* made, in a folder that exists, when there is something to keep */
	int64_t output_max;
	int64_t timeout_ms;
	/* 0: found; or killed: proven that none runs; or removed. -1: err says what is not known or is left */
	void (*done)(struct ql_containers_op *op, int status);
	struct ql_err err;
	struct ql_container *found; /* FIND, KILL: freed by the driver after done */
	size_t count;
	int32_t unasked; /* KILL: bits 1 << enum ql_check of what could not be asked of one of them */
	int64_t output_bytes; /* SALVAGE */
	bool output_truncated;
	struct ql_ticket ticket;
	void *driver;
};

struct ql_containers_ops {
	const char *name; /* "docker", "fake" */
	void (*act)(struct ql_containers *containers, struct ql_containers_op *op);
	/* A container of this evaluation is ended on sight from now on / not any more. */
	void (*ban)(struct ql_containers *containers, const char *eval_id, bool on);
	/*
	 * Processor time, in us, of its containers that were started at `since` (unix ms) or later, dead ones
	 * too, as far as they were met here. 0: none was; -1: of some of them it is not known.
	 */
	int64_t (*cpu_us)(
		const struct ql_containers *containers, const char *eval_id, int64_t since);
	size_t (*health)(
		const struct ql_containers *containers, struct ql_dependency *ret, size_t size);
	void (*close)(struct ql_containers *containers, void (*closed)(void *arg), void *arg);
};

struct ql_containers {
	const struct ql_containers_ops *ops;
	uv_loop_t *loop;
	/* One of them started or ended, maybe, or is killed now: a hint to look. Set by whoever uses it. */
	void (*changed)(void *arg, const char *eval_id);
	void *changed_arg;
};

#endif
