/* What a look at a Celery deployment found: its report, for people. */
#ifndef QL_CLI_FINDINGS_H
#define QL_CLI_FINDINGS_H

#include <jansson.h>

#define QL_FINDINGS_SHOWN 10 /* of one kind; --json has them all */

void ql_findings_print(const json_t *report);

/* As it is, on one line. */
void ql_findings_dump(const json_t *report);

#endif
