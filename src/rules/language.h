/* The languages of the local runner, and what each runs as. One table. */
#ifndef QL_RULES_LANGUAGE_H
#define QL_RULES_LANGUAGE_H

#include "base/err.h"

struct ql_language {
	const char *name;
	const char *code_name; /* the file that the program's text is put into */
	const char *needs; /* the host's program without which it can't run */
	const char *const *argv; /* NULL-terminated, from the folder that holds code_name */
};

/* NULL and QL_E_INVALID with the known names; whoever runs it has its interpreter, or hasn't. */
const struct ql_language *ql_language_known(const char *name, struct ql_err *e);

/* One that this host can run, too: NULL and QL_E_INVALID with the missing interpreter. */
const struct ql_language *ql_language_find(const char *name, struct ql_err *e);

/*
 * The language of a file by its ending ("x.py" is python), whether this host can run it or not;
 * NULL when it tells none.
 */
const char *ql_language_of_file(const char *path);

/* Calls fn (which may be NULL) for those that this host can run; returns how many they are. */
int ql_language_each(void (*fn)(void *arg, const struct ql_language *language), void *arg);

#endif
