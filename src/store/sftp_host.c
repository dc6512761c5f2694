/*
 * sftp_host.c - whether the server is who it should be, and which of its keys to ask for.
 *
 * A server has keys of several types and shows the one the client asks for first.  libcurl takes
 * that wish from a known_hosts file, and misreads files with hashed names.  So the real files are
 * read by ours, libcurl gets a file of one line that names the type, and the key that the server
 * then shows is compared here.
 *
 * Layer 1.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/sftp.h"

/*
 * What to ask for, the best first.  Never for RSA: it has several signatures, and libssh2 1.10
 * overlaps its memory when it is given their list; so it is left to choose then.
 */
static const char *const wanted_types[] = {"ssh-ed25519", "ecdsa-sha2-nistp256",
					   "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};

static bool
have_type(const struct host_keys *keys, const char *type)
{
	for (size_t i = 0; i < keys->n; i++)
		if (!keys->all[i].revoked && strcmp(keys->all[i].type, type) == 0)
			return true;
	return false;
}

static bool
have_any(const struct host_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		if (!keys->all[i].revoked)
			return true;
	return false;
}

const char **
sftp_host_types(const struct sftp *s)
{
	const char **types = mem_array(ARRAY_LEN(wanted_types) + 2, sizeof(*types));
	bool all = s->fingerprint != NULL || !have_any(&s->known);
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(wanted_types); i++)
		if (all || have_type(&s->known, wanted_types[i]))
			types[n++] = wanted_types[i];
	if (all || n == 0)
		types[n] = SFTP_ANY_TYPE;
	return types;
}

int
sftp_host_type_file(const struct sftp *s, const char *type)
{
	bool any = strcmp(type, SFTP_ANY_TYPE) == 0;
	/* libssh2 doesn't look at the key, as long as there is one. */
	CLEANUP(freep)
	char *line = any ? str_copy("")
			 : str_format("[%s]:%u %s AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", s->host,
				      s->port, type);
	CLEANUP(closep) int fd = memfd_create("tillfs-known-hosts", MFD_CLOEXEC);
	int ret;

	if (fd < 0 || fd_write_full(fd, line, strlen(line)) < 0)
		return -1;
	ret = fd;
	fd = -1;
	return ret;
}

/* ---- the decision */

static void
refuse_changed(const struct sftp *s, const char *type, const char *shown, struct err *err)
{
	if (s->fingerprint != NULL)
		(void)err_set(err, ERR_AUTH,
			      "the key of %s is %s %s, not the %s that the URL names: it is "
			      "another server, or somebody stands in between",
			      s->host, type, shown, s->fingerprint);
	else
		(void)err_set(err, ERR_AUTH,
			      "the key of %s is %s %s, not the one known so far: it is another "
			      "server, or somebody stands in between.  If its administrator "
			      "confirms the change, remove the old key with `ssh-keygen -R "
			      "'[%s]:%u' -f %s`",
			      s->host, type, shown, s->host, s->port, s->known_hosts);
}

static void
refuse_unknown(const struct sftp *s, const char *type, const char *shown, struct err *err)
{
	(void)err_set(
		err, ERR_AUTH,
		"the server %s is not known.  It shows the key %s %s; compare that with what "
		"its administrator sees with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`."
		"  If they are the same, add it with `ssh-keyscan -p %u %s >> %s`, or "
		"?hostkey=%s to the URL",
		s->host, type, shown, s->port, s->host, s->known_hosts, shown);
}

static bool
host_is_right(const struct sftp *s, struct slice blob, struct err *err)
{
	CLEANUP(freep) char *type = host_key_type(blob);
	CLEANUP(freep) char *shown = host_key_fingerprint(blob);

	if (host_keys_revoked(&s->known, blob)) {
		(void)err_set(err, ERR_AUTH, "the key of %s, %s %s, was revoked in %s", s->host,
			      type, shown, s->known_hosts);
		return false;
	}
	if (s->fingerprint != NULL ? strcmp(s->fingerprint, shown) == 0
				   : host_keys_trust(&s->known, blob))
		return true;

	if (s->fingerprint != NULL || have_type(&s->known, type))
		refuse_changed(s, type, shown, err);
	else
		refuse_unknown(s, type, shown, err);
	return false;
}

static int
on_host_key(void *arg, int type, const char *key, size_t len)
{
	struct sftp_call *call = arg;

	(void)type;
	return host_is_right(call->store, slice_of(key, len), &call->host_err)
		       ? CURLKHMATCH_OK
		       : CURLKHMATCH_MISMATCH;
}

void
sftp_host_setup(struct sftp_call *call, const char *type_path)
{
	(void)curl_easy_setopt(call->curl, CURLOPT_SSH_KNOWNHOSTS, type_path);
	(void)curl_easy_setopt(call->curl, CURLOPT_SSH_HOSTKEYFUNCTION, on_host_key);
	(void)curl_easy_setopt(call->curl, CURLOPT_SSH_HOSTKEYDATA, call);
}
