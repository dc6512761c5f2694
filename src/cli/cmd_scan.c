/*
 * cmd_scan.c - tillfs scan: which files have card numbers in them.
 */
#include <inttypes.h>
#include <unistd.h>

#include "scan.h"

void
scan_found(struct scanning *s, struct slice path, const struct scan_counts *counts)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT, words = BUF_INIT;

	s->files++;
	if (counts->cards + counts->tracks == 0)
		return;
	s->all.cards += counts->cards;
	s->all.tracks += counts->tracks;
	s->with_cards++;
	if (option_given(s->c, OPT_JSON)) {
		buf_append_str(&s->json,
			       s->with_cards > 1 ? ",\n  {\"path\": " : "\n  {\"path\": ");
		json_append_string(&s->json, path);
		buf_appendf(&s->json, ", \"cards\": %" PRIu64 ", \"tracks\": %" PRIu64 "}",
			    counts->cards, counts->tracks);
		return;
	}
	scan_describe(counts, &words);
	append_name(&text, path);
	buf_append_str(&text, ": ");
	buf_append(&text, words.p, words.len);
	buf_append_u8(&text, '\n');
	s->output_failed |= print_buf(&text, NULL) < 0;
}

void
scan_not_read(struct scanning *s, struct slice path, const char *why)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;

	s->not_read++;
	buf_append_str(&text, "not read: ");
	text_append_safe(&text, path);
	buf_append_str(&text, ": ");
	buf_append_str(&text, why);
	warn_text(buf_cstr(&text));
}

int
scan_files(const struct db_files *files, struct scan_counts *ret, struct err *err)
{
	CLEANUP(db_read_closep) struct db_read *db = NULL;
	const struct db_limits limits = {.value = SCAN_VALUE_MAX};
	int r;

	*ret = (struct scan_counts){0};
	r = db_read_open(files, 1, &limits, &db, err);
	return r < 0 ? r : scan_database(db, ret, err);
}

static int
finish(struct scanning *s, struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r;

	if (option_given(s->c, OPT_JSON)) {
		buf_appendf(&text,
			    "{\"files\": %" PRIu64 ", \"not_read\": %" PRIu64
			    ", \"cards\": %" PRIu64 ", \"tracks\": %" PRIu64 ",\n \"found\": [",
			    s->files, s->not_read, s->all.cards, s->all.tracks);
		buf_append(&text, s->json.p, s->json.len);
		buf_append_str(&text, s->with_cards > 0 ? "\n ]}\n" : "]}\n");
	} else if (!option_given(s->c, OPT_QUIET)) {
		append_count(&text, s->files, "file", "files");
		buf_append_str(&text, " looked at, card data in ");
		append_count(&text, s->with_cards, "file", "files");
		buf_append_u8(&text, '\n');
	}
	r = print_buf(&text, err);
	if (r == 0 && s->output_failed)
		r = err_set(err, ERR_IO, "writing to standard output failed");
	if (r < 0)
		return r;
	return s->with_cards > 0 ? EXIT_DAMAGED : s->not_read > 0 ? EXIT_UNREADABLE : EXIT_DONE;
}

int
cmd_scan(struct cli *c, struct err *err)
{
	CLEANUP(records_host_stopp) struct records_host *host = NULL;
	struct scanning s = {.c = c};
	int r = records_host_start(passphrase_forget, &host, err);

	s.host = host;
	for (size_t i = 0; r == 0 && i < c->operands.n; i++) {
		const char *what = operand(c, i);

		/* A name in this folder wins over a snapshot's. */
		if (access(what, F_OK) == 0 || strchr(what, '/') == what || what[0] == '.')
			r = scan_path(&s, what, err);
		else
			r = scan_snapshot(&s, what, err);
	}
	if (r == 0)
		r = finish(&s, err);
	buf_fini(&s.json);
	return r;
}
