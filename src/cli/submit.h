/*
 * What `run` and `submit` share: the options that describe an evaluation, and the submission made
 * of them. The bounds are the server's, which names them; here stands only what it couldn't read.
 */
#ifndef QL_CLI_SUBMIT_H
#define QL_CLI_SUBMIT_H

#include <jansson.h>

#include "cli/cmd.h"

/* clang-format off */
#define QL_SUBMIT_OPTIONS \
	{"lang", 'l', "LANGUAGE", "python, bash, node or c; else FILE's ending tells"}, \
	{"id", 0, "ID", "its eval_id; else one is made"}, \
	{"env", 'e', "NAME=VALUE", "set a variable in its environment", .many = true}, \
	{"label", 0, "NAME=VALUE", "label it, for ls", .many = true}, \
	{"queue", 0, "NAME", "the queue it waits in"}, \
	{"priority", 0, "0-9", "9 goes first; 5 if not given"}, \
	{"timeout", 0, "DURATION", "terminate it when it has run for so long"}, \
	{"queue-ttl", 0, "DURATION", "drop it when it has waited for so long"}, \
	{"grace", 0, "DURATION", "between asking it to end and killing it"}, \
	{"memory", 'm', "SIZE", "the memory it may use, such as 512M"}, \
	{"pids", 0, "N", "how many processes it may have"}, \
	{"cpus", 0, "N", "how many processors it may use, such as 0.5"}, \
	{"session", 0, "NAME", "the session it belongs to"}, \
	{"supersedes", 0, "KEY", "cancel the older ones submitted with this key"}, \
	{"image", 0, "IMAGE", "the container image, where the server's runtime takes one"}
/* clang-format on */

/* The submission as JSON, from the options and FILE, `-` (stdin) or `-- CMD…`. */
int ql_submit_body(const struct ql_cmd *cmd, json_t **ret_body, struct ql_err *e);

#endif
