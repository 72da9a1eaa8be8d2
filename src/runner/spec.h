/* What to run: the spec file of the run folder, read once, before anything is made. */
#ifndef QL_RUNNER_SPEC_H
#define QL_RUNNER_SPEC_H

#include <stdint.h>

#include "base/err.h"

#define QL_SPEC_WORDS 2048 /* strings of argv, and of env */

/* Owns its text; everything else points into it. */
struct ql_spec {
	char *text;
	uint64_t incarnation;
	const char *instance;
	const char *eval_id;
	const char *attempt;
	const char *code_name; /* or NULL */
	const char *keep; /* absolute */
	const char *checkpoint; /* absolute, or NULL */
	const char *cgroup; /* absolute, or NULL */
	int64_t output_max;
	int64_t memory_mb;
	int64_t pids;
	int64_t cpu_milli;
	int64_t linger_ms; /* 0 = QL_RUNNER_LINGER_MS */
	int64_t uid; /* 0 = the server's own */
	const char *argv[QL_SPEC_WORDS + 1]; /* NULL-terminated */
	const char *env[QL_SPEC_WORDS + 1];
	int argc;
	int envc;
};

int ql_spec_read(int dir, struct ql_spec *ret_spec, struct ql_err *e);
void ql_spec_done(struct ql_spec *spec);

#endif
