#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runner/file.h"
#include "runner/sys.h"
#include "runner/tar.h"

#define CHUNK (64 << 10)

struct pack {
	int fd;
	int64_t max_bytes;
	int64_t deadline;
	int64_t bytes;
	int entries;
	char path[QL_TAR_PATH]; /* of the entry at hand, from the top of the archive */
	char chunk[CHUNK];
};

unsigned
ql_tar_checksum(const struct ql_tar_header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	unsigned sum = 8 * ' '; /* the checksum's own field counts as blanks */
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += bytes[i];
	for (size_t i = 0; i < sizeof(header->checksum); i++)
		sum -= (unsigned char)header->checksum[i];
	return sum;
}

static int
put(struct pack *pack, const void *data, size_t len, struct ql_err *e)
{
	if (pack->bytes + (int64_t)len > pack->max_bytes)
		return ql_fail(e, QL_E_TOO_LARGE, "the checkpoint is larger than %lld bytes",
			(long long)pack->max_bytes);
	if (ql_sys_now_ms() > pack->deadline)
		return ql_fail(e, QL_E_TIMEOUT, "the checkpoint was not collected in time");
	if (ql_file_write(pack->fd, data, len))
		return ql_fail_sys(e, "write the checkpoint");
	pack->bytes += (int64_t)len;
	return 0;
}

static int
put_padding(struct pack *pack, int64_t after, struct ql_err *e)
{
	static const char zeroes[QL_TAR_BLOCK];
	size_t rest = (size_t)(after % QL_TAR_BLOCK);
	return rest ? put(pack, zeroes, QL_TAR_BLOCK - rest, e) : 0;
}

static int
put_header(struct pack *pack, const char *name, char type, mode_t mode, int64_t size, int64_t mtime,
	struct ql_err *e)
{
	struct ql_tar_header header = {.type = type,
		.magic = "ustar\0"
			 "0"};
	header.magic[7] = '0';
	memcpy(header.name, name, strnlen(name, sizeof(header.name)));
	snprintf(header.mode, sizeof(header.mode), "%07o", (unsigned)mode & 0777);
	snprintf(header.uid, sizeof(header.uid), "%07o", 0);
	snprintf(header.gid, sizeof(header.gid), "%07o", 0);
	snprintf(header.size, sizeof(header.size), "%011llo", (unsigned long long)size);
	snprintf(header.mtime, sizeof(header.mtime), "%011llo",
		(unsigned long long)mtime & 077777777777ULL);
	snprintf(header.checksum, sizeof(header.checksum), "%06o", ql_tar_checksum(&header));
	header.checksum[7] = ' ';
	return put(pack, &header, sizeof(header), e);
}

/* "<length of all of this> path=<path>\n" before an entry whose name doesn't fit its header. */
static int
put_pax_path(struct pack *pack, struct ql_err *e)
{
	char record[QL_TAR_PATH + 32];
	size_t plain = strlen(" path=\n") + strlen(pack->path);
	size_t len = plain + 2;
	while (len != plain + (size_t)snprintf(NULL, 0, "%zu", len))
		len++;
	snprintf(record, sizeof(record), "%zu path=%s\n", len, pack->path);
	if (put_header(pack, "pax", 'x', 0644, (int64_t)len, 0, e) || put(pack, record, len, e))
		return -1;
	return put_padding(pack, (int64_t)len, e);
}

static int
put_entry(struct pack *pack, const struct stat *st, struct ql_err *e)
{
	bool folder = S_ISDIR(st->st_mode);
	if (strlen(pack->path) > sizeof(((struct ql_tar_header *)0)->name) && put_pax_path(pack, e))
		return -1;
	pack->entries++;
	return put_header(pack, pack->path, folder ? '5' : '0', st->st_mode,
		folder ? 0 : st->st_size, st->st_mtime, e);
}

static int
pack_file(struct pack *pack, int fd, const struct stat *st, struct ql_err *e)
{
	if (st->st_size > pack->max_bytes)
		return ql_fail(e, QL_E_TOO_LARGE, "the checkpoint is larger than %lld bytes",
			(long long)pack->max_bytes);
	if (put_entry(pack, st, e))
		return -1;
	for (int64_t left = st->st_size; left > 0;) {
		size_t want = left < CHUNK ? (size_t)left : CHUNK;
		ssize_t n = read(fd, pack->chunk, want);
		if (n <= 0)
			return ql_fail_sys(e, "read %s of the checkpoint", pack->path);
		if (put(pack, pack->chunk, (size_t)n, e))
			return -1;
		left -= n;
	}
	return put_padding(pack, st->st_size, e);
}

static int pack_folder(struct pack *pack, int fd, int depth, struct ql_err *e);

/* The name is one component; nothing that it could be leads out of the folder. */
static int
pack_one(struct pack *pack, int dir, const char *name, int depth, struct ql_err *e)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	bool folder = S_ISDIR(st.st_mode);
	size_t len = strlen(pack->path);
	if ((!folder && !S_ISREG(st.st_mode)) || len + strlen(name) + 2 > sizeof(pack->path))
		return 0;
	QL_CLEAN_FD int fd = ql_sys_open_beneath(dir, name, O_RDONLY | (folder ? O_DIRECTORY : 0));
	if (fd < 0)
		return 0;
	snprintf(pack->path + len, sizeof(pack->path) - len, folder ? "%s/" : "%s", name);
	int r = folder ? put_entry(pack, &st, e) : pack_file(pack, fd, &st, e);
	if (!r && folder && depth < QL_TAR_DEPTH)
		r = pack_folder(pack, fd, depth + 1, e);
	pack->path[len] = 0;
	return r;
}

/* The next entry but "." and ".."; NULL at the end. */
static const struct dirent *
next_entry(DIR *dir)
{
	const struct dirent *entry;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			break;
	}
	return entry;
}

static DIR *
open_again(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (dir)
		rewinddir(dir);
	else
		ql_fd_done(&own);
	return dir;
}

bool
ql_tar_is_empty(int dir)
{
	DIR *folder = open_again(dir);
	if (!folder)
		return false;
	bool is_empty = !next_entry(folder);
	closedir(folder);
	return is_empty;
}

static int
pack_folder(struct pack *pack, int fd, int depth, struct ql_err *e)
{
	DIR *dir = open_again(fd);
	if (!dir)
		return ql_fail_sys(e, "read a folder of the checkpoint");
	int r = 0;
	const struct dirent *entry;
	while (!r && (entry = next_entry(dir)))
		r = pack_one(pack, fd, entry->d_name, depth, e);
	closedir(dir);
	return r;
}

int
ql_tar_pack(int dir, int fd, int64_t max_bytes, int64_t deadline, int64_t *ret_bytes,
	int *ret_entries, struct ql_err *e)
{
	static const char end[2 * QL_TAR_BLOCK];
	struct pack *pack = calloc(1, sizeof(*pack));
	if (!pack)
		return ql_fail(e, QL_E_SYSTEM, "no memory to collect the checkpoint");
	pack->fd = fd;
	pack->max_bytes = max_bytes;
	pack->deadline = deadline;
	int r = pack_folder(pack, dir, 0, e) || put(pack, end, sizeof(end), e) ? -1 : 0;
	if (!r) {
		*ret_bytes = pack->bytes;
		*ret_entries = pack->entries;
	}
	free(pack);
	return r;
}
