/*
 * overlay.c - which pages of a database a WAL has newer, or a hot journal has older and right.
 *
 * Formats: https://sqlite.org/fileformat2.html sections 3 and 4.  Every byte here is hostile; what
 * breaks a rule ends the WAL or journal, as it does for SQLite after a crash.
 */
#include "read.h"

#define PAGE_MIN 512u
#define PAGE_MAX 65536u

#define WAL_HEADER  32u
#define WAL_FRAME   24u
#define WAL_MAGIC   UINT32_C(0x377f0682) /* the last bit: checksums of big-endian words */
#define WAL_VERSION UINT32_C(3007000)
#define WAL_PIECE   (1u * MIB)

#define JOURNAL_HEADER 28u
#define JOURNAL_ALL    UINT32_C(0xffffffff) /* as many records as there is room for */
#define SECTOR_MIN     32u
#define LOCK_BYTE      UINT32_C(0x40000000) /* the page that holds it is never used */

static const uint8_t journal_magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool
power_of_two(uint32_t n, uint32_t min)
{
	return n >= min && n <= PAGE_MAX && (n & (n - 1)) == 0;
}

void
overlay_fini(struct overlay *o)
{
	free(o->pages);
	*o = (struct overlay){0};
}

static int
read_at(const struct db_source *s, uint64_t off, void *p, size_t len, struct err *err)
{
	return s->read(s->arg, off, p, len, err);
}

static void
add(struct overlay *o, uint32_t number, bool in_wal, uint64_t off)
{
	array_reserve(o->pages, o->n, o->cap);
	o->pages[o->n++] = (struct overlay_page){number, in_wal, off};
}

/* ---- the WAL --------------------------------------------------------------------------- */

struct wal {
	const struct db_source *source;
	bool big_endian;
	uint32_t page_size;
	uint8_t salt[8];
	uint32_t sum[2];
	uint32_t db_pages; /* after the last commit; 0: none */
	size_t committed;  /* pages of the overlay that belong to a commit */
};

static void
wal_sum(struct wal *w, const uint8_t *p, size_t len)
{
	uint32_t a = w->sum[0], b = w->sum[1];

	for (size_t i = 0; i < len; i += 8) {
		uint32_t x = be32(p + i), y = be32(p + i + 4);

		if (!w->big_endian) {
			x = __builtin_bswap32(x);
			y = __builtin_bswap32(y);
		}
		a += x + b;
		b += y + a;
	}
	w->sum[0] = a;
	w->sum[1] = b;
}

static bool
wal_sum_is(const struct wal *w, const uint8_t *p)
{
	return w->sum[0] == be32(p) && w->sum[1] == be32(p + 4);
}

static bool
wal_header(struct wal *w, const uint8_t *h)
{
	w->big_endian = (be32(h) & 1) != 0;
	w->page_size = be32(h + 8);
	memcpy(w->salt, h + 16, sizeof w->salt);
	if ((be32(h) & ~UINT32_C(1)) != WAL_MAGIC || be32(h + 4) != WAL_VERSION ||
	    !power_of_two(w->page_size, PAGE_MIN))
		return false;
	wal_sum(w, h, 24);
	return wal_sum_is(w, h + 24);
}

/* Return: false when the WAL ends before this frame. */
static bool
wal_frame(struct wal *w, struct overlay *o, const uint8_t *f, uint64_t off)
{
	uint32_t number = be32(f), db_pages = be32(f + 4);

	if (number == 0 || memcmp(f + 8, w->salt, sizeof w->salt) != 0)
		return false;
	wal_sum(w, f, 8);
	wal_sum(w, f + WAL_FRAME, w->page_size);
	if (!wal_sum_is(w, f + 16))
		return false;
	add(o, number, true, off + WAL_FRAME);
	if (db_pages > 0) {
		w->db_pages = db_pages;
		w->committed = o->n;
	}
	return true;
}

