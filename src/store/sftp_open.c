/*
 * sftp_open.c - from the URL of an SSH server to a store.
 *
 * Layer 1.
 */
#include <stdio.h>
#include <unistd.h>

#include "store/sftp.h"
#include "store/url.h"

#define SSH_PORT 22u

/* ---- the URL */

/* host, host:port, [address] or [address]:port. */
static int
split_host(const char *text, struct sftp *s, struct err *err)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = strchr(end != NULL ? end : text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
	unsigned long port = SSH_PORT;
	char *rest;

	if (colon != NULL) {
		port = strtoul(colon + 1, &rest, 10);
		if (colon[1] < '0' || colon[1] > '9' || *rest != '\0' || port == 0 || port > 65535)
			return err_set(err, ERR_INVALID, "\"%s\" is no host and port", text);
	}
	if (len == 0)
		return err_set(err, ERR_INVALID, "no server is named");
	s->port = (unsigned)port;
	s->host = end != NULL ? str_format("%.*s", (int)(end - text - 1), text + 1)
			      : str_format("%.*s", (int)len, text);
	return 0;
}

/* libcurl takes /~ at the start for the home folder, and so do people. */
static int
set_folder(const struct url *u, struct sftp *s, struct err *err)
{
	CLEANUP(buf_fini) struct buf url = BUF_INIT;
	const char *path = u->path;

	for (const char *c = path; *c != '\0'; c++)
		if ((unsigned char)*c < ' ')
			return err_set(err, ERR_INVALID, "a folder's name has no line breaks");
	if (path[0] == '~' && path[1] != '/' && path[1] != '\0')
		return err_set(err, ERR_INVALID,
			       "the folder of another user can't be named with ~; give its path");
	if (path[0] == '~')
		s->root = path[1] == '\0' ? str_copy(".") : str_copy(path + 2);
	else
		s->root = str_format("/%s", path);

	buf_appendf(&url, strchr(s->host, ':') != NULL ? "sftp://[%s]:%u/" : "sftp://%s:%u/",
		    s->host, s->port);
	url_encode(&url, slice_str(path), "/");
	while (url.p[url.len - 1] == '/')
		url.len--;
	s->root_url = str_copy(buf_cstr(&url));
	return 0;
}

/* What others may see, and what a card handed to a till says: whose store, and the host's key. */
static char *
public_url(const struct url *u, const struct sftp *s)
{
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	buf_append_str(&b, "sftp://");
	url_encode(&b, slice_str(s->user), "");
	buf_appendf(&b, "@%s", u->host);
	if (u->path[0] != '\0') {
		buf_append_u8(&b, '/');
		url_encode(&b, slice_str(u->path), "/");
	}
	if (s->fingerprint != NULL) {
		buf_append_str(&b, "?hostkey=");
		url_encode(&b, slice_str(s->fingerprint), ":/+");
	}
	return str_copy(buf_cstr(&b));
}

/* ---- files of this machine */

/* A path that stays right when the process changes into another folder. */
static int
make_absolute(const char *path, char **ret, struct err *err)
{
	CLEANUP(freep) char *here = NULL;
	const char *home = getenv("HOME");

	if (path[0] == '/') {
		*ret = str_copy(path);
		return 0;
	}
	if (strncmp(path, "~/", 2) == 0 && home != NULL) {
		*ret = str_format("%s/%s", home, path + 2);
		return 0;
	}
	here = getcwd(NULL, 0);
	if (here == NULL)
		return err_sys(err, "finding the current folder");
	*ret = str_format("%s/%s", here, path);
	return 0;
}

static char *
in_ssh_folder(const char *name)
{
	const char *home = getenv("HOME");

	return str_format("%s/.ssh/%s", home != NULL ? home : "/root", name);
}

static int
find_key(const struct url *u, const struct store_options *options, struct sftp *s, struct err *err)
{
	const char *named = url_param(u, "key");
	CLEANUP(freep) char *usual = in_ssh_folder("id_ed25519");
	int r;

	if (named == NULL && options != NULL)
		named = options->ssh_key;
	if (named != NULL) {
		r = make_absolute(named, &s->key, err);
		if (r == 0 && access(s->key, R_OK) < 0)
			r = err_sys(err, "the SSH key %s", s->key);
		return r;
	}
	if (access(usual, R_OK) == 0)
		s->key = steal_ptr(&usual);
	if (s->key == NULL && getenv("SSH_AUTH_SOCK") == NULL)
		return err_set(err, ERR_INVALID,
			       "there is neither an SSH key %s nor an agent: make one with "
			       "`ssh-keygen -t ed25519`, or name another with ?key=FILE",
			       usual);
	return 0;
}

