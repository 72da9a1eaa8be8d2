#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "rules/keep.h"
#include "sweeper/inside.h"

#define SHARDS 256

/* Only files that Quell puts there: not a link, not a folder, nothing else. */
static bool
holds_only_ours(const char *path)
{
	static const char *const names[] = {QL_KEEP_OUTPUT, QL_KEEP_INDEX, QL_KEEP_CHECKPOINT};
	DIR *dir = opendir(path);
	if (!dir)
		return false;
	bool only = true;
	const struct dirent *entry;
	while (only && (entry = readdir(dir))) {
		struct stat st;
		bool named = false;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			named |= !strncmp(entry->d_name, names[i], strlen(names[i]));
		only = named && !fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		       S_ISREG(st.st_mode);
	}
	closedir(dir);
	return only;
}

static void
consider(struct ql_traces *traces, const char *folder, const char *shard, const char *name)
{
	char eval_id[QL_EVAL_ID];
	int32_t attempt;
	char path[PATH_MAX];
	struct stat st;
	if (ql_orphan_kept(shard, name, eval_id, &attempt) ||
		snprintf(path, sizeof(path), "%s/%s", folder, name) >= QL_TRACE_NAME ||
		lstat(path, &st) || !S_ISDIR(st.st_mode))
		return;
	struct ql_trace *trace = ql_traces_add(traces);
	if (!trace)
		return;
	trace->kind = QL_ORPHAN_FOLDER;
	trace->attempt = attempt;
	trace->age_ms = ql_host_age_ms(&st);
	trace->marks = 1u << QL_MARK_NAME;
	ql_str_copy(trace->eval_id, sizeof(trace->eval_id), eval_id);
	ql_str_copy(trace->name, sizeof(trace->name), path);
	if (holds_only_ours(path))
		trace->marks |= 1u << QL_MARK_EMPTY;
	else
		ql_str_copy(trace->text, sizeof(trace->text),
			"something is in it that Quell never puts there");
}

/* How many there were. */
static size_t
look_through(struct ql_host *host, struct ql_traces *traces, unsigned number)
{
	char shard[3], folder[PATH_MAX + 16];
	size_t count = 0;
	snprintf(shard, sizeof(shard), "%02x", number);
	snprintf(folder, sizeof(folder), "%s/kept/%s", host->data_dir, shard);
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		consider(traces, folder, shard, entry->d_name);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

/* A server that keeps more than one look's worth is looked through shard by shard, in many looks. */
int
ql_host_find_folders(struct ql_host *host, struct ql_traces *traces, struct ql_err *e)
{
	(void)e;
	size_t seen = 0;
	unsigned looked = 0;
	while (looked < SHARDS && seen < QL_FIND_FOLDERS && !ql_host_is_late(host)) {
		seen += look_through(host, traces, (host->shard + looked) % SHARDS);
		looked++;
	}
	host->shard = (host->shard + looked) % SHARDS;
	traces->partial |= looked < SHARDS;
	return 0;
}

int
ql_host_reap_folder(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e)
{
	if (access(trace->name, F_OK) && errno == ENOENT)
		return 0;
	struct stat st;
	if (stat(trace->name, &st) || ql_host_age_ms(&st) < trace->age_ms)
		return ql_fail(
			e, QL_E_CONFLICT, "%s was changed since: it was left alone", trace->name);
	if (!holds_only_ours(trace->name))
		return ql_fail(e, QL_E_CONFLICT, "%s holds something else now: it was left alone",
			trace->name);
	if (ql_keep_remove(host->data_dir, trace->eval_id, trace->attempt, e))
		return -1;
	return access(trace->name, F_OK)
		       ? 0
		       : ql_fail(e, QL_E_CONFLICT, "%s is there yet", trace->name);
}
