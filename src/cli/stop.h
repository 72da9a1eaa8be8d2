/*
 * What `cancel` and `kill` share: the request, the waiting for its end, and how it is told.
 *
 * A stop that was accepted is not a stop that happened. What is printed is what the cancellation
 * says, and with --wait anything but the proven end is a failure.
 */
#ifndef QL_CLI_STOP_H
#define QL_CLI_STOP_H

#include <jansson.h>

#include "cli/cmd.h"
#include "core/words.h"

#define QL_STOP_OPTIONS \
	{"wait", 'w', "DURATION", "wait so long for the proof that it stopped"}, \
		{"confirm", 0, NULL, "all are meant: lifts the brake on many stops"}, \
	{ \
		"reason", 'r', "TEXT", "why, for the record" \
	}

/*
 * Sends body, with --wait and --reason added, as a cancel or kill of each operand; or of what
 * --selector selects, as a batch. Takes the body over.
 */
int ql_stop_each(struct ql_cmd *cmd, enum ql_mode mode, json_t *body, struct ql_err *e);

#endif
