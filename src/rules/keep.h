/*
 * Where an attempt's output and checkpoint are kept: <data>/kept/<hh>/<eval_id>~<attempt>/ with the
 * files of base/keep.h. <hh> is two hex digits of a hash of the eval_id, so that no folder grows too large.
 */
#ifndef QL_RULES_KEEP_H
#define QL_RULES_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/keep.h"

/* The folder, or a file in it when name is not NULL. -1 when it doesn't fit. */
int ql_keep_path(const char *data_dir, const char *eval_id, int32_t attempt, const char *name,
	char *ret_path, size_t size);

/* Makes the folders above it (0700); it comes with the first file in it. Blocking. */
int ql_keep_make(const char *data_dir, const char *eval_id, int32_t attempt, struct ql_err *e);

/*
 * The newest kept checkpoint of this attempt or one before it. Blocking; -1 when there is none.
 */
int ql_keep_checkpoint(
	const char *data_dir, const char *eval_id, int32_t attempt, char *ret_path, size_t size);

/* Removes the folder with all its files. Blocking; no error when there is none. */
int ql_keep_remove(const char *data_dir, const char *eval_id, int32_t attempt, struct ql_err *e);

#endif
