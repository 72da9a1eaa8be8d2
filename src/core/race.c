#include "core/move.h"

/* How it ended, and what must be true of the run, as the columns of race.def name them. */
enum end { END_ANY, END_ZERO, END_CODE, END_SIGNAL };

enum fact {
	FACT_ALWAYS,
	FACT_UNSTARTED,
	FACT_REVOKED,
	FACT_HELD_STOPPED,
	FACT_LOST,
	FACT_LOST_STOPPED,
	FACT_WRITTEN,
	FACT_SAID,
	FACT_OOM,
	FACT_CATCHES,
};

#define EXIT_SAYS_STOPPED 75 /* EX_TEMPFAIL */

/* FINISH stands for «no outcome of the stop»: the run keeps its own status. */
#define QL_OUTCOME_FINISH QL_OUTCOME_NONE

static const struct row {
	enum ql_rung weakest;
	enum ql_rung strongest;
	enum end end;
	enum fact fact;
	enum ql_outcome outcome;
	const char *sentence;
} rows[] = {
#define X(row, weakest, strongest, end, fact, ruling, sentence) \
	{QL_RUNG_##weakest, QL_RUNG_##strongest, END_##end, FACT_##fact, QL_OUTCOME_##ruling, \
		sentence},
#include "core/race.def"
#undef X
};

static bool
ended_so(const struct ql_run *run, enum end end)
{
	switch (end) {
	case END_ZERO:
		return !run->exit_signal && run->exit_code == 0;
	case END_CODE:
		return !run->exit_signal;
	case END_SIGNAL:
		return run->exit_signal;
	case END_ANY:
		break;
	}
	return true;
}

static bool
said_stopped(const struct ql_run *run)
{
	bool by_exit = !run->exit_signal && run->exit_code == EXIT_SAYS_STOPPED;
	return by_exit || run->flags & QL_RUN_SAID_STOPPED;
}

static bool
is_so(const struct ql_run *run, enum fact fact)
{
	bool stopped = run->flags & QL_RUN_UNDER_STOP;
	switch (fact) {
	case FACT_UNSTARTED:
		return run->flags & QL_RUN_UNSTARTED;
	case FACT_REVOKED:
		return run->flags & QL_RUN_REVOKED;
	case FACT_HELD_STOPPED:
		return run->flags & QL_RUN_UNSTARTED && (stopped || run->flags & QL_RUN_REVOKED);
	case FACT_LOST:
		return run->flags & QL_RUN_LOST;
	case FACT_LOST_STOPPED:
		return run->flags & QL_RUN_LOST && stopped;
	case FACT_WRITTEN:
		return run->flags & QL_RUN_WRITTEN;
	case FACT_SAID:
		return said_stopped(run);
	case FACT_OOM:
		return run->flags & QL_RUN_OOM;
	case FACT_CATCHES:
		return run->flags & QL_RUN_CATCHES_TERM;
	case FACT_ALWAYS:
		break;
	}
	return true;
}

static bool
fits(const struct row *row, const struct ql_run *run)
{
	return (int)row->weakest <= run->sent && run->sent <= (int)row->strongest &&
	       ended_so(run, row->end) && is_so(run, row->fact);
}

static enum ql_cause
failure_of(const struct ql_run *run)
{
	if (run->flags & QL_RUN_LOST)
		return QL_CAUSE_LOST;
	if (run->flags & QL_RUN_OOM)
		return QL_CAUSE_OOM;
	return QL_CAUSE_EXIT;
}

struct ql_ruling
ql_race_judge(const struct ql_run *run)
{
	const struct row *row = rows;
	while (!fits(row, run))
		row++; /* the last two rows fit whatever gets there */
	struct ql_ruling ruling = {
		.status = QL_STATUS_CANCELLED, .outcome = row->outcome, .sentence = row->sentence};
	bool unknown = run->flags & (QL_RUN_LOST | QL_RUN_UNSTARTED);
	if (ruling.outcome)
		return ruling;
	ruling.outcome = QL_OUTCOME_FINISHED_FIRST;
	ruling.status =
		!unknown && ended_so(run, END_ZERO) ? QL_STATUS_SUCCEEDED : QL_STATUS_FAILED;
	if (ruling.status == QL_STATUS_FAILED)
		ruling.cause = failure_of(run);
	return ruling;
}
