/*
 * verify.c - read a restored file back from the disk and compare it with the snapshot.
 *
 * What the page cache holds is pushed out first, so that the disk is asked.  Where both sides have
 * a hole nothing is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "internal.h"

/* The next data on either side at or behind @off; @size when there is none. */
static int
next_data(struct tree_file *source, int fd, uint64_t off, uint64_t size, uint64_t *ret,
	  struct err *err)
{
	uint64_t there = size;
	off_t here = lseek(fd, (off_t)off, SEEK_DATA);
	int r;

	if (here < 0 && errno != ENXIO)
		return err_sys(err, "looking for data in what was written");
	r = tree_file_seek(source, off, false, &there, err);
	if (r < 0 && r != ERR_NOENT)
		return r;
	*ret = min_u64(r == 0 ? there : size, here < 0 ? size : (uint64_t)here);
	return 0;
}

/* Return: 0, or -1 with errno; EIO when the file is shorter. */
static int
read_at(int fd, uint8_t *p, size_t len, uint64_t off)
{
	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n < 0 ? errno : EIO;
			return -1;
		}
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

static int
compare(struct tree_file *source, int fd, uint64_t off, size_t len, uint8_t *buffer,
	struct err *err)
{
	uint8_t *written = buffer + COPY_LEN;
	size_t got;
	int r;

	r = tree_file_read(source, off, buffer, len, &got, err);
	if (r < 0)
		return r;
	if (read_at(fd, written, len, off) < 0)
		return err_sys(err, "reading back what was written");
	if (got != len || memcmp(buffer, written, len) != 0)
		return err_set(
			err, ERR_IO,
			"what was read back from the disk differs from the snapshot, between "
			"byte %llu and %llu; the disk or memory is not to be trusted",
			(unsigned long long)off, (unsigned long long)(off + len));
	return 0;
}

int
verify_file(struct run *run, struct tree_file *source, int fd, uint8_t *buffer, struct err *err)
{
	uint64_t size = tree_file_size(source);
	uint64_t off = 0;
	int r;

	if (size == 0)
		return 0;
	if (fdatasync(fd) < 0)
		return err_sys(err, "writing to the disk");
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);

	for (;;) {
		size_t len;

		if (restore_stopped(run))
			return err_set(err, ERR_CANCELLED, "interrupted");
		r = next_data(source, fd, off, size, &off, err);
		if (r < 0 || off >= size)
			return r;
		len = min_u64(size - off, COPY_LEN);
		r = compare(source, fd, off, len, buffer, err);
		if (r < 0)
			return r;
		off += len;
	}
}
