/*
 * cmd_cost.c - tillfs cost: what a copy would fetch from the store now.
 */
#include <inttypes.h>

#include "internal.h"
#include "tillfs/footprint.h"

static void
append_json(struct buf *b, const struct footprint *f, const struct footprint_cost *k,
	    const struct prices *prices)
{
	buf_appendf(b,
		    "{\"files\": %" PRIu64 ", \"folders\": %" PRIu64 ", \"content\": %" PRIu64
		    ", \"bytes\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"cached\": %" PRIu64,
		    f->files, f->folders, f->content, k->bytes, k->requests, k->cached);
	if (prices_known(prices))
		buf_appendf(b, ", \"cost\": %.6f", prices_cost(prices, k->bytes, k->requests));
	buf_append_str(b, "}\n");
}

static void
append_words(struct buf *b, const struct footprint *f, const struct footprint_cost *k,
	     const struct prices *prices)
{
	buf_append_str(b, "To copy ");
	append_count(b, f->files, "file", "files");
	buf_append_str(b, " of ");
	text_append_bytes(b, f->content);
	buf_append_str(b, ", ");
	text_append_bytes(b, k->bytes);
	buf_append_str(b, " would be fetched in at least ");
	append_count(b, k->requests, "request", "requests");
	buf_append_str(b, "; ");
	text_append_bytes(b, k->cached);
	buf_append_str(b, " are in the cache.\n");
	if (prices_known(prices))
		buf_appendf(b, "Price: %.4f\n", prices_cost(prices, k->bytes, k->requests));
}

int
cmd_cost(struct cli *c, struct err *err)
{
	CLEANUP(footprint_watch_freep) struct footprint_watch *watch = footprint_watch_new();
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target t = {0};
	CLEANUP(footprint_fini) struct footprint f = {0};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct footprint_cost cost;
	struct progress_sink sink;
	struct prices prices;
	int r = prices_read(c, &prices, err);

	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_watching(&s, watch);
	r = target_open(&s, operand(c, 0), &t, err);
	if (r < 0)
		return r;
	interrupts_catch();
	sink = progress_show(c);
	r = footprint_measure(watch, s.reader, t.opened, t.path, &sink, &f, err);
	progress_clear();
	if (r < 0)
		return r;
	transfer_settle(s.transfer);
	footprint_cost(&f, s.transfer, s.cache, &cost);
	if (option_given(c, OPT_JSON))
		append_json(&text, &f, &cost, &prices);
	else
		append_words(&text, &f, &cost, &prices);
	return print_buf(&text, err);
}