static int
wal_frames(struct wal *w, struct overlay *o, struct err *err)
{
	size_t frame = WAL_FRAME + w->page_size, per_piece = WAL_PIECE / frame;
	CLEANUP(freep) uint8_t *piece = mem_array(per_piece, frame);
	uint64_t off = WAL_HEADER;

	while (off < w->source->size) {
		size_t n = (size_t)min_u64((w->source->size - off) / frame, per_piece);
		int r;

		if (n == 0)
			return 0;
		r = read_at(w->source, off, piece, n * frame, err);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i++, off += frame)
			if (!wal_frame(w, o, piece + i * frame, off))
				return 0;
	}
	return 0;
}

static int
read_wal(const struct db_source *source, struct overlay *o, struct err *err)
{
	struct wal w = {.source = source, .committed = o->n};
	uint8_t header[WAL_HEADER];
	int r;

	if (source->size < WAL_HEADER)
		return 0;
	r = read_at(source, 0, header, sizeof header, err);
	if (r < 0 || !wal_header(&w, header))
		return r;
	r = wal_frames(&w, o, err);
	o->n = w.committed;
	if (r < 0 || w.db_pages == 0)
		return r;
	if (o->page_size != 0 && o->page_size != w.page_size)
		return err_set(err, ERR_CORRUPT,
			       "its journal has pages of %u bytes and its WAL of %u", o->page_size,
			       w.page_size);
	o->page_size = w.page_size;
	o->size = (uint64_t)w.db_pages * w.page_size;
	return 0;
}

/* ---- the rollback journal -------------------------------------------------------------- */

struct journal {
	const struct db_source *source;
	uint32_t page_size, sector, nonce, n_records;
	uint32_t db_pages;
};

/* Return: 1, 0 when the journal ends here, or what reading gives. */
static int
journal_header(struct journal *j, uint64_t off, uint32_t *ret_pages, struct err *err)
{
	uint8_t h[JOURNAL_HEADER];
	int r;

	if (j->source->size < JOURNAL_HEADER || off > j->source->size - JOURNAL_HEADER)
		return 0;
	r = read_at(j->source, off, h, sizeof h, err);
	if (r < 0)
		return r;
	if (memcmp(h, journal_magic, sizeof journal_magic) != 0)
		return 0;
	j->n_records = be32(h + 8);
	j->nonce = be32(h + 12);
	*ret_pages = be32(h + 16);
	if (off > 0)
		return 1;
	j->sector = be32(h + 20);
	j->page_size = be32(h + 24);
	return power_of_two(j->page_size, PAGE_MIN) && power_of_two(j->sector, SECTOR_MIN);
}

static uint32_t
journal_sum(const struct journal *j, const uint8_t *page)
{
	uint32_t sum = j->nonce;

	for (uint32_t i = j->page_size - 200; i > 0; i = i > 200 ? i - 200 : 0)
		sum += page[i];
	return sum;
}

/* Return: 1, 0 when the journal ends before this record, or what reading gives. */
static int
journal_record(const struct journal *j, struct overlay *o, uint8_t *record, uint64_t off,
	       struct err *err)
{
	size_t len = j->page_size + 8u;
	uint32_t number;
	int r;

	if (j->source->size < len || off > j->source->size - len)
		return 0;
	r = read_at(j->source, off, record, len, err);
	if (r < 0)
		return r;
	number = be32(record);
	if (number == 0 || number == LOCK_BYTE / j->page_size + 1)
		return 0;
	if (journal_sum(j, record + 4) != be32(record + 4 + j->page_size))
		return 0;
	if (number <= j->db_pages)
		add(o, number, false, off + 4);
	return 1;
}

/* The records behind one header.  Return: 1, 0 when the journal ends, or what reading gives. */
static int
journal_records(const struct journal *j, struct overlay *o, uint64_t *off, struct err *err)
{
	CLEANUP(freep) uint8_t *record = mem_alloc(j->page_size + 8u);
	uint64_t n = j->n_records;
	int r = 1;

	if (n == JOURNAL_ALL)
		n = (j->source->size - min_u64(*off, j->source->size)) / (j->page_size + 8u);
	for (uint64_t i = 0; i < n && r > 0; i++) {
		r = journal_record(j, o, record, *off, err);
		*off += j->page_size + 8u;
	}
	return r;
}

