/*
 * The notice: a file that appears in a folder which the program may do anything to. Its inode and
 * its page are taken before the program runs, so that a full folder can't keep it away; it is put
 * there in one step; and that it was taken away is known by its inode, not by its name.
 */
#ifndef QL_RUNNER_NOTICE_H
#define QL_RUNNER_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct ql_notice_file {
	int dir; /* owned, as is file; -1 = not there */
	int file;
	ino_t inode;
	bool given;
};

/* Takes over dir. */
int ql_notice_init(struct ql_notice_file *notice, int dir, struct ql_err *e);

/* The file appears with that text; a later one replaces the text, if the file is still there. */
int ql_notice_give(struct ql_notice_file *notice, const char *text, size_t len, struct ql_err *e);

/* It was given, and the program took it away. */
bool ql_notice_was_removed(const struct ql_notice_file *notice);

void ql_notice_done(struct ql_notice_file *notice);

#endif
