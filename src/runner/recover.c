#include <fcntl.h>
#include <string.h>

#include "base/str.h"
#include "runner/supervisor.h"

/*
 * The exit was seen by nobody, unless the earlier supervisor came to write it down. Whether the
 * program ever ran is known: the release was written before it was given.
 */
static void
note_lost(struct ql_runner_truth *truth)
{
	if (truth->phase >= QL_RUNNER_EXITED)
		return;
	if (truth->phase == QL_RUNNER_HELD)
		truth->flags |= QL_RUNNER_UNSTARTED;
	truth->flags |= QL_RUNNER_LOST;
	truth->exit_code = -1;
	truth->exit_signal = 0;
	truth->phase = QL_RUNNER_EXITED;
}

void
ql_recover(struct ql_supervisor *sup)
{
	struct ql_runner_truth *truth = &sup->status.truth;
	sup->keep = sup->spec.keep ? open(sup->spec.keep, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	ql_cgroup_load(&sup->group, sup->status.cgroups);
	if (ql_end_is_final(sup))
		return;
	if (truth->phase == QL_RUNNER_STARTING)
		ql_end_fail(sup, "its supervisor died while it was set up");
	else
		note_lost(truth);
	if (sup->keep >= 0)
		truth->output_bytes = ql_output_measure(sup->keep);
	ql_end_kill(sup);
}
