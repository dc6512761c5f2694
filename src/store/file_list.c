/*
 * file_list.c - a store in a folder: listing keys in byte order.
 *
 * A folder's names are sorted with the '/' that follows them in keys: "a.b" comes before "a/b".
 *
 * Layer 1.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

struct name {
	char *text; /* a folder's ends in '/' */
	uint64_t size;
};

struct names {
	struct name *all;
	size_t n, cap;
};

static void
names_fini(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->all[i].text);
	free(names->all);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static bool
is_folder(const struct name *name)
{
	return name->text[strlen(name->text) - 1] == '/';
}

static void
closedirp(DIR **dir)
{
	if (*dir != NULL)
		(void)closedir(*dir);
}

/* Notes one entry, if it is a folder or an object.  What vanished meanwhile is neither. */
static void
add_name(struct names *names, int folder, const char *text)
{
	struct stat st;

	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0 || !utf8_valid(slice_str(text)))
		return;
	if (fstatat(folder, text, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return;

	array_reserve(names->all, names->n, names->cap);
	names->all[names->n++] = (struct name){
		.text = str_format(S_ISDIR(st.st_mode) ? "%s/" : "%s", text),
		.size = S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size,
	};
}

/* The names in @folder that begin with @filter, sorted. */
static int
read_names(int folder, const char *filter, struct names *ret, struct err *err)
{
	CLEANUP(closedirp) DIR *dir = NULL;
	CLEANUP(closep) int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;

	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return err_sys(err, "listing a folder");
	fd = -1; /* closedir's now */

	while (errno = 0, (e = readdir(dir)) != NULL)
		if (strncmp(e->d_name, filter, strlen(filter)) == 0)
			add_name(ret, folder, e->d_name);
	if (errno != 0)
		return err_sys(err, "listing a folder");
	if (ret->n > 1)
		qsort(ret->all, ret->n, sizeof(*ret->all), by_text);
	return 0;
}

struct listing {
	bool delimited;
	store_list_fn *fn;
	void *fn_arg;
	struct buf key; /* the folder we are in, with its '/' */
	struct err *err;
};

static int
open_subfolder(int folder, const struct name *name)
{
	CLEANUP(freep) char *text = str_copy(name->text);

	text[strlen(text) - 1] = '\0';
	return openat(folder, text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Reports @name, whose whole key is in l->key. */
static int
report(struct listing *l, const struct name *name)
{
	struct store_entry entry = {
		.key = buf_cstr(&l->key),
		.size = name->size,
		.is_prefix = is_folder(name),
	};

	return l->fn(l->fn_arg, &entry, l->err);
}

/* Ends a search at the first object. */
static int
stop_at_first(void *arg, const struct store_entry *entry, struct err *err)
{
	bool *found = arg;

	(void)entry;
	(void)err;
	*found = true;
	return 1;
}

static int list_folder(struct listing *l, int folder, const char *filter);

static int
list_subfolder(struct listing *l, int folder, const struct name *name)
{
	CLEANUP(closep) int sub = open_subfolder(folder, name);

	if (sub < 0 && errno == ENOENT)
		return 0;
	if (sub < 0)
		return err_sys(l->err, "listing %s", buf_cstr(&l->key));
	if (!l->delimited)
		return list_folder(l, sub, "");

	/* An empty folder, left by a create that was killed, is no prefix of any key. */
	bool found = false;
	CLEANUP(buf_fini) struct buf key = BUF_INIT;
	struct listing search = {false, stop_at_first, &found, key, l->err};
	int r;

	buf_append(&search.key, l->key.p, l->key.len);
	r = list_folder(&search, sub, "");
	key = search.key;
	if (r < 0)
		return r;
	return found ? report(l, name) : 0;
}

/* Recursion ends where keys would be longer than any may be. */
static int
list_folder(struct listing *l, int folder, const char *filter)
{
	CLEANUP(names_fini) struct names names = {0};
	size_t key_len = l->key.len;
	int r;

	r = read_names(folder, filter, &names, l->err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		const struct name *name = &names.all[i];

		if (key_len == 0 && strcmp(name->text, TEMP_FOLDER "/") == 0)
			continue;
		if (strlen(name->text) > STORE_KEY_MAX - key_len)
			continue;
		buf_append_str(&l->key, name->text);
		r = is_folder(name) ? list_subfolder(l, folder, name) : report(l, name);
		l->key.len = key_len;
		if (r != 0)
			return r;
	}
	return 0;
}

int
file_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	  struct err *err)
{
	const struct file_store *f = arg;
	CLEANUP(closep) int folder = -1;
	const char *slash = strrchr(prefix, '/');
	size_t folder_len = slash != NULL ? (size_t)(slash - prefix) + 1 : 0;
	struct listing l = {delimited, fn, fn_arg, BUF_INIT, err};
	int r;

	r = file_open_folder(f, prefix, folder_len, false, &folder, err);
	if (r == ERR_NOENT)
		return 0;
	if (r < 0)
		return err_add(err, r, "listing %s", prefix);

	buf_append(&l.key, prefix, folder_len);
	r = list_folder(&l, folder, prefix + folder_len);
	buf_fini(&l.key);
	return r;
}
