/*
 * Errors: a code, the kernel's errno where there is one, and one sentence that says what was
 * wanted, what happened and what to do. The struct lives in the caller's frame; nothing is
 * allocated. A function that can fail returns 0 or -1 and takes a `struct ql_err *` last, which
 * may be NULL. Each layer that knows something adds it once, with ql_err_prefix.
 */
#ifndef QL_BASE_ERR_H
#define QL_BASE_ERR_H

#include <stdbool.h>

enum ql_code {
#define X(code, name, http, exit, retry) QL_E_##code,
#include "base/code.def"
#undef X
};

#define QL_ERR_TEXT 320

struct ql_err {
	enum ql_code code;
	int sys; /* errno, or 0 */
	char text[QL_ERR_TEXT];
};

/* Fills e and returns -1, so that a failure is one return statement. */
int ql_fail(struct ql_err *e, enum ql_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with errno: its text is appended, ENOSPC and EDQUOT become QL_E_DISK_FULL. */
int ql_fail_sys(struct ql_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the text that is there. Returns -1. */
int ql_err_prefix(struct ql_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *ql_code_name(enum ql_code code);
int ql_code_http(enum ql_code code);
int ql_code_exit(enum ql_code code);
bool ql_code_retry(enum ql_code code);

#endif
