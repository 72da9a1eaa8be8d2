#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/plan.h"

static int
drop_capabilities(struct ql_err *e)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) ||
		syscall(SYS_capset, &header, none))
		return ql_fail_sys(e, "drop the capabilities");
	return 0;
}

int
ql_bound_rights(struct ql_err *e)
{
	int cap = 0;
	while (prctl(PR_CAPBSET_DROP, cap) == 0)
		cap++;
	/* EINVAL: it is past the last one that this kernel has. */
	return cap && errno == EINVAL ? 0 : ql_fail_sys(e, "drop capability %d for ever", cap);
}

static int
take_uid(const struct ql_plan *plan, struct ql_err *e)
{
	if (plan->rootless)
		return 0;
	if (setgroups(0, NULL) || setresgid(plan->gid, plan->gid, plan->gid) ||
		setresuid(plan->uid, plan->uid, plan->uid))
		return ql_fail_sys(e, "become uid %u", plan->uid);
	return 0;
}

int
ql_drop_rights(const struct ql_plan *plan, struct ql_err *e)
{
	if (take_uid(plan, e) || drop_capabilities(e))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return ql_fail_sys(e, "set no_new_privs");
	return 0;
}
