#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runner/file.h"
#include "runner/sys.h"
#include "runner/tar.h"

#define CHUNK (64 << 10)

struct unpack {
	int fd;
	int dir;
	char path[QL_TAR_PATH]; /* of the entry at hand */
	bool named; /* path is from a pax header, for the next entry */
	char chunk[CHUNK];
};

/* 1: len bytes; 0: the archive ended before the first of them. */
static int
take(struct unpack *unpack, void *ret_data, size_t len, struct ql_err *e)
{
	size_t have = 0;
	while (have < len) {
		ssize_t n = read(unpack->fd, (char *)ret_data + have, len - have);
		if (n < 0)
			return ql_fail_sys(e, "read the checkpoint");
		if (n == 0 && have == 0)
			return 0;
		if (n == 0)
			return ql_fail(e, QL_E_INVALID, "the checkpoint's archive is cut short");
		have += (size_t)n;
	}
	return 1;
}

static int
refuse(const struct unpack *unpack, const char *why, struct ql_err *e)
{
	return ql_fail(e, QL_E_INVALID, "the checkpoint's archive is refused: '%.100s' %s",
		unpack->path, why);
}

static int64_t
number(const char *field, size_t size)
{
	int64_t value = 0;
	size_t i = 0;
	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
		value = value * 8 + (field[i] - '0');
	return value;
}

/* Relative, without "..", "." or empty parts; a slash at its end is taken off. */
static bool
is_inside(char *path)
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		path[--len] = 0;
	for (const char *part = path;;) {
		size_t n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && !memcmp(part, "..", 2)))
			return false;
		if (!part[n])
			return true;
		part += n + 1;
	}
}

static int
copy_content(struct unpack *unpack, int to, int64_t size, struct ql_err *e)
{
	int64_t padded = (size + QL_TAR_BLOCK - 1) / QL_TAR_BLOCK * QL_TAR_BLOCK;
	for (int64_t done = 0; done < padded;) {
		size_t want = padded - done < CHUNK ? (size_t)(padded - done) : CHUNK;
		if (take(unpack, unpack->chunk, want, e) <= 0)
			return refuse(unpack, "is cut short", e);
		size_t keep = done >= size                  ? 0
			      : size - done < (int64_t)want ? (size_t)(size - done)
							    : want;
		if (to >= 0 && ql_file_write(to, unpack->chunk, keep))
			return ql_fail_sys(e, "restore %.100s of the checkpoint", unpack->path);
		done += (int64_t)want;
	}
	return 0;
}

static int
make_file(struct unpack *unpack, const struct ql_tar_header *header, int64_t size, struct ql_err *e)
{
	mode_t mode = (mode_t)(number(header->mode, sizeof(header->mode)) & 0777) | 0600;
	QL_CLEAN_FD int fd =
		ql_sys_make_beneath(unpack->dir, unpack->path, O_WRONLY | O_CREAT | O_EXCL, mode);
	if (fd < 0)
		return ql_fail_sys(e, "restore %.100s of the checkpoint", unpack->path);
	return copy_content(unpack, fd, size, e);
}

static int
make_folder(struct unpack *unpack, const struct ql_tar_header *header, struct ql_err *e)
{
	mode_t mode = (mode_t)(number(header->mode, sizeof(header->mode)) & 0777) | 0700;
	/* There is no link in the folder, for we made all that is in it: no part leads out. */
	if (mkdirat(unpack->dir, unpack->path, mode) && errno != EEXIST)
		return ql_fail_sys(e, "restore %.100s of the checkpoint", unpack->path);
	return 0;
}

/* "<length> path=<path>\n", among records that are of no use here. */
static int
take_pax(struct unpack *unpack, int64_t size, struct ql_err *e)
{
	int64_t padded = (size + QL_TAR_BLOCK - 1) / QL_TAR_BLOCK * QL_TAR_BLOCK;
	if (padded >= CHUNK)
		return refuse(unpack, "has a header that is too long", e);
	if (padded && take(unpack, unpack->chunk, (size_t)padded, e) <= 0)
		return refuse(unpack, "is cut short", e);
	unpack->chunk[size] = 0;
	for (char *record = unpack->chunk, *end = record + size; record < end;) {
		char *word;
		long len = strtol(record, &word, 10);
		if (len <= word - record || len > end - record || *word != ' ' ||
			record[len - 1] != '\n')
			return refuse(unpack, "has a damaged header", e);
		record[len - 1] = 0;
		if (!strncmp(word, " path=", 6)) {
			if (ql_str_copy(unpack->path, sizeof(unpack->path), word + 6))
				return refuse(unpack, "has a name that is too long", e);
			unpack->named = true;
		}
		record += len;
	}
	return 0;
}

static void
take_name(struct unpack *unpack, const struct ql_tar_header *header)
{
	size_t prefix = strnlen(header->prefix, sizeof(header->prefix));
	size_t name = strnlen(header->name, sizeof(header->name));
	char *to = unpack->path;
	if (prefix) {
		memcpy(to, header->prefix, prefix);
		to += prefix;
		*to++ = '/';
	}
	memcpy(to, header->name, name);
	to[name] = 0;
}

static int
take_entry(struct unpack *unpack, const struct ql_tar_header *header, struct ql_err *e)
{
	int64_t size = number(header->size, sizeof(header->size));
	if (number(header->checksum, sizeof(header->checksum)) != ql_tar_checksum(header))
		return refuse(unpack, "is followed by no tar header", e);
	if (header->type == 'x')
		return take_pax(unpack, size, e);
	if (header->type == 'g')
		return copy_content(unpack, -1, size, e);
	if (!unpack->named)
		take_name(unpack, header);
	unpack->named = false;
	bool top = !strcmp(unpack->path, ".") || !strcmp(unpack->path, "./");
	if (header->type == '5' && top)
		return 0;
	if (!strncmp(unpack->path, "./", 2))
		memmove(unpack->path, unpack->path + 2, strlen(unpack->path + 2) + 1);
	if (!is_inside(unpack->path))
		return refuse(unpack, "would lead out of the folder", e);
	if (header->type == '5')
		return make_folder(unpack, header, e);
	if (header->type == '0' || !header->type)
		return make_file(unpack, header, size, e);
	return refuse(unpack, "is neither a file nor a folder", e);
}

static bool
is_end(const struct ql_tar_header *header)
{
	static const struct ql_tar_header zeroes;
	return memcmp(header, &zeroes, sizeof(zeroes)) == 0;
}

int
ql_tar_unpack(int fd, int dir, struct ql_err *e)
{
	struct ql_tar_header header;
	struct unpack *unpack = calloc(1, sizeof(*unpack));
	if (!unpack)
		return ql_fail(e, QL_E_SYSTEM, "no memory to restore the checkpoint");
	unpack->fd = fd;
	unpack->dir = dir;
	int r;
	while ((r = take(unpack, &header, sizeof(header), e)) > 0 && !is_end(&header)) {
		r = take_entry(unpack, &header, e);
		if (r)
			break;
	}
	free(unpack);
	return r < 0 ? -1 : 0;
}
