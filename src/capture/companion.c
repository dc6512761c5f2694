/*
 * companion.c - what stands beside a database: its write-ahead log and its rollback journal.
 *
 * Layer 4.  Source: sqlite.org/fileformat2.html sections 3 and 4.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tillfs/capture.h"
#include "tillfs/seal.h"

#define WAL_MAGIC   0x377f0682u /* the last bit: checksums are big-endian */
#define WAL_VERSION 3007000u

static uint32_t
u32be(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
u32le(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* ---- the write-ahead log ---- */

static bool
checksum_fits(const struct wal_header *h, const uint8_t *p)
{
	uint32_t a = 0, b = 0;

	for (size_t i = 0; i < 24; i += 8) {
		a += (h->big_endian ? u32be(p + i) : u32le(p + i)) + b;
		b += (h->big_endian ? u32be(p + i + 4) : u32le(p + i + 4)) + a;
	}
	return u32be(p + 24) == a && u32be(p + 28) == b;
}

bool
wal_header_parse(struct slice bytes, struct wal_header *ret)
{
	const uint8_t *p = bytes.p;
	uint32_t size;

	*ret = (struct wal_header){0};
	if (bytes.len < WAL_HEADER_LEN || (u32be(p) & ~1u) != WAL_MAGIC ||
	    u32be(p + 4) != WAL_VERSION)
		return false;
	size = u32be(p + 8);
	if (size < 512 || size > 65536 || (size & (size - 1)) != 0)
		return false;
	*ret = (struct wal_header){.page_size = size,
				   .salt = {u32be(p + 16), u32be(p + 20)},
				   .big_endian = (u32be(p) & 1) != 0};
	if (checksum_fits(ret, p))
		return true;
	*ret = (struct wal_header){0};
	return false;
}

bool
wal_frame_is_of(const struct wal_header *h, struct slice bytes)
{
	return bytes.len >= WAL_FRAME_HEADER_LEN && u32be(bytes.p) != 0 &&
	       u32be(bytes.p + 8) == h->salt[0] && u32be(bytes.p + 12) == h->salt[1];
}

bool
journal_is_filled(struct slice bytes)
{
	static const uint8_t magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};

	return bytes.len >= JOURNAL_HEADER_LEN && memcmp(bytes.p, magic, sizeof magic) == 0;
}

/* ---- names ---- */

static const char *const suffixes[] = {"-wal", "-shm", "-journal"};

size_t
capture_companion_base(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && memcmp(name + len - n, suffixes[i], n) == 0)
			return len - n;
	}
	return 0;
}

static int
open_quietly(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

static bool
read_at(int fd, uint64_t off, void *p, size_t len)
{
	ssize_t n;

	do
		n = pread(fd, p, len, (off_t)off);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

bool
capture_is_companion(int dirfd, const char *name)
{
	CLEANUP(closep) int fd = open_quietly(dirfd, name);
	struct wal_header h;
	uint8_t head[WAL_HEADER_LEN];

	if (fd < 0 || !read_at(fd, 0, head, sizeof head))
		return false;
	return wal_header_parse(slice_of(head, sizeof head), &h) ||
	       journal_is_filled(slice_of(head, sizeof head));
}

/* ---- marks ---- */

/*
 * Frames of the log as it is stand before those left over from one that was begun anew, so half of
 * what is left can be ruled out at each look.
 */
static bool
count_frames(int fd, const struct wal_header *h, uint64_t size, uint64_t *ret,
	     uint8_t last[WAL_FRAME_HEADER_LEN])
{
	uint64_t stride = WAL_FRAME_HEADER_LEN + h->page_size;
	uint64_t lo = 0, hi = (size - WAL_HEADER_LEN) / stride;

	memset(last, 0, WAL_FRAME_HEADER_LEN);
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		uint8_t frame[WAL_FRAME_HEADER_LEN];

		if (!read_at(fd, WAL_HEADER_LEN + mid * stride, frame, sizeof frame))
			return false;
		if (wal_frame_is_of(h, slice_of(frame, sizeof frame))) {
			memcpy(last, frame, sizeof frame);
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	*ret = lo;
	return true;
}

/*
 * A frame's header holds a checksum over all frames up to it, so it stands for them; but frames of
 * a transaction that was rolled back look like those of the log, and later commits overwrite the
 * first of them only.  The file's time of writing tells of that.  (Not its time of change: SQLite
 * sets the owner of a log that it opens as root.)
 */
static bool
mark_of(int fd, const struct stat *st, struct capture_mark *ret)
{
	uint64_t size = (uint64_t)st->st_size;
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	uint8_t head[WAL_HEADER_LEN], last[WAL_FRAME_HEADER_LEN];
	struct wal_header h;
	uint64_t frames;

	if (!read_at(fd, 0, head, sizeof head) ||
	    !wal_header_parse(slice_of(head, sizeof head), &h) ||
	    !count_frames(fd, &h, size, &frames, last))
		return false;
	buf_append(&b, head, sizeof head);
	buf_append_u64le(&b, size);
	buf_append_u64le(&b, frames);
	buf_append_u64le(&b, (uint64_t)st->st_mtim.tv_sec);
	buf_append_u64le(&b, (uint64_t)st->st_mtim.tv_nsec);
	buf_append_u64le(&b, st->st_ino);
	buf_append(&b, last, sizeof last);
	seal_hash(b.p, b.len, &ret->h);
	return true;
}

bool
capture_mark(int dirfd, const char *name, struct capture_mark *ret)
{
	CLEANUP(freep) char *wal = str_format("%s-wal", name);
	CLEANUP(closep) int fd = open_quietly(dirfd, wal);
	struct stat st;

	*ret = (struct capture_mark){0};
	if (fd < 0)
		return errno == ENOENT || errno == ENAMETOOLONG;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return st.st_size == 0 || mark_of(fd, &st, ret);
}
