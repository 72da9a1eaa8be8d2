/* How full the host is, for policies. */
#ifndef QL_DAEMON_GAUGE_H
#define QL_DAEMON_GAUGE_H

#include "rules/policy.h"

/* As rules/measure.def has it; -1 when the kernel doesn't say. arg is not looked at. */
double ql_gauge(void *arg, enum ql_measure measure);

#endif
