#include "runtime/sandbox/wire.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define QL_WIRE_REASON 300 /* bytes of a reason: escaped, they still fit into a notice */

/* ---- spec ---- */

static void
add(struct ql_buf *buf, const char *key, const char *value)
{
	ql_buf_addf(buf, "%s=%s", key, value);
	ql_buf_add(buf, "", 1);
}

static void
add_number(struct ql_buf *buf, const char *key, int64_t value)
{
	ql_buf_addf(buf, "%s=%lld", key, (long long)value);
	ql_buf_add(buf, "", 1);
}

static void
add_each(struct ql_buf *buf, const char *key, const char *const *values)
{
	for (; values && *values; values++)
		add(buf, key, *values);
}

static int
check_launch(const struct ql_launch *launch, struct ql_err *e)
{
	if (!launch->argv || !launch->argv[0])
		return ql_fail(e, QL_E_INVALID, "A run needs a command");
	if (launch->code && !launch->code_name)
		return ql_fail(e, QL_E_INVALID, "The program's text needs a name");
	if (!launch->keep_dir || launch->keep_dir[0] != '/')
		return ql_fail(e, QL_E_INVALID, "A run needs an absolute folder for its output");
	if (launch->checkpoint && launch->checkpoint[0] != '/')
		return ql_fail(e, QL_E_INVALID, "The path of a checkpoint must be absolute");
	return 0;
}

int
ql_wire_spec(const struct ql_wire_place *place, const struct ql_launch *launch,
	struct ql_buf *ret_spec, struct ql_err *e)
{
	if (check_launch(launch, e))
		return -1;
	ret_spec->limit = QL_SPEC_MAX;
	char name[17];
	snprintf(name, sizeof(name), "%016llx", (unsigned long long)place->incarnation);
	add(ret_spec, QL_SPEC_INCARNATION, name);
	add(ret_spec, QL_SPEC_INSTANCE, place->instance);
	add(ret_spec, QL_SPEC_EVAL_ID, launch->eval_id);
	add_number(ret_spec, QL_SPEC_ATTEMPT, launch->attempt);
	add_each(ret_spec, QL_SPEC_ARGV, launch->argv);
	add_each(ret_spec, QL_SPEC_ENV, launch->env);
	if (launch->code)
		add(ret_spec, QL_SPEC_CODE_NAME, launch->code_name);
	add(ret_spec, QL_SPEC_KEEP, launch->keep_dir);
	if (launch->checkpoint)
		add(ret_spec, QL_SPEC_CHECKPOINT, launch->checkpoint);
	add_number(ret_spec, QL_SPEC_OUTPUT_MAX, launch->output_max);
	add_number(ret_spec, QL_SPEC_MEMORY_MB, launch->memory_mb);
	add_number(ret_spec, QL_SPEC_PIDS, launch->pids);
	add_number(ret_spec, QL_SPEC_CPU_MILLI, (int64_t)(launch->cpus * 1000 + 0.5));
	if (place->uid)
		add_number(ret_spec, QL_SPEC_UID, place->uid);
	if (ret_spec->failed)
		return ql_fail(e, QL_E_INVALID, "Command and environment take more than %d bytes",
			QL_SPEC_MAX);
	return 0;
}

/* ---- asks ---- */

/* Cut at the end of a character, or JSON would not take it. */
static json_t *
reason_json(const char *reason)
{
	if (!reason)
		return json_null();
	json_t *text = json_stringn(reason, ql_str_fit(reason, QL_WIRE_REASON));
	return text ? text : json_null();
}

static json_t *
deadline_json(int64_t deadline)
{
	char text[QL_TIME_TEXT];
	if (!deadline)
		return json_null();
	ql_time_text(deadline, text);
	return json_string(text);
}

/* Out of memory leaves the text empty: the file's appearance is the notice. */
static void
fill_notice(const struct ql_notice *notice, struct ql_runner_ask *ask)
{
	json_t *json = json_pack("{s:o, s:o}", "reason", reason_json(notice->reason), "deadline",
		deadline_json(notice->deadline));
	size_t len = json ? json_dumpb(json, ask->text, sizeof(ask->text), 0) : 0;
	ask->text_len = len <= sizeof(ask->text) ? (uint32_t)len : 0;
	json_decref(json);
}

void
ql_wire_ask(enum ql_runner_ask_kind kind, uint64_t incarnation, int32_t epoch,
	const struct ql_notice *notice, struct ql_runner_ask *ret_ask)
{
	memset(ret_ask, 0, sizeof(*ret_ask));
	ret_ask->magic = QL_RUNNER_MAGIC;
	ret_ask->version = QL_RUNNER_VERSION;
	ret_ask->kind = (uint16_t)kind;
	ret_ask->incarnation = incarnation;
	ret_ask->epoch = epoch;
	if (kind == QL_ASK_NOTICE)
		fill_notice(notice, ret_ask);
}

enum ql_runner_ask_kind
ql_wire_ask_kind(enum ql_act_kind act)
{
	switch (act) {
	case QL_ACT_RELEASE:
		return QL_ASK_RELEASE;
	case QL_ACT_NOTICE:
		return QL_ASK_NOTICE;
	case QL_ACT_TERMINATE:
		return QL_ASK_TERMINATE;
	case QL_ACT_KILL:
		return QL_ASK_KILL;
	case QL_ACT_START:
	case QL_ACT_INSPECT:
		return QL_ASK_INSPECT;
	case QL_ACT_SALVAGE:
		return QL_ASK_SALVAGE;
	case QL_ACT_FORGET:
		return QL_ASK_FORGET;
	default:
		return 0;
	}
}

