/*
 * Checkpoints as tar archives: ustar, with a pax header where a name doesn't fit. Plain files and
 * folders only, in both directions; both sides read with suspicion.
 */
#ifndef QL_RUNNER_TAR_H
#define QL_RUNNER_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define QL_TAR_BLOCK 512
#define QL_TAR_PATH 1024 /* bytes of a path within the archive, its NUL included */
#define QL_TAR_DEPTH 64 /* folders within folders; what is deeper is left out */

struct ql_tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type; /* '0' or NUL: file, '5': folder, 'x': pax, of the next entry */
	char link[100];
	char magic[8]; /* "ustar", NUL, "00" */
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char pad[12];
};

_Static_assert(sizeof(struct ql_tar_header) == QL_TAR_BLOCK, "a tar header is one block");

unsigned ql_tar_checksum(const struct ql_tar_header *header);

/*
 * Writes what is below the folder `dir` to fd. Links, devices, sockets and what can't be opened
 * are left out; nothing outside of dir is ever opened. Fails when the archive would be larger
 * than max_bytes, or isn't done at `deadline` (CLOCK_MONOTONIC ms).
 */
int ql_tar_pack(int dir, int fd, int64_t max_bytes, int64_t deadline, int64_t *ret_bytes,
	int *ret_entries, struct ql_err *e);

/* Nothing is below it that could be written. False where that can't be seen. */
bool ql_tar_is_empty(int dir);

/*
 * Makes in the folder `dir`, empty before, what the archive holds. A name that leads out of dir,
 * or anything but files and folders, is refused.
 */
int ql_tar_unpack(int fd, int dir, struct ql_err *e);

#endif
