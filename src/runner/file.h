/* Small files, relative to a held folder: read whole, written whole. */
#ifndef QL_RUNNER_FILE_H
#define QL_RUNNER_FILE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define QL_CLEAN_FD __attribute__((cleanup(ql_fd_done)))

/* Closes *fd when it is one, and makes it -1. */
void ql_fd_done(int *fd);

/* The whole file, at most ret_text->limit bytes. -1 with e->sys = ENOENT when there is none. */
int ql_file_read(int dir, const char *name, struct ql_buf *ret_text, struct ql_err *e);

/* One write to a file that exists: kernel files. -1 with errno. */
int ql_file_poke(const char *path, const char *text);
int ql_file_poke_at(int dir, const char *name, const char *text);

/* All of the bytes. -1 with errno. */
int ql_file_write(int fd, const void *data, size_t len);

/* In one write, from the start of the file. */
int ql_file_overwrite(int fd, const void *data, size_t len);

#endif
