/* A timeline as a table, for `timeline` and `doctor`. */
#ifndef QL_CLI_TIMELINE_H
#define QL_CLI_TIMELINE_H

#include <jansson.h>
#include <stddef.h>

/* Prints the API's answer; only its last rows when last isn't 0. */
void ql_timeline_print(const json_t *answer, size_t last);

#endif
