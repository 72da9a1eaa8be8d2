/*
 * Where the live runs have their folders: <data>/run. What stands there means nothing after a
 * reboot and is written and removed for each run, so as root it is a link to a folder in memory
 * (/run, else /dev/shm), where that takes a fraction of the time. An ordinary user's folder there
 * may be swept at logout while the runs go on: theirs is a real folder.
 */
#ifndef QL_DAEMON_RUNDIR_H
#define QL_DAEMON_RUNDIR_H

#include "daemon/data.h"

/* Makes it, or takes up the one of the server before. */
int ql_rundir_open(const struct ql_data *data, char ret_path[static PATH_MAX], struct ql_err *e);

/* Drops link and folder if no run is in it; the next start makes them anew. */
void ql_rundir_close(const struct ql_data *data);

#endif
