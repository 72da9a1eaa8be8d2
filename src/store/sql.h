/*
 * SQL text, with the columns and numbers that come from the tables of src/core filled in:
 *	{eval:…} {cancel:…} {run:…}	the text once for each field of field_*.def, $ being its name
 *	{last WORDS}			the highest number of enum ql_WORDS, of a run's place, of a
 *					priority, of an eval_id's characters
 *	{settled}			the set of the settled statuses: 1 << each
 *	{queued} {unconfirmed}		the number of that status
 *	{webhooks}			the number of that outlet
 */
#ifndef QL_STORE_SQL_H
#define QL_STORE_SQL_H

#include "base/buf.h"
#include "base/err.h"

/* What a new database is made of, unfilled. */
extern const char ql_sql_schema[];

/* Appends the filled text. An unknown {…} is QL_E_INTERNAL. */
int ql_sql_fill(struct ql_buf *buf, const char *sql, struct ql_err *e);

/* The numbers that the database relies on; value counts up from 0. NULL ends it. */
struct ql_sql_words {
	const char *kind;
	int count;
	const char *const *words; /* the enum's own names, NONE included */
};

extern const struct ql_sql_words ql_sql_words[];

#endif
