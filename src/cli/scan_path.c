/*
 * scan_path.c - tillfs scan: files of this machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scan.h"
#include "tillfs/capture.h"

#define PIECE_LEN (1u * MIB)

static int
scan_bytes(struct scanning *s, int fd, struct scan_counts *ret, struct err *err)
{
	CLEANUP(freep) uint8_t *piece = mem_alloc(PIECE_LEN);
	CLEANUP(scanner_freep) struct scanner *scanner = scanner_new();
	ssize_t n = 0;

	(void)s;
	while ((n = fd_read_full(fd, piece, PIECE_LEN)) > 0)
		scanner_feed(scanner, slice_of(piece, (size_t)n));
	scanner_finish(scanner, ret);
	explicit_bzero(piece, PIECE_LEN);
	return n < 0 ? err_sys(err, "reading") : 0;
}

/* ---- databases ---- */

static int
read_capture(void *arg, uint64_t off, void *p, size_t len, struct err *err)
{
	const struct capture *c = arg;
	ssize_t n = pread(capture_fd(c), p, len, (off_t)off);

	if (n != (ssize_t)len)
		return err_sys(err, "reading the database");
	capture_fix_header(c, off, p, len);
	return 0;
}

/* As a backup would capture it. */
static int
scan_live(struct scanning *s, int dirfd, const char *name, struct scan_counts *ret, struct err *err)
{
	CLEANUP(freep) char *state = NULL;
	CLEANUP(freep) char *spool = NULL;
	CLEANUP(capture_freep) struct capture *c = NULL;
	struct capture_options options = {.timeout_ms = s->c->config.capture_timeout_ms};
	struct db_files files = {0};
	int r = session_state(s->c, &state, err);

	if (r < 0)
		return r;
	spool = s->c->config.spool != NULL ? str_copy(s->c->config.spool)
					   : str_format("%s/spool", state);
	options.spool = spool;
	r = capture_begin(&options, dirfd, name, true, &c, err);
	if (r < 0)
		return r;
	files.main = (struct db_source){capture_len(c), read_capture, c};
	r = scan_files(&files, ret, err);
	return r < 0 ? r : capture_finish(c, err);
}

/* ---- one file, many files ---- */

static void
scan_file(struct scanning *s, const FTSENT *e)
{
	struct slice path = slice_of(e->fts_path, e->fts_pathlen);
	CLEANUP(freep) char *folder = str_copy(e->fts_accpath);
	CLEANUP(closep) int dirfd = -1, fd = -1;
	uint8_t head[CAPTURE_HEADER_LEN];
	struct scan_counts counts = {0};
	struct err err = ERR_INIT;
	char *slash = strrchr(folder, '/');
	int r;

	if (slash != NULL)
		slash[1] = '\0';
	dirfd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dirfd, e->fts_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		scan_not_read(s, path, strerror(errno));
		return;
	}
	if (pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
	    capture_is_database(slice_of(head, sizeof head))) {
		closep(&fd); /* it must not be open beside SQLite */
		r = scan_live(s, dirfd, e->fts_name, &counts, &err);
		if (r == 0) {
			scan_found(s, path, &counts);
			return;
		}
		fd = openat(dirfd, e->fts_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	}
	r = scan_bytes(s, fd, &counts, &err);
	if (r < 0)
		scan_not_read(s, path, err.msg);
	else
		scan_found(s, path, &counts);
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int
scan_path(struct scanning *s, const char *path, struct err *err)
{
	char *paths[] = {(char *)path, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, by_name);
	FTSENT *e;

	if (fts == NULL)
		return err_sys(err, "%s", path);
	while ((e = fts_read(fts)) != NULL) {
		if (e->fts_info == FTS_F)
			scan_file(s, e);
		else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			scan_not_read(s, slice_of(e->fts_path, e->fts_pathlen),
				      strerror(e->fts_errno));
	}
	fts_close(fts);
	return 0;
}
