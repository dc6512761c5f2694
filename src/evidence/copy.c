/*
 * copy.c - files of snapshots into a bag, exactly, and the SHA-256 of what then lies there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#include "tillfs/restore.h"

#define PIECE (1u * MIB)

/* "2026-11-20/till-03.23-00-05Z": where an item's snapshot has its place. */
void
evidence_label(struct repo *repo, const struct evidence_item *item, struct buf *ret)
{
	static const char prefix[] = "snapshot ";
	struct repo_label label = repo_snapshot_label(repo, &item->opened->snapshot->name);

	buf_append_str(ret, label.s + strlen(prefix));
}

int
evidence_copy(struct repo *repo, struct reader *reader, const struct evidence_item *item,
	      const char *bag, const struct progress_sink *progress, struct evidence_result *ret,
	      struct err *err)
{
	CLEANUP(restore_result_fini) struct restore_result result = {0};
	CLEANUP(buf_fini) struct buf to = BUF_INIT;
	struct restore_options o = {.verify = true, .progress = *progress};
	struct slice parent = item->path;
	int r;

	buf_appendf(&to, "%s/data/", bag);
	evidence_label(repo, item, &to);
	while (parent.len > 0 && parent.p[parent.len - 1] != '/')
		parent.len--;
	buf_append_u8(&to, '/');
	buf_append(&to, parent.p, parent.len);
	o.to = buf_cstr(&to);
	r = dir_make(o.to, err);
	if (r == 0)
		r = restore_run(reader, item->opened, item->path, &o, &result, err);
	ret->files += result.files;
	ret->bytes += result.bytes;
	return r;
}

/* ---- manifests ----------------------------------------------------------------------------- */

static int
hash_file(const char *path, struct hash *ret, struct err *err)
{
	CLEANUP(seal_sha256_freep) struct seal_sha256 *s = seal_sha256_new();
	CLEANUP(freep) uint8_t *piece = mem_alloc(PIECE);
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "%s", path);
	while ((n = fd_read_full(fd, piece, PIECE)) > 0)
		seal_sha256_add(s, piece, (size_t)n);
	if (n < 0)
		return err_sys(err, "reading %s", path);
	seal_sha256_finish(s, ret);
	return 0;
}

/* As RFC 8493 has it: what would end a line is escaped, and so is the escape. */
static void
append_path(struct buf *b, const char *path)
{
	for (const char *s = path; *s != '\0'; s++) {
		if (*s == '\n' || *s == '\r' || *s == '%')
			buf_appendf(b, "%%%02X", (unsigned char)*s);
		else
			buf_append_u8(b, (uint8_t)*s);
	}
}

static int
names_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char **v;
	size_t n, cap;
};

static void
names_fini(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

static int
read_names(const char *path, struct names *ret, struct err *err)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	if (d == NULL)
		return err_sys(err, "%s", path);
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		array_reserve(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = str_copy(e->d_name);
	}
	closedir(d);
	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof *ret->v, names_cmp);
	return 0;
}

static int
add_one(const char *bag, const char *path, struct manifest *m, struct err *err)
{
	CLEANUP(freep) char *whole = str_format("%s/%s", bag, path);
	struct stat st;
	struct hash hash;
	int r;

	if (lstat(whole, &st) < 0)
		return err_sys(err, "%s", whole);
	if (S_ISDIR(st.st_mode))
		return evidence_manifest(bag, path, m, err);
	if (!S_ISREG(st.st_mode))
		return 0; /* bags have files only: links and the like stand in the listing */
	r = hash_file(whole, &hash, err);
	if (r < 0)
		return r;
	buf_appendf(&m->text, "%s  ", hex(&hash).s);
	append_path(&m->text, path);
	buf_append_u8(&m->text, '\n');
	m->files++;
	m->bytes += (uint64_t)st.st_size;
	return 0;
}

int
evidence_manifest(const char *bag, const char *folder, struct manifest *m, struct err *err)
{
	CLEANUP(freep) char *whole = str_format("%s/%s", bag, folder);
	CLEANUP(names_fini) struct names names = {0};
	int r = read_names(whole, &names, err);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		CLEANUP(freep)
		char *path = folder[0] != '\0' ? str_format("%s/%s", folder, names.v[i])
					       : str_copy(names.v[i]);

		if (folder[0] == '\0' &&
		    (strcmp(path, "data") == 0 || strncmp(path, "tagmanifest-", 12) == 0))
			continue;
		r = add_one(bag, path, m, err);
	}
	return r;
}
