/*
 * sftp.c - a store on an SSH server: its operations.
 *
 * An object is written under a temporary name, and gets its own when it is whole.  The SFTP of
 * OpenSSH (version 3) renames by making a second link, so that never replaces anything; a server
 * that does replace is found out by `tillfs store test`.
 *
 * Layer 1.
 */
#include "store/sftp.h"
#include "store/folders.h"

#define LIST_AHEAD      8u
#define CREATE_ATTEMPTS 3u

/* ---- reading */

/* Servers let a folder be opened, and fail later or not at all. */
static bool
is_folder(struct sftp *s, const char *key)
{
	CLEANUP(freep) char *folder = str_format("%s/", key);
	CLEANUP(buf_fini) struct buf listing = BUF_INIT;
	struct sftp_call call = {.what = SFTP_LIST, .key = folder, .ret = &listing};

	return sftp_call(s, &call, NULL) == 0;
}

static int
no_object(struct err *err)
{
	return err_set(err, ERR_NOENT, "no such object, but a folder");
}

static int
sftp_size(void *arg, const char *key, uint64_t *ret, struct err *err)
{
	struct sftp *s = arg;
	struct sftp_call call = {.what = SFTP_STAT, .key = key};
	int r = sftp_call(s, &call, err);

	if (r < 0)
		return r;
	if (is_folder(s, key))
		return no_object(err);
	*ret = (uint64_t)call.size;
	return 0;
}

static int
sftp_get(void *arg, const char *key, uint64_t off, uint64_t len, struct buf *ret, struct err *err)
{
	struct sftp *s = arg;
	struct sftp_call call = {.what = SFTP_READ, .key = key, .off = off, .len = len, .ret = ret};
	uint64_t size;
	int r;

	/* Nothing lies there, but whether the object is there must be known. */
	if (len == 0 || off > INT64_MAX / 2)
		return sftp_size(s, key, &size, err);

	buf_reserve(ret, (size_t)len);
	r = sftp_call(s, &call, err);
	if (call.code == CURLE_BAD_DOWNLOAD_RESUME) { /* past the end */
		buf_reset(ret);
		return 0;
	}
	if ((r == ERR_IO || call.code == CURLE_SSH) && is_folder(s, key))
		return no_object(err);
	return r;
}

/* ---- creating */

