/*
 * What verbs share: a request with --json in mind, many IDs, and waiting for the end.
 *
 * IDs and durations are the user's; sentences go through ql_cli_say, one a failure.
 */
#ifndef QL_CLI_CALL_H
#define QL_CLI_CALL_H

#include "cli/client.h"
#include "cli/cmd.h"

/* ql_client_call; with --json the answer's body goes to stdout, a problem's too. */
int ql_cmd_call(struct ql_cmd *cmd, const struct ql_call *call, struct ql_answer *ret_answer,
	struct ql_err *e);

/* The answer is printed by `print`, or as it came with --json. */
int ql_cmd_show(struct ql_cmd *cmd, const struct ql_call *call, void (*print)(const json_t *answer),
	struct ql_err *e);

/* A call on /api/eval/{id}, and what follows it ("/restore", or ""). A POST sends {}. */
int ql_cmd_call_eval(struct ql_cmd *cmd, const char *method, const char *id, const char *what,
	struct ql_answer *ret_answer, struct ql_err *e);

/*
 * Calls fn for each operand, on past failures, which are said with their ID. fn returns an exit
 * status (what it has said itself), or -1 with e. The answer is 0, or QL_EXIT_FAILED when one
 * failed; -1 with e as soon as the server can't be reached.
 */
typedef int(ql_each_fn)(struct ql_cmd *cmd, const char *id, void *arg, struct ql_err *e);
int ql_cmd_each(struct ql_cmd *cmd, ql_each_fn *fn, void *arg, struct ql_err *e);

/* Asks for one's next attempt ("/restore", "/resume") and says which it is. */
int ql_cmd_again(struct ql_cmd *cmd, const char *id, const char *what, struct ql_err *e);

/*
 * Reads the evaluation once it is settled or unconfirmed, or wait_ms have passed, whichever is
 * first. It prints nothing.
 */
int ql_client_await(struct ql_client *client, const char *id, int64_t wait_ms,
	struct ql_answer *ret_answer, struct ql_err *e);

bool ql_json_is_succeeded(const json_t *evaluation);
bool ql_json_is_failed(const json_t *evaluation);
bool ql_json_is_settled(const json_t *evaluation);

/* Settled, or unconfirmed: nothing more is waited for. */
bool ql_json_is_over(const json_t *evaluation);

/* Seconds for a body: whole ones as an integer. */
json_t *ql_json_seconds(int64_t ms);

/* The signal's number by its name ("SIGKILL"), or 0. */
int ql_signal_number(const char *name);

#endif
