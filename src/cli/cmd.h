/*
 * A verb is one const struct in a file of its own, verb_NAME.c. The parser, the help, the man page
 * and the completions all read that struct: nothing about a verb is said twice.
 *
 * A verb's run gets the parsed command. It returns the exit status, or -1 with e filled, which is
 * then printed as `quell: …` and exits as its code says.
 */
#ifndef QL_CLI_CMD_H
#define QL_CLI_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QL_VERBS_MAX 32

struct ql_client;
struct ql_cmd;
struct ql_beside;

struct ql_option {
	const char *name; /* "grace" is --grace */
	char letter; /* 'f' is -f; 0 = none */
	const char *value; /* what help calls its value; NULL = a switch */
	const char *help; /* one line */
	const char *words; /* the values that it takes, space-separated; NULL = any */
	bool many; /* may be given more than once */
};

/* What its operands are: for completion. */
enum ql_operand {
	QL_OPERAND_NONE,
	QL_OPERAND_ID,
	QL_OPERAND_FILE,
	QL_OPERAND_VERB,
	QL_OPERAND_WORD, /* one of operand_words */
};

struct ql_verb {
	const char *name;
	const char *operands; /* as the usage line shows them, or NULL */
	const char *brief; /* one line */
	const char *about; /* paragraphs, each ending in a newline, an empty line between */
	const struct ql_option *options; /* ended by a NULL name; NULL = none of its own */
	int min_operands;
	int max_operands; /* -1 = any number */
	enum ql_operand operand;
	const char *operand_words;
	const char *also; /* words that people try instead, space-separated; for the hint */
	bool local; /* it talks to no server: it has no --url, --key, --json */
	int failed; /* its exit status for every failure but wrong usage; 0 = the error's own */
	int (*run)(struct ql_cmd *cmd, struct ql_err *e);
};

struct ql_given {
	const struct ql_option *option;
	const char *value; /* NULL for a switch */
};

struct ql_cmd {
	const struct ql_verb *verb;
	const struct ql_verb *const *verbs; /* all there are, NULL-terminated */
	const struct ql_beside *beside; /* or NULL */
	int argc;
	char **argv; /* what followed the verb, ended by NULL; borrowed */
	struct ql_given *given; /* owned; in the order given */
	size_t given_count;
	const char **operands; /* owned */
	int operand_count;
	int dashes; /* how many operands stand before `--`; -1 = there was none */
	struct ql_client *client; /* owned; NULL for a local verb */
};

/* --url, --key, --json and --help of a verb that talks to the server; --help alone of a local. */
const struct ql_option *ql_options_common(const struct ql_verb *verb);

/* Reads cmd->argv. -1 with QL_E_USAGE. ql_cmd_done in either case. */
int ql_cmd_parse(struct ql_cmd *cmd, struct ql_err *e);
void ql_cmd_done(struct ql_cmd *cmd);

/* The option must stand in the verb's tables: asking for another one is a bug. */
bool ql_cmd_has(const struct ql_cmd *cmd, const char *name);

/* Its last value, or NULL when it wasn't given. */
const char *ql_cmd_text(const struct ql_cmd *cmd, const char *name);

/* These write nothing and return 0 when the option wasn't given; -1 with QL_E_USAGE. */
int ql_cmd_duration(const struct ql_cmd *cmd, const char *name, int64_t *ret_ms, struct ql_err *e);
int ql_cmd_whole(const struct ql_cmd *cmd, const char *name, int64_t min, int64_t max,
	int64_t *ret_value, struct ql_err *e);

const struct ql_verb *ql_verb_find(const struct ql_verb *const *verbs, const char *name);

/* The verbs of the command line itself, NULL-terminated. */
extern const struct ql_verb *const ql_verbs[];

extern const struct ql_verb ql_verb_run, ql_verb_submit, ql_verb_ls, ql_verb_show, ql_verb_logs,
	ql_verb_timeline, ql_verb_cancel, ql_verb_kill, ql_verb_batch, ql_verb_receipt,
	ql_verb_policy, ql_verb_session, ql_verb_webhook, ql_verb_restore, ql_verb_resume,
	ql_verb_rm, ql_verb_key, ql_verb_audit, ql_verb_doctor, ql_verb_orphans, ql_verb_completion,
	ql_verb_help, ql_verb_version;

#endif
