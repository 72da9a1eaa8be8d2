/* An evaluation in full, for `show` and `doctor`. */
#ifndef QL_CLI_DETAIL_H
#define QL_CLI_DETAIL_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"

/* "NAME       text", control characters shown. */
void ql_detail_line(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Everything that is known of the evaluation, a line each. */
void ql_detail_print(const json_t *evaluation);

/* Its labels as "a=1 b=2"; nothing is added for none. */
void ql_detail_labels(struct ql_buf *text, const json_t *evaluation);

/* How it ended: "exit 3", "SIGKILL", or NULL when it has neither. */
#define QL_ENDED_TEXT 40
const char *ql_detail_ended(const json_t *evaluation, char ret_text[static QL_ENDED_TEXT]);

#endif