/* ---- tells ---- */

static bool
is_within(int64_t value, int64_t min, int64_t max)
{
	return value >= min && value <= max;
}

static bool
is_truth(const struct ql_runner_truth *truth)
{
	const int32_t checks = (1 << QL_CHECK_COUNT) - 1;
	return is_within(truth->phase, QL_RUNNER_STARTING, QL_RUNNER_FAILED) &&
	       is_within(truth->sent, QL_SENT_NONE, QL_SENT_KILL) &&
	       is_within(truth->exit_code, -1, 255) && is_within(truth->exit_signal, 0, 64) &&
	       is_within(truth->unasked, 0, checks) && is_within(truth->passed, 0, checks) &&
	       truth->pid >= 0 && truth->output_bytes >= 0 && truth->checkpoint_bytes >= -1 &&
	       truth->cpu_us >= 0 && is_within(truth->cpu_burnt_us, 0, truth->cpu_us);
}

int
ql_wire_tell(const void *bytes, size_t len, uint64_t incarnation, struct ql_runner_tell *ret_tell,
	struct ql_err *e)
{
	struct ql_runner_tell tell;
	if (len != sizeof(tell))
		return ql_fail(e, QL_E_SYNTAX,
			"The supervisor sent %zu bytes where a message has %zu", len, sizeof(tell));
	memcpy(&tell, bytes, sizeof(tell));
	if (tell.magic != QL_RUNNER_MAGIC || tell.version != QL_RUNNER_VERSION)
		return ql_fail(e, QL_E_SYNTAX,
			"The supervisor speaks version %u of the wire, the server speaks %u",
			tell.version, QL_RUNNER_VERSION);
	if (tell.incarnation != incarnation)
		return ql_fail(e, QL_E_SYNTAX, "The supervisor answers for another run: %016llx",
			(unsigned long long)tell.incarnation);
	if (!is_within(tell.kind, QL_TELL_ACK, QL_TELL_OUTPUT) || !is_truth(&tell.truth) ||
		!memchr(tell.text, 0, sizeof(tell.text)))
		return ql_fail(e, QL_E_SYNTAX, "The supervisor sent a message out of range");
	*ret_tell = tell;
	return 0;
}

bool
ql_wire_sighting(const struct ql_runner_tell *tell, enum ql_event_kind *ret_kind)
{
	switch ((enum ql_runner_tell_kind)tell->kind) {
	case QL_TELL_HELD:
		*ret_kind = QL_EVENT_HELD;
		return true;
	case QL_TELL_FAILED_START:
		*ret_kind = QL_EVENT_FAILED_START;
		return true;
	case QL_TELL_RUNNING:
		*ret_kind = QL_EVENT_RUNNING;
		return true;
	case QL_TELL_EXITED:
		*ret_kind = tell->truth.flags & QL_RUNNER_LOST ? QL_EVENT_LOST : QL_EVENT_EXITED;
		return true;
	case QL_TELL_STUCK:
		*ret_kind = QL_EVENT_STUCK;
		return true;
	case QL_TELL_GONE:
		*ret_kind = QL_EVENT_GONE;
		return true;
	case QL_TELL_SALVAGED:
		*ret_kind = QL_EVENT_SALVAGED;
		return true;
	case QL_TELL_ACK:
	case QL_TELL_REFUSED:
	case QL_TELL_OUTPUT:
		break;
	}
	return false;
}

bool
ql_wire_over(const struct ql_runner_truth *truth)
{
	return truth->phase == QL_RUNNER_GONE || truth->phase == QL_RUNNER_FAILED;
}

static const struct {
	int32_t wire;
	int32_t core;
} flags[] = {
	{QL_RUNNER_CATCHES_TERM, QL_RUN_CATCHES_TERM},
	{QL_RUNNER_SAID_STOPPED, QL_RUN_SAID_STOPPED},
	{QL_RUNNER_OOM, QL_RUN_OOM},
	{QL_RUNNER_LOST, QL_RUN_LOST},
	{QL_RUNNER_UNSTARTED, QL_RUN_UNSTARTED},
	{QL_RUNNER_STUCK, QL_RUN_STUCK},
};

static const enum ql_rung rungs[] = {
	[QL_SENT_NONE] = QL_RUNG_NONE,
	[QL_SENT_NOTICE] = QL_RUNG_NOTICE,
	[QL_SENT_TERMINATE] = QL_RUNG_TERMINATE,
	[QL_SENT_KILL] = QL_RUNG_KILL,
};

void
ql_wire_facts(uint64_t incarnation, const struct ql_runner_truth *truth, struct ql_event *ret_facts)
{
	*ret_facts = (struct ql_event){
		.incarnation = incarnation,
		.exit_code = truth->exit_code,
		.exit_signal = truth->exit_signal,
		.sent = rungs[truth->sent],
		.unasked = truth->unasked,
		.passed = truth->passed,
		.output_bytes = truth->output_bytes,
		.output_truncated = (truth->flags & QL_RUNNER_TRUNCATED) != 0,
		.checkpoint_bytes = truth->checkpoint_bytes,
	};
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		ret_facts->flags |= truth->flags & flags[i].wire ? flags[i].core : 0;
}