/*
 * A journal whose first header is whole is hot, if the database has any pages: the snapshot was
 * taken in the middle of a transaction.
 */
static int
read_journal(const struct db_files *files, struct overlay *o, struct err *err)
{
	struct journal j = {.source = &files->journal};
	uint32_t ignored;
	uint64_t off;
	int r;

	r = journal_header(&j, 0, &j.db_pages, err);
	if (r <= 0)
		return r;
	o->page_size = j.page_size;
	o->size = (uint64_t)j.db_pages * j.page_size;
	for (off = 0; r > 0;) {
		off += j.sector;
		r = journal_records(&j, o, &off, err);
		off = (off + j.sector - 1) / j.sector * j.sector;
		if (r > 0)
			r = journal_header(&j, off, &ignored, err);
	}
	return r;
}

/* ---- the whole ------------------------------------------------------------------------- */

/* The one that counts of a page comes first: the WAL's last, else the journal's first. */
static int
compare_pages(const void *a, const void *b)
{
	const struct overlay_page *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->in_wal != y->in_wal)
		return x->in_wal ? -1 : 1;
	if (x->off == y->off)
		return 0;
	return (x->off < y->off) == x->in_wal ? 1 : -1;
}

static void
sort_pages(struct overlay *o)
{
	size_t n = 0;

	if (o->n > 0)
		qsort(o->pages, o->n, sizeof *o->pages, compare_pages);
	for (size_t i = 0; i < o->n; i++)
		if (n == 0 || o->pages[n - 1].number != o->pages[i].number)
			o->pages[n++] = o->pages[i];
	o->n = n;
}

int
overlay_build(const struct db_files *files, struct overlay *ret, struct err *err)
{
	int r;

	*ret = (struct overlay){0};
	/* For SQLite too, companions of an empty file are leftovers. */
	if (files->main.size == 0)
		return 0;
	r = read_journal(files, ret, err);
	if (r == 0)
		r = read_wal(&files->wal, ret, err);
	if (r < 0) {
		overlay_fini(ret);
		return r;
	}
	sort_pages(ret);
	return 0;
}

uint64_t
overlay_size(const struct overlay *o, const struct db_files *files)
{
	return o->page_size != 0 ? o->size : files->main.size;
}

static const struct overlay_page *
find(const struct overlay *o, uint64_t number)
{
	size_t low = 0, high = o->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->pages[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low < o->n && o->pages[low].number == number ? &o->pages[low] : NULL;
}

/* From the file itself, zeros behind its end: a database may have been cut by a transaction. */
static int
read_main(const struct db_files *files, uint64_t off, uint8_t *p, size_t len, struct err *err)
{
	size_t there = off < files->main.size ? (size_t)min_u64(len, files->main.size - off) : 0;

	memset(p + there, 0, len - there);
	return there > 0 ? read_at(&files->main, off, p, there, err) : 0;
}

int
overlay_read(const struct overlay *o, const struct db_files *files, uint64_t off, void *p,
	     size_t len, struct err *err)
{
	uint8_t *to = p;
	int r = 0;

	if (o->page_size == 0)
		return read_main(files, off, to, len, err);
	while (len > 0 && r == 0) {
		uint64_t in_page = off % o->page_size;
		size_t n = (size_t)min_u64(len, o->page_size - in_page);
		const struct overlay_page *x = find(o, off / o->page_size + 1);

		if (x == NULL)
			r = read_main(files, off, to, n, err);
		else
			r = read_at(x->in_wal ? &files->wal : &files->journal, x->off + in_page, to,
				    n, err);
		off += n;
		to += n;
		len -= n;
	}
	return r;
}
