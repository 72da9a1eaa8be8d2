/* The server's log: one line an event, on standard error, with the time unless a journal adds it. */
#ifndef QL_DAEMON_LOG_H
#define QL_DAEMON_LOG_H

void ql_log(const char *line);
void ql_logf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
