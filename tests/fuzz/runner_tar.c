/*
 * A checkpoint's archive: a good one, of which the input changes bytes. Each three of its bytes are a
 * place (two, low byte first) and a value; then each header gets the checksum that it should
 * have. What must hold: a refusal has a sentence; whatever was made is a file or a folder, below
 * the folder that was given; and what was unpacked can be packed and unpacked again.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "runner/tar.h"

#define PACK_MS 60000

static const char *const headers[][4] = {
	/* name, type, content, prefix */
	{"folder/", "5", "", ""},
	{"folder/file", "0", "some text", ""},
	{"pax", "x", "17 path=long/name\n", ""},
	{"long", "5", "", ""},
	{"file", "0", "more text", "folder"},
};

#define ENTRIES (sizeof(headers) / sizeof(headers[0]))
#define ARCHIVE (2 * ENTRIES * QL_TAR_BLOCK + 2 * QL_TAR_BLOCK)

static void
make_archive(char *archive)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct ql_tar_header header = {.type = headers[i][1][0]};
		memcpy(header.name, headers[i][0], strlen(headers[i][0]));
		memcpy(header.prefix, headers[i][3], strlen(headers[i][3]));
		snprintf(header.mode, sizeof(header.mode), "%07o", 0644);
		snprintf(header.size, sizeof(header.size), "%011o",
			(unsigned)strlen(headers[i][2]) & 0777);
		memcpy(archive + 2 * i * QL_TAR_BLOCK, &header, sizeof(header));
		memcpy(archive + (2 * i + 1) * QL_TAR_BLOCK, headers[i][2], strlen(headers[i][2]));
	}
}

static void
sign(char *archive)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct ql_tar_header header;
		char *at = archive + 2 * i * QL_TAR_BLOCK;
		memcpy(&header, at, sizeof(header));
		snprintf(
			header.checksum, sizeof(header.checksum), "%06o", ql_tar_checksum(&header));
		memcpy(at, &header, sizeof(header));
	}
}

static int
check_kind(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)path;
	(void)kind;
	(void)ftw;
	FUZZ_HOLDS(S_ISDIR(st->st_mode) || S_ISREG(st->st_mode));
	return 0;
}

static int
drop(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	return ftw->level ? remove(path) : 0;
}

static int
unpack(int archive, const char *folder, struct ql_err *e)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY);
	FUZZ_HOLDS(dir >= 0 && lseek(archive, 0, SEEK_SET) == 0);
	int r = ql_tar_unpack(archive, dir, e);
	close(dir);
	return r;
}

/* Into another folder, to the same number of entries. */
static void
go_round(const char *from, const char *to)
{
	struct ql_err e;
	int64_t bytes[2];
	int entries[2];
	const char *const folders[] = {from, to};
	for (int i = 0; i < 2; i++) {
		int dir = open(folders[i], O_RDONLY | O_DIRECTORY);
		int fd = memfd_create("again", 0);
		FUZZ_HOLDS(ql_tar_pack(dir, fd, 1 << 20, INT64_MAX - PACK_MS, &bytes[i],
				   &entries[i], &e) == 0);
		FUZZ_HOLDS(i == 1 || unpack(fd, to, &e) == 0);
		close(fd);
		close(dir);
	}
	FUZZ_HOLDS(bytes[0] == bytes[1] && entries[0] == entries[1]);
}

/* The two folders stand alone in theirs: what else appears there came from outside of them. */
static void
check_alone(const char *place)
{
	struct stat st;
	FUZZ_HOLDS(stat(place, &st) == 0 && st.st_nlink == 4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char archive[ARCHIVE] = {0};
	char place[] = "/dev/shm/quell-fuzz-XXXXXX";
	char folders[2][64];
	struct ql_err e = {0};
	make_archive(archive);
	for (size_t i = 0; i + 3 <= size; i += 3)
		archive[(size_t)(data[i] | data[i + 1] << 8) % ARCHIVE] = (char)data[i + 2];
	sign(archive);
	FUZZ_HOLDS(mkdtemp(place));
	for (int i = 0; i < 2; i++) {
		snprintf(folders[i], sizeof(folders[i]), "%s/%d", place, i);
		FUZZ_HOLDS(mkdir(folders[i], 0700) == 0);
	}
	int fd = memfd_create("archive", 0);
	FUZZ_HOLDS(write(fd, archive, ARCHIVE - size % 3 * 100) > 0);
	int r = unpack(fd, folders[0], &e);
	close(fd);
	FUZZ_HOLDS(nftw(folders[0], check_kind, 8, FTW_PHYS) == 0);
	check_alone(place);
	FUZZ_HOLDS(!r || e.text[0]);
	if (!r)
		go_round(folders[0], folders[1]);
	fuzz_ends[!r ? FUZZ_ACCEPTED : e.code == QL_E_INVALID ? FUZZ_REFUSED : FUZZ_BROKEN]++;
	nftw(place, drop, 8, FTW_PHYS | FTW_DEPTH);
	FUZZ_HOLDS(rmdir(place) == 0);
	return 0;
}
