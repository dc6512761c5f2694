/*
 * fuzz_companion.c - what stands beside a database: the headers of its log and its journal.
 *
 * The input is a -wal file; what is taken for a log has a page size and frames that are its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tillfs/capture.h"
#include "tillfs/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
try_headers(struct slice bytes)
{
	struct wal_header h;

	(void)journal_is_filled(bytes);
	(void)capture_is_database(bytes);
	if (!wal_header_parse(bytes, &h)) {
		if (h.page_size != 0)
			abort();
		return;
	}
	if (bytes.len < WAL_HEADER_LEN || h.page_size < 512 || h.page_size > 65536)
		abort();
	for (size_t at = WAL_HEADER_LEN; at < bytes.len; at += WAL_FRAME_HEADER_LEN + h.page_size)
		(void)wal_frame_is_of(&h, slice_of(bytes.p + at, bytes.len - at));
}

/* The same bytes give the same mark, and none only for no bytes. */
static void
try_mark(struct slice bytes)
{
	char folder[] = "/tmp/fuzz-companion-XXXXXX";
	struct capture_mark a, b;
	static const struct capture_mark none;
	int dirfd, fd;

	if (mkdtemp(folder) == NULL)
		abort();
	dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dirfd, "x-wal", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_full(fd, bytes.p, bytes.len) < 0)
		abort();
	if (capture_mark(dirfd, "x", &a) &&
	    (!capture_mark(dirfd, "x", &b) || !hash_equal(&a.h, &b.h) ||
	     hash_equal(&a.h, &none.h) != (bytes.len == 0)))
		abort();
	close(fd);
	(void)unlinkat(dirfd, "x-wal", 0);
	close(dirfd);
	(void)rmdir(folder);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static bool started;

	if (!started)
		seal_start();
	started = true;
	try_headers(slice_of(data, len));
	try_mark(slice_of(data, len));
	return 0;
}
