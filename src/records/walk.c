/*
 * walk.c - one question asked of version after version of a database.
 *
 * SQLite's answer depends on the pages that it read and on nothing else.  The first page is read
 * for every answer and changes with every transaction, in counters that no answer depends on; so of
 * it only the rest is compared.
 */
#include "records/internal.h"

#include "tillfs/differ.h"

#define UNIT_LEN   512u /* the smallest page: what was read is kept in units of that */
#define HEADER_LEN 100u

struct records_walk {
	struct records_host *host;
	struct records_limits limits;
	records_ask_fn *fn;
	void *arg;
	const struct records_files *last; /* the version before; NULL: none, or not known */
	bool answered;                    /* it had an answer */
	struct buf answer;                /* the last one */
	uint8_t *touched; /* a bit a unit of the file: the last answer came from it */
	uint64_t n_units;
};

struct records_walk *
records_walk_new(struct records_host *h, const struct records_limits *limits, records_ask_fn *fn,
		 void *arg)
{
	struct records_walk *w = mem_alloc(sizeof *w);

	w->host = h;
	w->limits = *limits;
	w->fn = fn;
	w->arg = arg;
	return w;
}

void
records_walk_free(struct records_walk *w)
{
	if (w == NULL)
		return;
	buf_fini(&w->answer);
	free(w->touched);
	free(w);
}

/* ---- what an answer came from ---- */

static void
note_read(void *arg, uint64_t off, uint64_t len)
{
	struct records_walk *w = arg;

	for (uint64_t i = off / UNIT_LEN; i <= (off + len - 1) / UNIT_LEN && i < w->n_units; i++)
		w->touched[i / 8] |= (uint8_t)(1u << (i % 8));
}

struct checking {
	const struct records_walk *w;
	uint64_t page_size;
	bool affected;
};

static int
check_difference(void *arg, uint64_t off, uint64_t len, struct err *err)
{
	struct checking *c = arg;
	uint64_t end = off + len;

	(void)err;
	off = max_u64(off, c->page_size); /* the first page is looked at by itself */
	for (uint64_t i = off / UNIT_LEN; i * UNIT_LEN < end && !c->affected; i++)
		c->affected = i < c->w->n_units && (c->w->touched[i / 8] >> (i % 8) & 1) != 0;
	return 0;
}

/* The first page without what changes with every transaction.  @ret: replaced. */
static int
first_page(struct tree_file *f, struct buf *ret, struct err *err)
{
	static const struct {
		uint8_t off, len;
	} counters[] = {{24, 4}, {28, 4}, {32, 8}, {92, 8}};
	uint8_t header[HEADER_LEN];
	uint64_t page_size;
	size_t got;
	int r = tree_file_read(f, 0, header, sizeof header, &got, err);

	if (r < 0)
		return r;
	if (got < sizeof header)
		return err_set(err, ERR_CORRUPT, "the database ends in its header");
	page_size = (uint64_t)header[16] << 8 | header[17];
	page_size = page_size == 1 ? 65536 : page_size;
	buf_reset(ret);
	r = tree_file_read(f, 0, buf_extend(ret, page_size), page_size, &got, err);
	if (r == 0 && (got != page_size || page_size < UNIT_LEN))
		r = err_set(err, ERR_CORRUPT, "the database ends in its first page");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(counters); i++)
		memset(ret->p + counters[i].off, 0, counters[i].len);
	return r;
}

/* Whether the answer is the same for sure. */
static int
is_unaffected(struct records_walk *w, const struct records_files *files, bool *ret, struct err *err)
{
	CLEANUP(buf_fini) struct buf before = BUF_INIT;
	CLEANUP(buf_fini) struct buf now = BUF_INIT;
	struct checking c = {.w = w};
	int r;

	*ret = false;
	if (w->last == NULL || w->last->wal != NULL || w->last->journal != NULL ||
	    files->wal != NULL || files->journal != NULL)
		return 0;
	r = first_page(w->last->main, &before, err);
	if (r == 0)
		r = first_page(files->main, &now, err);
	if (r < 0 || !slice_equal(buf_slice(&before), buf_slice(&now)))
		return r;
	c.page_size = before.len;
	r = tree_file_differences(w->last->main, files->main, check_difference, &c, err);
	*ret = r == 0 && !c.affected;
	return r;
}

/* ---- asking ---- */

static int
ask(struct records_walk *w, const struct records_files *files, struct buf *ret, struct err *err)
{
	CLEANUP(records_closep) struct records_db *db = NULL;
	struct records_limits limits = w->limits;
	int r;

	limits.on_read = note_read;
	limits.on_read_arg = w;
	w->n_units = tree_file_size(files->main) / UNIT_LEN + 1;
	free(w->touched);
	w->touched = mem_alloc(w->n_units / 8 + 1);
	r = records_open(w->host, files, 1, &limits, &db, err);
	return r < 0 ? r : w->fn(w->arg, db, ret, err);
}

void
records_walk_absent(struct records_walk *w)
{
	w->last = NULL;
	w->answered = false;
}

int
records_walk_step(struct records_walk *w, const struct records_files *files, enum version_step *ret,
		  struct err *err)
{
	CLEANUP(buf_fini) struct buf answer = BUF_INIT;
	bool unaffected = false, same;
	int r = is_unaffected(w, files, &unaffected, err);

	if (r == 0 && unaffected) {
		w->last = files;
		*ret = w->answered ? VERSION_SAME : VERSION_ABSENT;
		return 0;
	}
	if (r == 0)
		r = ask(w, files, &answer, err);
	if (r < 0 && r != ERR_NOENT) {
		records_walk_absent(w);
		return r;
	}
	w->last = files;
	same = r == 0 && w->answered && slice_equal(buf_slice(&answer), buf_slice(&w->answer));
	w->answered = r == 0;
	*ret = r == ERR_NOENT ? VERSION_ABSENT : same ? VERSION_SAME : VERSION_CHANGED;
	if (*ret == VERSION_CHANGED)
		buf_move(&w->answer, &answer);
	return 0;
}

struct slice
records_walk_answer(const struct records_walk *w)
{
	return buf_slice(&w->answer);
}
