/*
 * fuzz_overlay.c - what a WAL and a hot journal lay over a database.
 *
 * Two u32le lengths, of the file and of the WAL, then these, then the journal.  Whatever they say,
 * only ranges inside the sources are read, and every page stands there once.
 */
#include "db/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
read_inside(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	const struct slice *s = arg;

	(void)err;
	if (off > s->len || len > s->len - off)
		abort();
	if (len > 0)
		memcpy(p, s->p + off, len);
	return 0;
}

static struct slice
take(const uint8_t **p, size_t *left, size_t len)
{
	struct slice s = {*p, min_u64(len, *left)};

	*p += s.len;
	*left -= s.len;
	return s;
}

static size_t
take_length(const uint8_t **p, size_t *left)
{
	struct slice s = take(p, left, 4);
	size_t n = 0;

	for (size_t i = s.len; i-- > 0;)
		n = n << 8 | s.p[i];
	return n;
}

static void
check_pages(const struct overlay *o)
{
	if (o->n > 0 && o->page_size == 0)
		abort();
	for (size_t i = 0; i < o->n; i++)
		if (o->pages[i].number == 0 ||
		    (i > 0 && o->pages[i].number <= o->pages[i - 1].number))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t main_len = take_length(&data, &len), wal_len = take_length(&data, &len);
	struct slice parts[3] = {take(&data, &len, main_len), take(&data, &len, wal_len)};
	struct db_files files = {.main = {parts[0].len, read_inside, &parts[0]},
				 .wal = {parts[1].len, read_inside, &parts[1]},
				 .journal = {len, read_inside, &parts[2]}};
	CLEANUP(overlay_fini) struct overlay o = {0};
	struct err err = ERR_INIT;
	uint8_t piece[700];

	parts[2] = slice_of(data, len);
	if (overlay_build(&files, &o, &err) < 0) {
		if (err.code >= 0 || err.msg[0] == '\0')
			abort();
		return 0;
	}
	check_pages(&o);
	for (uint64_t off = 0, n; off < overlay_size(&o, &files) && off < 64 * KIB; off += n) {
		n = min_u64(sizeof piece, overlay_size(&o, &files) - off);
		if (overlay_read(&o, &files, off, piece, n, &err) < 0)
			abort();
	}
	return 0;
}
