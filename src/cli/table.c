/* Every verb of the command line, in the order in which help lists them. */
#include "cli/cmd.h"

const struct ql_verb *const ql_verbs[] = {
	&ql_verb_run,
	&ql_verb_submit,
	&ql_verb_ls,
	&ql_verb_show,
	&ql_verb_logs,
	&ql_verb_timeline,
	&ql_verb_cancel,
	&ql_verb_kill,
	&ql_verb_batch,
	&ql_verb_receipt,
	&ql_verb_policy,
	&ql_verb_session,
	&ql_verb_webhook,
	&ql_verb_restore,
	&ql_verb_resume,
	&ql_verb_rm,
	&ql_verb_key,
	&ql_verb_audit,
	&ql_verb_doctor,
	&ql_verb_orphans,
	&ql_verb_completion,
	&ql_verb_help,
	&ql_verb_version,
	NULL,
};
