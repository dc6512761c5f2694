/*
 * known_hosts.c - which keys a host is known by, from OpenSSH's known_hosts files (sshd(8)).
 *
 * Layer 1.
 */
#include "store/known_hosts.h"
#include "store/sha1.h"

#include <ctype.h>

#include "tillfs/seal.h"

#define FILE_MAX      (16 * MIB)
#define SSH_PORT      22u
#define TYPE_NAME_MAX 64u

/* ---- words of a line */

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Takes the next word off the front; empty at the end. */
static struct slice
next_word(struct slice *rest)
{
	size_t from = 0, to;

	while (from < rest->len && is_blank(rest->p[from]))
		from++;
	for (to = from; to < rest->len && !is_blank(rest->p[to]);)
		to++;

	struct slice word = slice_of(rest->p + from, to - from);

	*rest = slice_of(rest->p + to, rest->len - to);
	return word;
}

/* Takes what stands before @c off the front. */
static struct slice
next_part(struct slice *rest, uint8_t c)
{
	const uint8_t *at = rest->len > 0 ? memchr(rest->p, c, rest->len) : NULL;
	size_t len = at != NULL ? (size_t)(at - rest->p) : rest->len;
	size_t used = at != NULL ? len + 1 : len;
	struct slice part = slice_of(rest->p, len);

	*rest = slice_of(rest->p + used, rest->len - used);
	return part;
}

static bool
word_is(struct slice word, const char *text)
{
	return slice_equal(word, slice_str(text));
}

/* ---- names */

/* With `*` and `?`.  Goes back to the last star only, so the cost is their product at worst. */
static bool
pattern_matches(struct slice pattern, const char *name)
{
	size_t p = 0, n = 0, star = SIZE_MAX, star_n = 0;

	while (name[n] != '\0') {
		if (p < pattern.len && pattern.p[p] == '*') {
			star = p++;
			star_n = n;
		} else if (p < pattern.len && (pattern.p[p] == '?' ||
					       tolower(pattern.p[p]) == (unsigned char)name[n])) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			n = ++star_n;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.p[p] == '*')
		p++;
	return p == pattern.len;
}

/* |1|salt|hash, both base64. */
static bool
hashed_matches(struct slice hashed, const char *name)
{
	CLEANUP(buf_fini) struct buf salt = BUF_INIT;
	CLEANUP(buf_fini) struct buf hash = BUF_INIT;
	struct slice rest = slice_of(hashed.p + 3, hashed.len - 3);
	struct slice salt_text = next_part(&rest, '|');
	uint8_t own[SHA1_LEN];

	if (!seal_base64_parse(salt_text, &salt) || !seal_base64_parse(rest, &hash))
		return false;
	if (salt.len == 0 || hash.len != sizeof own)
		return false;
	sha1_hmac(buf_slice(&salt), slice_str(name), own);
	return memcmp(own, hash.p, sizeof own) == 0;
}

static bool
names_match(struct slice names, const char *name)
{
	bool found = false;

	if (names.len > 3 && memcmp(names.p, "|1|", 3) == 0)
		return hashed_matches(names, name);
	while (names.len > 0) {
		struct slice pattern = next_part(&names, ',');
		bool negated = pattern.len > 0 && pattern.p[0] == '!';

		if (negated)
			pattern = slice_of(pattern.p + 1, pattern.len - 1);
		if (!pattern_matches(pattern, name))
			continue;
		if (negated)
			return false;
		found = true;
	}
	return found;
}

/* What the host is called in the file, in lower case. */
static char *
name_of(const char *host, unsigned port)
{
	char *name = port == SSH_PORT ? str_copy(host) : str_format("[%s]:%u", host, port);

	for (char *c = name; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return name;
}

/* ---- keys */

char *
host_key_type(struct slice blob)
{
	size_t len;

	if (blob.len < 4)
		return str_copy("?");
	len = (size_t)blob.p[0] << 24 | (size_t)blob.p[1] << 16 | (size_t)blob.p[2] << 8 |
	      blob.p[3];
	if (len == 0 || len > TYPE_NAME_MAX || len > blob.len - 4)
		return str_copy("?");
	for (size_t i = 0; i < len; i++)
		if (blob.p[4 + i] <= ' ' || blob.p[4 + i] > '~')
			return str_copy("?");
	return str_format("%.*s", (int)len, (const char *)blob.p + 4);
}

char *
host_key_fingerprint(struct slice blob)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct hash h;

	seal_sha256(blob.p, blob.len, &h);
	buf_append_str(&text, "SHA256:");
	seal_base64_append(&text, slice_of(h.b, sizeof h.b));
	while (text.p[text.len - 1] == '=')
		text.len--;
	return str_copy(buf_cstr(&text));
}

static void
add_line(struct slice line, const char *name, struct host_keys *ret)
{
	CLEANUP(buf_fini) struct buf blob = BUF_INIT;
	CLEANUP(freep) char *type = NULL;
	struct slice names = next_word(&line);
	bool revoked = word_is(names, "@revoked");
	struct slice type_word;

	if (names.len == 0 || names.p[0] == '#')
		return;
	if (names.p[0] == '@' && !revoked)
		return;
	if (revoked)
		names = next_word(&line);
	type_word = next_word(&line);
	if (!names_match(names, name) || !seal_base64_parse(next_word(&line), &blob))
		return;
	type = host_key_type(buf_slice(&blob));
	if (!word_is(type_word, type))
		return;

	array_reserve(ret->all, ret->n, ret->cap);
	ret->all[ret->n] = (struct host_key){.type = steal_ptr(&type), .revoked = revoked};
	buf_move(&ret->all[ret->n++].blob, &blob);
}

void
known_hosts_parse(struct slice text, const char *host, unsigned port, struct host_keys *ret)
{
	CLEANUP(freep) char *name = name_of(host, port);

	while (text.len > 0)
		add_line(next_part(&text, '\n'), name, ret);
}

int
known_hosts_read(const char *path, const char *host, unsigned port, struct host_keys *ret,
		 struct err *err)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	int r = file_read(path, FILE_MAX, &text, err);

	if (r == ERR_NOENT)
		return 0;
	if (r < 0)
		return err_add(err, r, "reading the hosts' keys");
	known_hosts_parse(buf_slice(&text), host, port, ret);
	return 0;
}

void
host_keys_fini(struct host_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		free(keys->all[i].type);
		buf_fini(&keys->all[i].blob);
	}
	free(keys->all);
	*keys = (struct host_keys){0};
}

bool
host_keys_revoked(const struct host_keys *keys, struct slice blob)
{
	for (size_t i = 0; i < keys->n; i++)
		if (keys->all[i].revoked && slice_equal(buf_slice(&keys->all[i].blob), blob))
			return true;
	return false;
}

bool
host_keys_trust(const struct host_keys *keys, struct slice blob)
{
	if (host_keys_revoked(keys, blob))
		return false;
	for (size_t i = 0; i < keys->n; i++)
		if (slice_equal(buf_slice(&keys->all[i].blob), blob))
			return true;
	return false;
}