static int
find_host_keys(const struct url *u, struct sftp *s, struct err *err)
{
	const char *named = url_param(u, "known_hosts");
	const char *fingerprint = url_param(u, "hostkey");
	int r = 0;

	if (fingerprint != NULL && (strncmp(fingerprint, "SHA256:", 7) != 0 || fingerprint[7] == 0))
		return err_set(err, ERR_INVALID,
			       "hostkey=%.64s: the fingerprint of a host's key begins with SHA256:",
			       fingerprint);
	if (fingerprint != NULL)
		s->fingerprint = str_copy(fingerprint);
	if (named != NULL)
		r = make_absolute(named, &s->known_hosts, err);
	else
		s->known_hosts = in_ssh_folder("known_hosts");
	if (r == 0)
		r = known_hosts_read(s->known_hosts, s->host, s->port, &s->known, err);
	if (r == 0 && named == NULL)
		r = known_hosts_read("/etc/ssh/ssh_known_hosts", s->host, s->port, &s->known, err);
	return r;
}

/* ---- opening */

static void
start_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct sftp *
sftp_new(const struct store_options *options, bool create)
{
	struct sftp *s = mem_alloc(sizeof(*s));

	s->type_fd = -1;
	s->may_make_root = create;
	s->timeout_ms =
		options != NULL && options->timeout_ms > 0 ? options->timeout_ms : STORE_TIMEOUT_MS;
	pthread_mutex_init(&s->host_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->may_connect, NULL);
	leftovers_init(&s->leftovers);
	return s;
}

static void
sftp_free(struct sftp *s)
{
	if (s == NULL)
		return;
	sftp_close_idle(s);
	leftovers_fini(&s->leftovers);
	closep(&s->type_fd);
	host_keys_fini(&s->known);
	pthread_mutex_destroy(&s->host_lock);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->may_connect);
	free(s->user);
	free(s->host);
	free(s->root);
	free(s->root_url);
	free(s->key);
	free(s->fingerprint);
	free(s->known_hosts);
	free(s);
}
DEFINE_FREEP(struct sftp *, sftp_free)

void
store_sftp_close(void *arg)
{
	sftp_free(arg);
}

static int
take_url(const struct url *u, const struct store_options *options, struct sftp *s, struct err *err)
{
	static const char *const known[] = {"key", "hostkey", "known_hosts", NULL};
	int r = url_check_params(u, known, err);

	if (r < 0)
		return r;
	if (u->password != NULL)
		return err_set(err, ERR_INVALID,
			       "logins are by key, and a URL is no place for a password");
	if (u->user == NULL || u->user[0] == '\0')
		return err_set(err, ERR_INVALID, "name the user too: sftp://USER@%s/…", u->host);
	s->user = str_copy(u->user);
	r = split_host(u->host, s, err);
	if (r == 0)
		r = set_folder(u, s, err);
	if (r == 0)
		r = find_key(u, options, s, err);
	if (r == 0)
		r = find_host_keys(u, s, err);
	return r;
}

int
store_sftp_open(const char *url, const struct store_options *options, bool create,
		struct store **ret, struct err *err)
{
	CLEANUP(url_fini) struct url u = {0};
	CLEANUP(sftp_freep) struct sftp *s = NULL;
	CLEANUP(freep) char *shown = NULL;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int r;

	*ret = NULL;
	(void)pthread_once(&once, start_curl);
	r = url_parse(url, &u, err);
	if (r < 0)
		return r;
	s = sftp_new(options, create);
	r = take_url(&u, options, s, err);
	if (r < 0)
		return err_add(err, r, "sftp://%s", u.host);
	shown = public_url(&u, s);
	*ret = store_new(&store_sftp_ops, steal_ptr(&s), shown);
	return 0;
}
