/*
 * GET /api/events. What changes is rendered once, into a ring of the latest events; each listener
 * reads from its own place in it, so that nothing is kept per listener. One that falls behind the
 * ring, or comes back with an id that is no longer in it, gets `reset` and goes on from now.
 *
 * A listener with a selector gets the events of what matches it as it is told: with each goes a copy
 * of what selectors ask of.
 *
 * An id is "BOOT-NUMBER": BOOT is made at the server's start, so that an id of an earlier one is
 * known as such. While nobody has listened for QL_EVENTS_KEEP_MS, nothing is rendered or kept.
 */
#ifndef QL_HTTP_API_EVENTS_H
#define QL_HTTP_API_EVENTS_H

#include "base/err.h"

struct ql_server;
struct ql_events;

#define QL_EVENTS_MAX 8192 /* events in the ring */
#define QL_EVENTS_BYTES (16 << 20) /* and bytes of all of them */
#define QL_EVENTS_KEEP_MS (10 * 60000) /* they are kept for so long after the last listener */

int ql_events_new(struct ql_server *server, struct ql_events **ret_events, struct ql_err *e);
void ql_events_free(struct ql_events *events);

/* Once in a sweep: a comment for those who have heard nothing for a while. */
void ql_events_beat(struct ql_events *events);

#endif
