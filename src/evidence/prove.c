/*
 * prove.c - proof that a mount is read-only: what was tried on it, and what came of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "internal.h"

#define DEPTH_MAX 12u
#define PIECE     (64u * KIB)

void
prove_result_fini(struct prove_result *r)
{
	free(r->file);
	free(r->folder);
	free(r->flags);
	free(r->attempts);
	*r = (struct prove_result){0};
}

/* ---- what to try it on ------------------------------------------------------------------- */

static bool
has_content(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size > 0;
}

/* The first file with content below a folder, owned by the caller, or NULL. */
static char *
find_file(const char *folder, unsigned depth)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	char *found = NULL;

	if (d == NULL)
		return NULL;
	while (found == NULL && (e = readdir(d)) != NULL) {
		CLEANUP(freep) char *path = str_format("%s/%s", folder, e->d_name);
		struct stat st;

		if (e->d_name[0] == '.' || lstat(path, &st) < 0)
			continue;
		if (has_content(&st))
			found = steal_ptr(&path);
		else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			found = find_file(path, depth + 1);
	}
	closedir(d);
	return found;
}

static char *
find_in_mount(const char *dir)
{
	CLEANUP(freep) char *dates = str_format("%s/by-date", dir);
	char *found = find_file(dates, 0);

	/* A repository without a file: the mount's own text is as good. */
	return found != NULL ? found : str_format("%s/.tillfs/status.json", dir);
}

/* ---- whether anything changed ------------------------------------------------------------ */

struct before {
	struct stat st;
	struct hash hash;
};

static int
look(const char *path, struct before *ret, struct err *err)
{
	CLEANUP(seal_hasher_freep) struct seal_hasher *h = seal_hasher_new();
	CLEANUP(freep) uint8_t *piece = mem_alloc(PIECE);
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	*ret = (struct before){0};
	if (fd < 0 || fstat(fd, &ret->st) < 0)
		return err_sys(err, "%s", path);
	while ((n = fd_read_full(fd, piece, PIECE)) > 0)
		seal_hasher_add(h, piece, (size_t)n);
	if (n < 0)
		return err_sys(err, "reading %s", path);
	seal_hasher_finish(h, &ret->hash);
	return 0;
}

static bool
is_same(const struct before *a, const struct before *b)
{
	const struct stat *x = &a->st, *y = &b->st;

	return hash_equal(&a->hash, &b->hash) && x->st_mode == y->st_mode &&
	       x->st_uid == y->st_uid && x->st_gid == y->st_gid && x->st_size == y->st_size &&
	       x->st_nlink == y->st_nlink && x->st_mtim.tv_sec == y->st_mtim.tv_sec &&
	       x->st_mtim.tv_nsec == y->st_mtim.tv_nsec && x->st_ctim.tv_sec == y->st_ctim.tv_sec &&
	       x->st_ctim.tv_nsec == y->st_ctim.tv_nsec;
}

/* ---- the whole --------------------------------------------------------------------------- */

static int
read_flags(const char *dir, struct prove_result *ret, struct err *err)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} names[] = {{ST_RDONLY, "ro"},
		     {ST_NOSUID, "nosuid"},
		     {ST_NODEV, "nodev"},
		     {ST_NOEXEC, "noexec"}};
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct statvfs st;

	if (statvfs(dir, &st) < 0)
		return err_sys(err, "%s", dir);
	ret->read_only_flag = (st.f_flag & ST_RDONLY) != 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if ((st.f_flag & names[i].flag) != 0)
			buf_appendf(&text, "%s%s", text.len > 0 ? "," : "", names[i].name);
	ret->flags = str_copy(buf_cstr(&text));
	return 0;
}

int
prove_read_only(const char *dir, struct prove_result *ret, struct err *err)
{
	CLEANUP(prove_result_fini) struct prove_result p = {.time = time_now()};
	CLEANUP(freep) char *whole = find_in_mount(dir);
	struct before before, after;
	int r = read_flags(dir, &p, err);

	*ret = (struct prove_result){0};
	if (r == 0)
		r = look(whole, &before, err);
	if (r != 0)
		return r;
	p.folder = str_copy(whole);
	*strrchr(p.folder, '/') = '\0';
	attempts_make(whole, p.folder, &p);
	r = look(whole, &after, err);
	if (r < 0)
		return r;
	p.file = str_copy(whole + strlen(dir));
	p.unchanged = is_same(&before, &after);
	p.proven = p.unchanged && p.read_only_flag && p.n_attempts > 0;
	for (size_t i = 0; i < p.n_attempts; i++)
		p.proven &= p.attempts[i].refused;
	*ret = p;
	p = (struct prove_result){0};
	return 0;
}

void
prove_statement(const char *dir, const struct prove_result *p, struct buf *ret)
{
	struct utsname host = {0};

	(void)uname(&host);
	buf_appendf(ret,
		    "{\n  \"statement\": \"%s\",\n  \"time\": \"%s\",\n  \"tool\": \"tillfs "
		    "%s\",\n  \"host\": ",
		    p->proven ? "every modifying call was refused; the file tried on is unchanged"
			      : "NOT read-only",
		    time_format_rfc3339(p->time).s, TILLFS_VERSION);
	json_append_string(ret, slice_str(host.nodename));
	buf_append_str(ret, ",\n  \"kernel\": ");
	json_append_string(ret, slice_str(host.release));
	buf_append_str(ret, ",\n  \"mount\": ");
	json_append_string(ret, slice_str(dir));
	buf_append_str(ret, ",\n  \"file\": ");
	json_append_string(ret, slice_str(p->file));
	buf_appendf(ret,
		    ",\n  \"flags\": \"%s\",\n  \"unchanged\": %s,\n  \"read_only\": %s,\n  "
		    "\"attempts\": [",
		    p->flags, p->unchanged ? "true" : "false", p->proven ? "true" : "false");
	for (size_t i = 0; i < p->n_attempts; i++) {
		const struct prove_attempt *a = &p->attempts[i];
		const char *name = a->error != 0 ? strerrorname_np(a->error) : NULL;

		buf_appendf(ret, "%s\n    {\"call\": \"%s\", \"refused\": %s, \"error\": \"%s\"}",
			    i > 0 ? "," : "", a->call, a->refused ? "true" : "false",
			    name != NULL ? name : "");
	}
	buf_append_str(ret, "\n  ]\n}\n");
}
