/*
 * What goes over the wire to quell-runner and what comes back, as bytes: no descriptor is touched
 * here. What comes back is foreign input, also from a supervisor: it is taken only whole, of
 * our version, for the run that was asked, and with each field in its range.
 */
#ifndef QL_RUNTIME_SANDBOX_WIRE_H
#define QL_RUNTIME_SANDBOX_WIRE_H

#include "base/buf.h"
#include "core/step.h"
#include "runner/proto.h"
#include "runtime/runtime.h"

/* Where a run is to be made: what its launch doesn't say. */
struct ql_wire_place {
	uint64_t incarnation;
	const char *instance; /* [a-z0-9]{1,32} */
	int64_t uid; /* 0 = the server's own */
};

/*
 * Appends the spec file's content. QL_E_INVALID when the launch can't be told: no argv, code without
 * a name, a relative path, or more than QL_SPEC_MAX bytes.
 */
int ql_wire_spec(const struct ql_wire_place *place, const struct ql_launch *launch,
	struct ql_buf *ret_spec, struct ql_err *e);

/* notice is looked at for NOTICE alone; a long reason is cut. */
void ql_wire_ask(enum ql_runner_ask_kind kind, uint64_t incarnation, int32_t epoch,
	const struct ql_notice *notice, struct ql_runner_ask *ret_ask);

/* QL_E_SYNTAX for what is no message of this run; ret_tell is set on success only. */
int ql_wire_tell(const void *bytes, size_t len, uint64_t incarnation,
	struct ql_runner_tell *ret_tell, struct ql_err *e);

/* The sighting that this tell is; false for an ACK, a REFUSED or a hint. */
bool ql_wire_sighting(const struct ql_runner_tell *tell, enum ql_event_kind *ret_kind);

/* The run is over: nothing of it is left, and it may be forgotten. */
bool ql_wire_over(const struct ql_runner_truth *truth);

void ql_wire_facts(
	uint64_t incarnation, const struct ql_runner_truth *truth, struct ql_event *ret_facts);

/* The ask that an act is; 0 for one that is none. START of a run that is there is a look. */
enum ql_runner_ask_kind ql_wire_ask_kind(enum ql_act_kind act);

#endif
