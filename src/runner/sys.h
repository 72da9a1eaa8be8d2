/* The kernel's calls for which libc has no function, or none with our defaults. */
#ifndef QL_RUNNER_SYS_H
#define QL_RUNNER_SYS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Opens what stands at the path below dir: no link on the way or at its end is followed, no mount
 * is crossed. Close-on-exec, non-blocking. -1 with errno.
 */
int ql_sys_open_beneath(int dir, const char *path, int flags);
int ql_sys_make_beneath(int dir, const char *path, int flags, mode_t mode);

/* CLOCK_MONOTONIC, for deadlines within one process. */
int64_t ql_sys_now_ms(void);

#endif
