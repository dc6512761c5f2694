/*
 * cmd_check.c - tillfs check: look for damage.
 */
#include <inttypes.h>

#include "internal.h"
#include "tillfs/check.h"

/* Findings, printed as they come, and kept for JSON. */
struct findings {
	struct buf json;
	size_t n;
};

static void
findings_fini(struct findings *f)
{
	buf_fini(&f->json);
}

static void
found(void *arg, int code, const char *sentence)
{
	struct findings *f = arg;

	warn_text(sentence);
	buf_append_str(&f->json, f->n++ > 0 ? ",\n  {" : "\n  {");
	append_json_text(&f->json, "kind", err_name(code));
	buf_append_str(&f->json, ", ");
	append_json_text(&f->json, "text", sentence);
	buf_append_u8(&f->json, '}');
}

static void
append_words(struct buf *b, const struct check_result *r, bool read_data)
{
	append_count(b, r->snapshots, "snapshot", "snapshots");
	buf_append_str(b, ", ");
	append_count(b, r->packs, "pack", "packs");
	buf_append_str(b, ", ");
	append_count(b, r->objects, "object", "objects");
	buf_append_str(b, " of ");
	text_append_bytes(b, r->bytes);
	buf_append_str(b, read_data ? ", all read: " : ": ");
	if (r->damaged == 0)
		buf_append_str(b, "no damage found\n");
	else
		buf_appendf(b, "%" PRIu64 " times DAMAGE found\n", r->damaged);
	if (r->unreferenced > 0) {
		append_count(b, r->unreferenced, "pack is", "packs are");
		buf_append_str(
			b, " needed by no snapshot: harmless, left by runs that were broken off\n");
	}
}

static void
append_json(struct buf *b, const struct check_result *r, struct findings *f)
{
	buf_appendf(b,
		    "{\"snapshots\": %" PRIu64 ", \"packs\": %" PRIu64 ", \"objects\": %" PRIu64
		    ", \"bytes\": %" PRIu64 ", \"damaged\": %" PRIu64 ", \"unreferenced\": %" PRIu64
		    ",\n \"findings\": [%s]}\n",
		    r->snapshots, r->packs, r->objects, r->bytes, r->damaged, r->unreferenced,
		    buf_cstr(&f->json));
}

int
cmd_check(struct cli *c, struct err *err)
{
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(findings_fini) struct findings findings = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct check_options o = {.read_data = option_given(c, OPT_READ_DATA),
				  .found = found,
				  .found_arg = &findings};
	struct check_result result;
	int r;

	r = session_open_silent(c, &s, err);
	if (r == ERR_CORRUPT) {
		/* Config or ledger: nothing behind them can be trusted, so nothing is checked. */
		warn("%s", err->msg);
		return EXIT_DAMAGED;
	}
	if (r < 0)
		return r;
	session_start_reading(&s);
	interrupts_catch();
	o.progress = progress_show(c);
	r = check_run(s.repo, s.reader, &o, &result, err);
	if (r < 0)
		return r;
	if (option_given(c, OPT_JSON))
		append_json(&text, &result, &findings);
	else if (!option_given(c, OPT_QUIET))
		append_words(&text, &result, o.read_data);
	r = print_buf(&text, err);
	return r == 0 && result.damaged > 0 ? EXIT_DAMAGED : r;
}
