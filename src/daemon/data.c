#include "daemon/data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/str.h"

/* mkdir -p; what is made is 0700. */
static int
make_all(const char *dir, struct ql_err *e)
{
	char path[PATH_MAX];
	if (ql_str_copy(path, sizeof(path), dir))
		return ql_fail(e, QL_E_USAGE, "the data folder's path is over %d bytes", PATH_MAX);
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = 0;
		if (mkdir(path, 0700) && errno != EEXIST)
			return ql_fail_sys(e, "the data folder %s can't be made", path);
		if (!slash)
			return 0;
		*slash = '/';
	}
}

static int
lock(struct ql_data *data, struct ql_err *e)
{
	char path[PATH_MAX];
	char holder[256] = "";
	if (ql_data_path(data, "lock", path, sizeof(path), e))
		return -1;
	data->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (data->lock_fd < 0)
		return ql_fail_sys(e, "the lock %s can't be opened", path);
	if (!flock(data->lock_fd, LOCK_EX | LOCK_NB))
		return 0;
	ssize_t n = pread(data->lock_fd, holder, sizeof(holder) - 1, 0);
	holder[n > 0 ? n : 0] = 0;
	holder[strcspn(holder, "\n")] = 0;
	return ql_fail(e, QL_E_CONFLICT,
		"another server works on %s (%s): stop it, or choose another folder with --data",
		data->dir, *holder ? holder : "it is starting");
}

/* size: of the text, with its NUL. */
static int
make_random(const char *path, char *ret_text, size_t size, struct ql_err *e)
{
	unsigned char bytes[(QL_KEY_TEXT - 1) / 2];
	char fresh[PATH_MAX + 8];
	ql_rand_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; 2 * i + 2 < size; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return ql_fail_sys(e, "the file %s can't be made", fresh);
	bool whole = dprintf(fd, "%s\n", ret_text) == (int)size && !fsync(fd);
	close(fd);
	if (!whole || rename(fresh, path))
		return ql_fail_sys(e, "the file %s can't be written", path);
	return 0;
}

static int
read_id(struct ql_data *data, struct ql_err *e)
{
	char path[PATH_MAX];
	if (ql_data_path(data, "id", path, sizeof(path), e))
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return make_random(path, data->id, sizeof(data->id), e);
	if (fd < 0)
		return ql_fail_sys(e, "the file %s can't be read", path);
	ssize_t n = read(fd, data->id, sizeof(data->id) - 1);
	close(fd);
	data->id[n > 0 ? n : 0] = 0;
	if (strspn(data->id, "0123456789abcdef") == sizeof(data->id) - 1)
		return 0;
	return ql_fail(e, QL_E_USAGE,
		"the file %s has no 16 hex digits: remove it, and a new one is made", path);
}

int
ql_data_open(const char *dir, struct ql_data *ret_data, struct ql_err *e)
{
	*ret_data = (struct ql_data){.lock_fd = -1};
	if (make_all(dir, e))
		return -1;
	if (!realpath(dir, ret_data->dir))
		return ql_fail_sys(e, "the data folder %s can't be found", dir);
	snprintf(ret_data->instance, sizeof(ret_data->instance), "%016llx",
		(unsigned long long)ql_str_hash(ret_data->dir));
	if (lock(ret_data, e) || read_id(ret_data, e)) {
		ql_data_close(ret_data);
		return -1;
	}
	return 0;
}

void
ql_data_close(struct ql_data *data)
{
	if (data->lock_fd < 0)
		return;
	if (ftruncate(data->lock_fd, 0))
		data->dir[0] = 0; /* only a stale line for people stays behind */
	close(data->lock_fd);
	data->lock_fd = -1;
}

int
ql_data_path(
	const struct ql_data *data, const char *name, char *ret_path, size_t size, struct ql_err *e)
{
	int n = snprintf(ret_path, size, "%s/%s", data->dir, name);
	if (n < 0 || (size_t)n >= size)
		return ql_fail(e, QL_E_USAGE, "the data folder's path %s is too long", data->dir);
	return 0;
}

void
ql_data_sign(const struct ql_data *data, const char *url)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "pid %d at %s\n", (int)getpid(), url);
	if (n > 0 && !ftruncate(data->lock_fd, 0) && pwrite(data->lock_fd, line, (size_t)n, 0) < 0)
		return; /* only people read it */
}

/* ---- keys ---- */

int
ql_data_admin_key(const struct ql_data *data, char ret_key[static QL_KEY_TEXT], struct ql_err *e)
{
	char path[PATH_MAX];
	struct stat st;
	if (ql_data_path(data, "admin.key", path, sizeof(path), e))
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return make_random(path, ret_key, QL_KEY_TEXT, e);
	if (fd < 0)
		return ql_fail_sys(e, "the key file %s can't be read", path);
	ssize_t n = read(fd, ret_key, QL_KEY_TEXT - 1);
	int status = fstat(fd, &st);
	close(fd);
	if (n < 0 || status)
		return ql_fail_sys(e, "the key file %s can't be read", path);
	ret_key[n] = 0;
	ret_key[strcspn(ret_key, " \t\r\n")] = 0;
	if (st.st_mode & 077)
		return ql_fail(
			e, QL_E_USAGE, "the key file %s can be read by others: chmod 600 it", path);
	if (strlen(ret_key) < 16)
		return ql_fail(e, QL_E_USAGE,
			"the key in %s has under 16 characters: remove the file, and a new one is "
			"made",
			path);
	return 0;
}

static int
user_line(char *line, int number, const char *path,
	int (*fn)(void *arg, const char *owner, const char *key, struct ql_err *e), void *arg,
	struct ql_err *e)
{
	char *rest = NULL;
	line[strcspn(line, "#\r\n")] = 0;
	const char *owner = strtok_r(line, " \t", &rest);
	const char *key = owner ? strtok_r(NULL, " \t", &rest) : NULL;
	if (!owner)
		return 0;
	if (!key || strtok_r(NULL, " \t", &rest) || strlen(key) < 16)
		return ql_fail(e, QL_E_USAGE,
			"%s line %d: wants `owner key`, the key of 16 characters or more", path,
			number);
	return fn(arg, owner, key, e);
}

int
ql_data_user_keys(const struct ql_data *data,
	int (*fn)(void *arg, const char *owner, const char *key, struct ql_err *e), void *arg,
	struct ql_err *e)
{
	char path[PATH_MAX];
	if (ql_data_path(data, "users.keys", path, sizeof(path), e))
		return -1;
	FILE *file = fopen(path, "re");
	if (!file && errno == ENOENT)
		return 0;
	if (!file)
		return ql_fail_sys(e, "%s can't be read", path);
	char *line = NULL;
	size_t size = 0;
	int status = 0;
	for (int number = 1; !status && getline(&line, &size, file) >= 0; number++)
		status = user_line(line, number, path, fn, arg, e);
	free(line);
	fclose(file);
	return status;
}

int
ql_data_signer(const struct ql_data *data, struct ql_signer **ret_signer, struct ql_err *e)
{
	char path[PATH_MAX];
	if (ql_data_path(data, "sign.key", path, sizeof(path), e))
		return -1;
	return ql_signer_open(path, ret_signer, e);
}
