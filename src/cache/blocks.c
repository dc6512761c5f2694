/*
 * blocks.c - headers and blocks of packs, in their files.
 *
 * Layer 3.
 */
#include <errno.h>
#include <unistd.h>

#include "cache/internal.h"

/* Both: whether all of it was read or written. */
static bool
read_at(int fd, void *p, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (uint8_t *)p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool
write_at(int fd, const void *p, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const uint8_t *)p + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* ---- headers */

bool
diskcache_header_get(struct diskcache *c, const struct diskcache_pack *p, struct buf *ret)
{
	uint64_t size;
	struct pack_file *f = pack_file_get(c, p, false, &size);
	uint8_t mark = 0;
	bool ok = false;

	buf_reset(ret);
	if (f == NULL)
		return false;
	if (size >= FILE_DATA + p->header_len && read_at(f->fd, &mark, 1, FILE_MARKS) && mark == 1)
		ok = read_at(f->fd, buf_extend(ret, p->header_len), p->header_len, FILE_DATA);
	pack_file_put(c, f);
	if (!ok)
		buf_reset(ret);
	return ok;
}

/* Ends what index_reserve allowed. */
static void
stored(struct diskcache *c, const struct diskcache_pack *p, uint64_t bytes)
{
	CLEANUP(freep) char *name = pack_file_name(&p->id);

	index_stored(c, name, bytes);
}

void
diskcache_header_put(struct diskcache *c, const struct diskcache_pack *p, struct slice bytes)
{
	struct pack_file *f;
	uint64_t size;

	if (bytes.len < p->header_len || !cache_may_store(c) || !index_reserve(c, p->header_len))
		return;
	f = pack_file_get(c, p, true, &size);
	if (f != NULL && f->writable &&
	    !(write_at(f->fd, bytes.p, p->header_len, FILE_DATA) &&
	      write_at(f->fd, "\1", 1, FILE_MARKS)))
		cache_store_failed(c, "a pack's header");
	if (f != NULL)
		pack_file_put(c, f);
	stored(c, p, p->header_len);
}

/* ---- blocks */

/* Marks of @n blocks; those behind the file's end are not there whatever they say. */
static uint64_t
read_marks(const struct pack_file *f, uint64_t size, uint32_t first, uint32_t n)
{
	const struct diskcache_pack *p = &f->pack;
	uint8_t marks[DISKCACHE_RUN_MAX];
	uint64_t which = 0;

	if (!read_at(f->fd, marks, n, FILE_MARKS + 1 + first))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (marks[i] == 1 &&
		    size >= pack_block_at(p, first + i) + pack_block_len(p, first + i))
			which |= UINT64_C(1) << i;
	return which;
}

static bool
range_ok(const struct diskcache_pack *p, uint32_t first, uint32_t n)
{
	return n <= DISKCACHE_RUN_MAX && first <= pack_blocks(p) && n <= pack_blocks(p) - first;
}

uint64_t
diskcache_blocks_has(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
		     uint32_t n)
{
	struct pack_file *f;
	uint64_t size, which;

	if (!range_ok(p, first, n))
		return 0;
	f = pack_file_get(c, p, false, &size);
	if (f == NULL)
		return 0;
	which = read_marks(f, size, first, n);
	pack_file_put(c, f);
	return which;
}

/* The end of the stretch of equal bits that begins at @i. */
static uint32_t
stretch_end(uint64_t which, uint32_t i, uint32_t n)
{
	uint32_t end = i + 1;

	while (end < n && (which >> end & 1) == (which >> i & 1))
		end++;
	return end;
}

/* Where blocks [from, to) of a run end: the last of a pack is shorter. */
static size_t
stretch_len(const struct diskcache_pack *p, uint32_t from, uint32_t to)
{
	return (size_t)(to - 1 - from) * PACK_BLOCK_LEN + pack_block_len(p, to - 1);
}

uint64_t
diskcache_blocks_get(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
		     uint32_t n, uint8_t *ret)
{
	struct pack_file *f;
	uint64_t size, which, got = 0;
	unsigned hits;

	if (!range_ok(p, first, n) || n == 0)
		return 0;
	f = pack_file_get(c, p, false, &size);
	which = f != NULL ? read_marks(f, size, first, n) : 0;
	for (uint32_t i = 0, end; i < n; i = end) {
		end = stretch_end(which, i, n);
		if ((which >> i & 1) &&
		    read_at(f->fd, ret + (size_t)i * PACK_BLOCK_LEN,
			    stretch_len(p, first + i, first + end), pack_block_at(p, first + i)))
			for (uint32_t k = i; k < end; k++)
				got |= UINT64_C(1) << k;
	}
	if (f != NULL)
		pack_file_put(c, f);
	hits = (unsigned)__builtin_popcountll(got);
	cache_count(c, &c->stats.blocks_hit, hits);
	cache_count(c, &c->stats.blocks_missed, n - hits);
	return got;
}

void
diskcache_count_missed(struct diskcache *c, uint32_t n)
{
	cache_count(c, &c->stats.blocks_missed, n);
}

void
diskcache_blocks_drop(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
		      uint64_t which)
{
	unsigned n = (unsigned)__builtin_popcountll(which);
	struct pack_file *f;
	uint64_t size;

	log_write(LOG_WARN, "cache: %u blocks of pack %s don't match their hashes: dropped", n,
		  hex_short(&p->id.h).s);
	cache_count(c, &c->stats.blocks_rotten, n);
	f = pack_file_get(c, p, false, &size);
	if (f == NULL)
		return;
	for (uint32_t i = 0; i < 64 && first + i < pack_blocks(p); i++)
		if (f->writable && (which >> i & 1))
			(void)write_at(f->fd, "", 1, FILE_MARKS + 1 + first + i);
	pack_file_put(c, f);
}

/* Bytes, then marks. */
static bool
write_stretch(const struct pack_file *f, uint32_t from, uint32_t to, const uint8_t *bytes)
{
	uint8_t marks[DISKCACHE_RUN_MAX];

	memset(marks, 1, sizeof marks);
	return write_at(f->fd, bytes, stretch_len(&f->pack, from, to),
			pack_block_at(&f->pack, from)) &&
	       write_at(f->fd, marks, to - from, FILE_MARKS + 1 + from);
}

/* Return: whether all of @which is written. */
static bool
write_blocks(const struct pack_file *f, uint32_t first, uint32_t n, uint64_t which,
	     const uint8_t *bytes)
{
	for (uint32_t i = 0, end; i < n; i = end) {
		end = stretch_end(which, i, n);
		if ((which >> i & 1) &&
		    !write_stretch(f, first + i, first + end, bytes + (size_t)i * PACK_BLOCK_LEN))
			return false;
	}
	return true;
}

void
diskcache_blocks_put(struct diskcache *c, const struct diskcache_pack *p, uint32_t first,
		     uint32_t n, uint64_t which, const uint8_t *bytes)
{
	uint64_t len = (uint64_t)__builtin_popcountll(which) * PACK_BLOCK_LEN;
	struct pack_file *f;
	uint64_t size;

	if (which == 0 || !range_ok(p, first, n) || !cache_may_store(c) || !index_reserve(c, len))
		return;
	f = pack_file_get(c, p, true, &size);
	if (f != NULL && f->writable) {
		if (write_blocks(f, first, n, which, bytes))
			cache_count(c, &c->stats.bytes_stored, len);
		else
			cache_store_failed(c, "blocks of a pack");
	}
	if (f != NULL)
		pack_file_put(c, f);
	stored(c, p, len);
}
