/*
 * The finder of this host: processes, cgroups and mounts of local runs, and kept folders. It works
 * on a thread of the loop's pool. A process
 * is ended by a pidfd that was opened before its marks were read again; a cgroup and a mount by the
 * kernel's own word that nothing uses them; a folder file by file, only what Quell puts there.
 */
#ifndef QL_SWEEPER_HOST_H
#define QL_SWEEPER_HOST_H

#include <uv.h>

#include "sweeper/finder.h"

struct ql_host_config {
	const char *server; /* 16 hex digits: as in the names of this server's cgroups */
	const char *run_dir; /* absolute, links resolved: where runs have their folders; or NULL */
	const char *data_dir; /* absolute */
};

/* Copies the config; NULL when out of memory. */
struct ql_finder *ql_finder_host(uv_loop_t *loop, const struct ql_host_config *config);

#endif
