/*
 * `quell run` after the submission: the evaluation's two streams, its end, and the Ctrl-C ladder,
 * all under way at once on one thread.
 *
 * Three requests are kept open: the output of each stream (followed), and the evaluation itself
 * (held until it is over). When the server goes away each is tried again from the byte where it
 * stood, for QL_SESSION_AWAY_MS. Once the evaluation is over, each stream is read once more to its
 * end, so that not a byte is missing. Output waits in a buffer until its descriptor takes it, so
 * that a reader who is slow doesn't keep a signal from being heard.
 */
#ifndef QL_CLI_SESSION_H
#define QL_CLI_SESSION_H

#include <jansson.h>

#include "cli/client.h"

#define QL_SESSION_AWAY_MS 10000 /* how long a server that went away is tried again */
#define QL_SESSION_RETRY_MS 250 /* between two tries */
#define QL_SESSION_DRAIN_MS 5000 /* how long streams may take to end by themselves after the end */
#define QL_SESSION_PIECE 4096 /* bytes of one write: what a pipe that is ready takes at once */

/* Before the submission: from here on Ctrl-C is heard by ql_session_run. -1 with e. */
int ql_session_catch(int *ret_signal_fd, struct ql_err *e);

struct ql_session_config {
	struct ql_client *client;
	const char *id;
	int signal_fd; /* of ql_session_catch */
	bool output; /* show both streams */
};

/*
 * Returns 0 with the evaluation as it ended (settled or unconfirmed), which the caller releases;
 * or -1 with e, when the server can't be reached any more, standard output was closed, or the user
 * has left. The evaluation then goes on.
 */
int
ql_session_run(const struct ql_session_config *config, json_t **ret_evaluation, struct ql_err *e);

#endif
