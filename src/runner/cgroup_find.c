#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "runner/cgroup.h"
#include "runner/file.h"

#define MOUNTINFO_MAX (1 << 20)

/* One line of /proc/self/mountinfo, cut into what we need. */
struct mount {
	char *root;
	char *point;
	char *type;
	char *options; /* the superblock's: for v1 they name the controllers */
};

static bool
cut_mount(char *line, struct mount *ret_mount)
{
	char *save;
	char *fields[5];
	char *tail = strstr(line, " - ");
	if (!tail)
		return false;
	*tail = 0;
	for (int i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return false;
	}
	ret_mount->root = fields[3];
	ret_mount->point = fields[4];
	ret_mount->type = strtok_r(tail + 3, " ", &save);
	strtok_r(NULL, " ", &save);
	ret_mount->options = strtok_r(NULL, " ", &save);
	return ret_mount->type && ret_mount->options;
}

static bool
has_word(const char *list, size_t len, const char *word)
{
	size_t word_len = strlen(word);
	for (const char *end = list + len; list < end;) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		const char *stop = comma ? comma : end;
		if ((size_t)(stop - list) == word_len && !memcmp(list, word, word_len))
			return true;
		list = stop + 1;
	}
	return false;
}

/*
 * Our own path in a hierarchy, from the text of /proc/self/cgroup: "4:memory:/a/b", and "0::/a/b"
 * for v2 (controller NULL).
 */
static bool
own_path(const char *cgroups, const char *controller, char *ret_path, size_t size)
{
	for (const char *line = cgroups; *line;) {
		const char *names = strchr(line, ':');
		const char *path = names ? strchr(names + 1, ':') : NULL;
		if (!path)
			return false;
		const char *end = strchrnul(path, '\n');
		size_t names_len = (size_t)(path - names - 1);
		bool is = controller ? has_word(names + 1, names_len, controller) : !names_len;
		if (is)
			return snprintf(ret_path, size, "%.*s", (int)(end - path - 1), path + 1) <
			       (int)size;
		line = *end ? end + 1 : end;
	}
	return false;
}

/* The server may have moved down to make room: runs are beside it, not below. */
static void
step_out(char *folder)
{
	char *last = strrchr(folder, '/');
	if (!strcmp(last + 1, QL_CGROUP_SERVER))
		*last = 0;
}

static void
add_tree(struct ql_cgroup_host *host, const struct mount *mount, const char *path, bool v2)
{
	struct ql_cgroup_tree tree = {.v2 = v2};
	/* Where only a part of the hierarchy is mounted, our path is told from its true root. */
	size_t root_len = strlen(mount->root);
	if (root_len > 1 && !strncmp(path, mount->root, root_len))
		path += root_len;
	int n = snprintf(tree.folder, sizeof(tree.folder), "%s%s", mount->point,
		strcmp(path, "/") ? path : "");
	if (n < 0 || n >= (int)sizeof(tree.folder) || host->count >= QL_RUNNER_CGROUPS)
		return;
	step_out(tree.folder);
	for (int i = 0; i < host->count; i++) {
		if (!strcmp(host->trees[i].folder, tree.folder))
			return;
	}
	host->trees[host->count++] = tree;
}

static void
find_v1(struct ql_cgroup_host *host, const struct mount *mount, const char *cgroups, unsigned *seen)
{
	static const char *const wanted[QL_LIMIT_COUNT] = {"memory", "pids", "cpu"};
	char path[QL_RUNNER_CGROUP_PATH];
	for (unsigned i = 0; i < QL_LIMIT_COUNT; i++) {
		if (*seen & 1u << i ||
			!has_word(mount->options, strlen(mount->options), wanted[i]) ||
			!own_path(cgroups, wanted[i], path, sizeof(path)))
			continue;
		*seen |= 1u << i;
		add_tree(host, mount, path, false);
	}
}

void
ql_cgroup_find(const char *v2_folder, struct ql_cgroup_host *ret_host)
{
	*ret_host = (struct ql_cgroup_host){0};
	QL_CLEAN_BUF struct ql_buf mounts = {.limit = MOUNTINFO_MAX};
	QL_CLEAN_BUF struct ql_buf cgroups = {.limit = MOUNTINFO_MAX};
	if (ql_file_read(AT_FDCWD, "/proc/self/mountinfo", &mounts, NULL) ||
		ql_file_read(AT_FDCWD, "/proc/self/cgroup", &cgroups, NULL) || !cgroups.data)
		return;
	if (v2_folder) {
		ret_host->count = 1;
		ret_host->trees[0].v2 = true;
		ql_str_copy(ret_host->trees[0].folder, QL_RUNNER_CGROUP_PATH, v2_folder);
	}
	unsigned seen = 0;
	bool has_v2 = v2_folder != NULL;
	char path[QL_RUNNER_CGROUP_PATH];
	char *save;
	for (char *line = strtok_r(mounts.data, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		struct mount mount;
		if (!cut_mount(line, &mount))
			continue;
		if (!strcmp(mount.type, "cgroup"))
			find_v1(ret_host, &mount, cgroups.data, &seen);
		if (strcmp(mount.type, "cgroup2") != 0 || has_v2)
			continue;
		has_v2 = own_path(cgroups.data, NULL, path, sizeof(path));
		if (has_v2)
			add_tree(ret_host, &mount, path, true);
	}
}
