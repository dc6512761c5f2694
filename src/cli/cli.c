/*
 * cli.c - find the command, run it, say what went wrong, pick the exit status.
 */
#include "tillfs/cli.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "internal.h"
#include "tillfs/seal.h"

/* Keys and plaintext must not end in a core file, nor in a debugger of the same user. */
static void
forbid_core_dumps(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) /* the leak check attaches to its own process */
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

/*
 * Measured: with an arena a thread the mount's peak is a third higher and nothing is faster.  These
 * are hints; glibc may refuse them.
 */
static void
tune_memory(void)
{
	(void)mallopt(M_ARENA_MAX, 2);
}

static void
help(const struct cli *c)
{
	if (c->command != NULL)
		help_command(c->command);
	else if (c->family != NULL)
		help_family(c->family);
	else
		help_overview();
}

/* The sentence of a usage error, and where to read more. */
static void
complain_usage(const struct cli *c, const struct err *err)
{
	const char *name = c->command != NULL ? c->command->name : c->family;

	warn("%s", err->msg);
	warn("see: tillfs %s%s--help", name != NULL ? name : "", name != NULL ? " " : "");
}

static int
run(struct cli *c, struct err *err)
{
	int r;

	r = config_load(option_value(c, OPT_CONFIG), &c->config, err);
	if (r < 0)
		return err_add(err, r, "configuration");
	if (option_given(c, OPT_VERBOSE))
		log_to_stderr(c->options[OPT_VERBOSE].n > 1 ? LOG_DEBUG : LOG_INFO);
	return c->command->run(c, err);
}

static int
main_with(int argc, char **argv)
{
	CLEANUP(cli_fini) struct cli c = {0};
	struct err err = ERR_INIT;
	int r;

	r = arguments_parse(&c, argc, argv, &err);
	if (r == 0 && option_given(&c, OPT_HELP)) {
		help(&c);
	} else if (r == 0 && option_given(&c, OPT_VERSION)) {
		printf("tillfs %s\n", TILLFS_VERSION);
	} else if (r == 0) {
		passphrase_take(&c);
		r = run(&c, &err);
		passphrase_forget();
		progress_clear();
	}
	if (r == CLI_USAGE) {
		complain_usage(&c, &err);
		return EXIT_USAGE;
	}
	if (r < 0) {
		warn("%s", err.msg);
		return EXIT_FAILED;
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		warn("writing to standard output failed");
		return EXIT_FAILED;
	}
	return r;
}

int
cli_main(int argc, char **argv)
{
	static const char helper[] = "mount.tillfs";
	size_t len = argc > 0 ? strlen(argv[0]) : 0;
	struct words words = {0};
	int status;

	forbid_core_dumps();
	tune_memory();
	seal_start();
	if (len < strlen(helper) || strcmp(argv[0] + len - strlen(helper), helper) != 0)
		return main_with(argc, argv);
	mount_helper_arguments(argc, argv, &words);
	status = main_with((int)words.n, (char **)words.v);
	free(words.v);
	return status;
}
