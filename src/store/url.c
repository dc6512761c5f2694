/*
 * url.c - URLs of stores taken apart, and percent-encoding.
 *
 * Layer 1.
 */
#include "store/url.h"

#include "tillfs/seal.h"

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *
url_decode(struct slice s)
{
	CLEANUP(freep) char *out = mem_alloc(s.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		int high, low;

		if (s.p[i] != '%') {
			out[n++] = (char)s.p[i];
			continue;
		}
		if (s.len - i < 3)
			return NULL;
		high = hex_digit((char)s.p[i + 1]);
		low = hex_digit((char)s.p[i + 2]);
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return NULL;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return steal_ptr(&out);
}

void
url_encode(struct buf *ret, struct slice s, const char *kept)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (size_t i = 0; i < s.len; i++) {
		char c = (char)s.p[i];

		if (c != '\0' && (strchr(unreserved, c) != NULL || strchr(kept, c) != NULL))
			buf_append_u8(ret, (uint8_t)c);
		else
			buf_appendf(ret, "%%%02X", s.p[i]);
	}
}

/* ---- taking apart */

static int
decode_part(struct slice s, const char *what, char **ret, struct err *err)
{
	*ret = url_decode(s);
	if (*ret == NULL)
		return err_set(err, ERR_INVALID,
			       "in the URL's %s, a %% must be followed by two hexadecimal digits",
			       what);
	return 0;
}

/* The bytes before the first @c, and @rest behind it; all and nothing when there is none. */
static struct slice
split(struct slice s, char c, struct slice *rest)
{
	const uint8_t *at = s.len > 0 ? memchr(s.p, c, s.len) : NULL;

	if (at == NULL) {
		*rest = slice_of(s.p + s.len, 0);
		return s;
	}
	*rest = slice_of(at + 1, s.len - (size_t)(at - s.p) - 1);
	return slice_of(s.p, (size_t)(at - s.p));
}

static int
parse_login(struct slice login, struct url *u, struct err *err)
{
	struct slice password;
	struct slice user = split(login, ':', &password);
	int r = decode_part(user, "user name", &u->user, err);

	if (r == 0 && user.len < login.len)
		r = decode_part(password, "password", &u->password, err);
	return r;
}

/* Everything up to the last @, so that a raw @ in a password does no harm. */
static int
parse_authority(struct slice authority, struct url *u, struct err *err)
{
	const uint8_t *at = authority.len > 0 ? memrchr(authority.p, '@', authority.len) : NULL;
	struct slice host = authority;
	int r;

	if (at != NULL) {
		size_t login_len = (size_t)(at - authority.p);

		r = parse_login(slice_of(authority.p, login_len), u, err);
		if (r < 0)
			return r;
		host = slice_of(at + 1, authority.len - login_len - 1);
	}
	for (size_t i = 0; i < host.len; i++)
		if (host.p[i] <= ' ' || host.p[i] >= 0x7f || strchr("\"<>\\^`{|}%", host.p[i]))
			return err_set(err, ERR_INVALID, "the URL's host has an illegal character");
	u->host = str_format("%.*s", (int)host.len, (const char *)host.p);
	return 0;
}

static int
parse_path(struct slice path, struct url *u, struct err *err)
{
	while (path.len > 0 && path.p[0] == '/')
		path = slice_of(path.p + 1, path.len - 1);
	while (path.len > 0 && path.p[path.len - 1] == '/')
		path.len--;
	return decode_part(path, "path", &u->path, err);
}

static int
parse_params(struct slice query, struct url *u, struct err *err)
{
	while (query.len > 0) {
		struct slice one = split(query, '&', &query);
		struct slice value;
		struct slice name = split(one, '=', &value);
		struct url_param *p = &u->params[u->n_params];
		int r;

		if (one.len == 0)
			continue;
		if (u->n_params == URL_PARAMS_MAX)
			return err_set(err, ERR_INVALID, "the URL has more than %u parameters",
				       URL_PARAMS_MAX);
		u->n_params++;
		r = decode_part(name, "parameters", &p->name, err);
		if (r == 0)
			r = decode_part(value, "parameters", &p->value, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int
url_parse(const char *text, struct url *ret, struct err *err)
{
	CLEANUP(url_fini) struct url u = {0};
	const char *colon = strstr(text, "://");
	struct slice rest, query, authority;
	int r;

	*ret = (struct url){0};
	if (colon == NULL || colon == text)
		return err_set(err, ERR_INVALID, "a URL begins with scheme://");
	u.scheme = str_format("%.*s", (int)(colon - text), text);
	rest = split(slice_str(colon + 3), '?', &query);
	authority = slice_of(rest.p, rest.len);
	if (memchr(rest.p, '/', rest.len) != NULL)
		authority.len = (size_t)((const uint8_t *)memchr(rest.p, '/', rest.len) - rest.p);

	r = parse_authority(authority, &u, err);
	if (r == 0)
		r = parse_path(slice_of(rest.p + authority.len, rest.len - authority.len), &u, err);
	if (r == 0)
		r = parse_params(query, &u, err);
	if (r < 0)
		return r;
	*ret = u;
	u = (struct url){0};
	return 0;
}

void
url_fini(struct url *u)
{
	if (u->password != NULL)
		seal_wipe(u->password, strlen(u->password));
	for (size_t i = 0; i < u->n_params; i++) {
		free(u->params[i].name);
		free(u->params[i].value);
	}
	free(u->scheme);
	free(u->user);
	free(u->password);
	free(u->host);
	free(u->path);
	*u = (struct url){0};
}

/* ---- using */

const char *
url_param(const struct url *u, const char *name)
{
	for (size_t i = 0; i < u->n_params; i++)
		if (strcmp(u->params[i].name, name) == 0)
			return u->params[i].value;
	return NULL;
}

int
url_check_params(const struct url *u, const char *const *known, struct err *err)
{
	for (size_t i = 0; i < u->n_params; i++) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, u->params[i].name) != 0)
			k++;
		if (*k == NULL)
			return err_set(err, ERR_INVALID, "a %s:// URL has no parameter \"%.64s\"",
				       u->scheme, u->params[i].name);
	}
	return 0;
}

void
url_append_public(const struct url *u, struct buf *ret)
{
	buf_appendf(ret, "%s://%s", u->scheme, u->host);
	if (u->path[0] != '\0') {
		buf_append_u8(ret, '/');
		url_encode(ret, slice_str(u->path), "/!$&'()*+,;=:@");
	}
}
