#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/help.h"
#include "cli/near.h"
#include "cli/print.h"

static int
fail_verb(const struct ql_verb *const *verbs, const char *name, struct ql_err *e)
{
	struct ql_near near = {.word = name};
	for (; *verbs; verbs++) {
		const char *also = (*verbs)->also ? (*verbs)->also : "";
		for (size_t n; *also; also += n + strspn(also + n, " ")) {
			n = strcspn(also, " ");
			if (strlen(name) == n && memcmp(also, name, n) == 0)
				return ql_fail(e, QL_E_USAGE,
					"there is no verb '%s': it is called %s", name,
					(*verbs)->name);
		}
		ql_near_offer(&near, (*verbs)->name);
	}
	if (near.best)
		return ql_fail(e, QL_E_USAGE, "there is no verb '%.60s'; did you mean %s?", name,
			near.best);
	return ql_fail(e, QL_E_USAGE, "there is no verb '%.60s'; see: quell help", name);
}

static int
open_client(struct ql_cmd *cmd, struct ql_err *e)
{
	if (cmd->verb->local)
		return 0;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	return ql_client_new(ql_cmd_text(cmd, "url"), ql_cmd_text(cmd, "key"), &cmd->client, e);
}

static int
run_verb(struct ql_cmd *cmd, struct ql_err *e)
{
	if (ql_cmd_parse(cmd, e))
		return -1;
	if (ql_cmd_has(cmd, "help")) {
		ql_help_verb(cmd->verb);
		return ql_print_flush(e);
	}
	if (open_client(cmd, e))
		return -1;
	int status = cmd->verb->run(cmd, e);
	if (status >= 0 && ql_print_flush(e))
		return -1;
	return status;
}

/* Where the verb stands among the arguments: options before it are as good as after it. */
static int
find_verb(int argc, char **argv)
{
	int i = 1;
	while (i < argc && (strcmp(argv[i], "--json") == 0 || strncmp(argv[i], "--url", 5) == 0 ||
				   strncmp(argv[i], "--key", 5) == 0))
		i += strcmp(argv[i], "--url") == 0 || strcmp(argv[i], "--key") == 0 ? 2 : 1;
	return i < argc ? i : argc;
}

static int
main_verbs(int argc, char **argv, struct ql_cmd *cmd, struct ql_err *e)
{
	int at = find_verb(argc, argv);
	const char *name = at < argc ? argv[at] : "";
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	if (!*name) {
		ql_help_all(cmd->verbs, stderr);
		return QL_EXIT_USAGE;
	}
	cmd->verb = ql_verb_find(cmd->verbs, name);
	if (!cmd->verb)
		return fail_verb(cmd->verbs, name, e);
	/* the verb's place closes up: what stood before it is read like the rest */
	memmove(argv + 2, argv + 1, sizeof(*argv) * (size_t)(at - 1));
	cmd->argc = argc - 2;
	cmd->argv = argv + 2;
	return run_verb(cmd, e);
}

int
ql_cli_main(int argc, char **argv, const struct ql_beside *beside)
{
	const struct ql_verb *verbs[QL_VERBS_MAX + 1] = {NULL};
	const struct ql_verb *const *more = beside ? beside->verbs : NULL;
	struct ql_cmd cmd = {.verbs = verbs, .beside = beside};
	struct ql_err e = {0};
	size_t count = 0;
	for (; more && *more; more++)
		verbs[count++] = *more;
	for (const struct ql_verb *const *own = ql_verbs; *own; own++) {
		assert(count < QL_VERBS_MAX);
		verbs[count++] = *own;
	}
	int status = main_verbs(argc, argv, &cmd, &e);
	if (status < 0) {
		fflush(stdout);
		ql_cli_say("%s", e.text);
		status = ql_code_exit(e.code);
		if (cmd.verb && cmd.verb->failed && status != QL_EXIT_USAGE)
			status = cmd.verb->failed;
	}
	ql_client_free(cmd.client);
	ql_cmd_done(&cmd);
	curl_global_cleanup();
	return status;
}