/* Listings are lines, so a name with a line break could not be told from two. */
static int
check_key(const char *key, struct err *err)
{
	for (const char *c = key; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return err_set(err, ERR_INVALID,
				       "an SFTP store holds no names with control characters");
	return folders_check_key(key, err);
}

/* Commands that remove what broken uploads have left. */
static struct curl_slist *
remove_leftovers(struct sftp *s)
{
	struct curl_slist *list = NULL;
	char *temp;

	while ((temp = leftovers_take(&s->leftovers)) != NULL) {
		list = sftp_command(list, s, "*rm", temp, NULL);
		free(temp);
	}
	return list;
}

/* Once: what others have left for days.  Failing to tidy up is no reason to fail a backup. */
static void
sweep(struct sftp *s)
{
	struct folder_names names = {0};

	if (!leftovers_sweep_is_due(&s->leftovers))
		return;
	(void)sftp_read_folder(s, TEMP_FOLDER "/", &names, NULL);
	for (size_t i = 0; i < names.n; i++)
		if (temp_name_is_old(names.all[i].text))
			leftovers_add(&s->leftovers,
				      str_format(TEMP_FOLDER "/%s", names.all[i].text));
	folder_names_fini(&names);
}

/* Commands that make the folders which @key lies in; those that are there already fail. */
static struct curl_slist *
make_folders(const struct sftp *s, struct curl_slist *list, const char *key)
{
	for (const char *slash = strchr(key, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		CLEANUP(freep) char *folder = str_format("%.*s", (int)(slash - key), key);

		list = sftp_command(list, s, "*mkdir", folder, NULL);
	}
	return list;
}

/* Commands that make the store's own folder, with those it lies in. */
static struct curl_slist *
make_root(const struct sftp *s, struct curl_slist *list)
{
	struct sftp above = *s;

	if (!s->may_make_root)
		return list;
	for (const char *slash = strchr(s->root + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		above.root = str_format("%.*s", (int)(slash - s->root), s->root);
		list = sftp_command(list, &above, "*mkdir", "", NULL);
		free(above.root);
	}
	return sftp_command(list, s, "*mkdir", "", NULL);
}

/* Writes the body to @temp and gives it its name. */
static int
upload(struct sftp *s, const char *temp, const char *key, struct slice body, bool make_temp,
       CURLcode *ret, struct err *err)
{
	struct sftp_call call = {.what = SFTP_WRITE, .key = temp, .body = body};
	int r;

	call.before = remove_leftovers(s);
	if (make_temp) {
		call.before = make_root(s, call.before);
		call.before = sftp_command(call.before, s, "*mkdir", TEMP_FOLDER, NULL);
	}
	call.after = sftp_command(NULL, s, "rename", temp, key);
	r = sftp_call(s, &call, err);
	*ret = call.code;
	return r;
}

/* Gives the whole upload its name, making the folders for it. */
static int
publish(struct sftp *s, const char *temp, const char *key, struct err *err)
{
	struct sftp_call call = {.what = SFTP_NOTHING};

	call.before = make_folders(s, NULL, key);
	call.before = sftp_command(call.before, s, "rename", temp, key);
	return sftp_call(s, &call, err);
}

static bool
is_there(struct sftp *s, const char *key)
{
	struct sftp_call call = {.what = SFTP_STAT, .key = key};

	return sftp_call(s, &call, NULL) == 0;
}

/* What it means that a name couldn't be given. */
static int
explain_unnamed(struct sftp *s, const char *key, int r, struct err *err)
{
	if (r != ERR_UNREACHABLE && r != ERR_DENIED && is_there(s, key))
		return err_set(err, ERR_EXISTS, "there is such an object already");
	if (r == ERR_NOENT)
		return err_set(err, ERR_NOENT,
			       "its folder can't be made below %s on %s; is that folder there?",
			       s->root, s->host);
	return r;
}

/* Removes what has not become an object: now, or later when the link is broken. */
static void
discard(struct sftp *s, char **temp, int r)
{
	struct sftp_call call = {.what = SFTP_NOTHING};

	if (r != ERR_UNREACHABLE) {
		call.before = sftp_command(NULL, s, "*rm", *temp, NULL);
		(void)!sftp_call(s, &call, NULL);
	} else {
		leftovers_add(&s->leftovers, steal_ptr(temp));
	}
}

static int
sftp_create(void *arg, const char *key, struct slice body, struct err *err)
{
	struct sftp *s = arg;
	CLEANUP(freep) char *temp = temp_name_new();
	CURLcode code = CURLE_OK;
	int r = check_key(key, err);

	if (r < 0)
		return r;
	sweep(s);
	r = upload(s, temp, key, body, false, &code, err);
	if (r == ERR_NOENT && code == CURLE_REMOTE_FILE_NOT_FOUND)
		r = upload(s, temp, key, body, true, &code, err);
	for (unsigned i = 0; r == ERR_NOENT && code == CURLE_QUOTE_ERROR && i < CREATE_ATTEMPTS;
	     i++)
		r = publish(s, temp, key, err);
	if (r == 0)
		return 0;
	r = explain_unnamed(s, key, r, err);
	discard(s, &temp, r);
	return r;
}

/* ---- the rest */

static int
sftp_remove(void *arg, const char *key, struct err *err)
{
	struct sftp *s = arg;
	struct sftp_call call = {.what = SFTP_NOTHING};
	int r = check_key(key, err);

	if (r < 0)
		return r;
	call.before = sftp_command(NULL, s, "rm", key, NULL);
	r = sftp_call(s, &call, err);
	return r == ERR_IO && is_folder(s, key) ? no_object(err) : r;
}

static int
sftp_list(void *arg, const char *prefix, bool delimited, store_list_fn *fn, void *fn_arg,
	  struct err *err)
{
	return folders_list(sftp_read_folder, arg, LIST_AHEAD, prefix, delimited, fn, fn_arg, err);
}

static void
sftp_traffic(void *arg, struct store_traffic *ret)
{
	struct sftp *s = arg;

	ret->requests = atomic_load(&s->requests);
	ret->received = atomic_load(&s->received);
	ret->sent = atomic_load(&s->sent);
}

const struct store_ops store_sftp_ops = {
	.scheme = "sftp",
	.get = sftp_get,
	.size = sftp_size,
	.create = sftp_create,
	.list = sftp_list,
	.remove = sftp_remove,
	.traffic = sftp_traffic,
	.close = store_sftp_close,
};
