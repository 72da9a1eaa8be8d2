/*
 * Writes JSON straight into a buffer: members in the order in which they are written. Text that
 * isn't UTF-8 (a program's last words) is written with U+FFFD in the place of each bad byte.
 * A name is NULL inside an array and for the outermost value. A failed append shows once, in
 * buf.failed, at the end.
 */
#ifndef QL_BASE_JSON_H
#define QL_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct ql_json {
	struct ql_buf buf;
	bool comma; /* something stands before the next member of the open object or array */
};

void ql_json_open(struct ql_json *json, const char *name, char bracket); /* '{' or '[' */
void ql_json_close(struct ql_json *json, char bracket); /* '}' or ']' */
void ql_json_text(struct ql_json *json, const char *name, const char *text); /* NULL = null */
void ql_json_int(struct ql_json *json, const char *name, int64_t value);
void ql_json_bool(struct ql_json *json, const char *name, bool value);
void ql_json_null(struct ql_json *json, const char *name);
void ql_json_time(struct ql_json *json, const char *name, int64_t ms); /* 0 = null */

/* JSON text that is one value already. */
void ql_json_raw(struct ql_json *json, const char *name, const char *text);

#endif
