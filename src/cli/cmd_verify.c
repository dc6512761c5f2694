/*
 * cmd_verify.c - tillfs verify: prove snapshots, down to every byte.
 */
#include "internal.h"
#include "tillfs/verify.h"

static void
found(void *arg, int code, const char *sentence)
{
	(void)arg;
	(void)code;
	warn_text(sentence);
}

static int
read_schedule(const struct cli *c, enum verify_schedule *ret, struct err *err)
{
	const char *text = option_value(c, OPT_SCHEDULE);

	if (text != NULL && !verify_schedule_parse(text, ret))
		return err_set(err, CLI_USAGE, "--schedule %s: give daily, weekdays or weekly",
			       text);
	return 0;
}

static int
verify(const struct cli *c, struct session *s, const struct verify_options *o, struct err *err)
{
	CLEANUP(verify_result_fini) struct verify_result result = {0};
	CLEANUP(freep) struct snapshot_name *names = NULL;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	size_t n;
	int r;

	r = verify_select(s->repo, operand(c, 0), &names, &n, err);
	if (r == 0)
		r = verify_run(s->repo, s->reader, names, n, o, &result, err);
	if (r < 0)
		return r;
	if (option_given(c, OPT_JSON))
		verify_json(s->repo, &result, &text);
	else if (!option_given(c, OPT_QUIET))
		verify_statement(s->repo, &result, &text);
	r = print_buf(&text, err);
	return r == 0 && result.failures > 0 ? EXIT_DAMAGED : r;
}

int
cmd_verify(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	struct verify_options o = {.found = found};
	int r;

	r = read_schedule(c, &o.schedule, err);
	if (r == 0)
		r = session_open_direct(c, &s, err);
	if (r == ERR_CORRUPT) {
		/* Config or ledger: nothing behind them can be proven. */
		warn("%s", err->msg);
		return EXIT_DAMAGED;
	}
	if (r < 0)
		return r;
	session_start_reading(&s);
	interrupts_catch();
	o.progress = progress_show(c);
	return verify(c, &s, &o, err);
}
