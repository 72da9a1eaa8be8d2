/* Outputs that are followed. */
#ifndef QL_HTTP_API_OUTPUTS_H
#define QL_HTTP_API_OUTPUTS_H

struct ql_server;

/* Once in a sweep: those whose folder can't be watched look by themselves. */
void ql_outputs_sweep(struct ql_server *server);

#endif
