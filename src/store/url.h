/*
 * url.h - URLs of stores taken apart, and percent-encoding.
 *
 *	scheme://[user[:password]@]host[:port][/path][?name=value&…]
 *
 * Layer 1.
 */
#ifndef TILLFS_STORE_URL_H
#define TILLFS_STORE_URL_H

#include "tillfs/base.h"

#define URL_PARAMS_MAX 16u

struct url_param {
	char *name, *value; /* decoded */
};

struct url {
	char *scheme;
	char *user;     /* decoded; NULL: not given */
	char *password; /* the same; wiped */
	char *host;     /* with its port, as given; may be empty */
	char *path;     /* decoded, without slashes at either end; "": none */
	struct url_param params[URL_PARAMS_MAX];
	size_t n_params;
};

/**
 * url_parse - take a URL apart.
 * @ret: owned by the caller (url_fini); empty on failure
 *
 * Return: 0, or ERR_INVALID, whose sentence shows no password.
 */
MUST_CHECK int url_parse(const char *text, struct url *ret, struct err *err);
void url_fini(struct url *u); /* wipes the password */

/* The value of a parameter, or NULL.  Borrowed. */
const char *url_param(const struct url *u, const char *name);
/* Return: 0, or ERR_INVALID naming the first parameter that is none of @known, which ends in NULL.
 */
MUST_CHECK int url_check_params(const struct url *u, const char *const *known, struct err *err);
/* Appends the URL without user, password and parameters, for messages. */
void url_append_public(const struct url *u, struct buf *ret);

/* Appends @s, all bytes but A-Z a-z 0-9 - . _ ~ and those of @kept as %XX. */
void url_encode(struct buf *ret, struct slice s, const char *kept);
/* Undoes %XX.  NULL when an escape is broken or hides a NUL; else owned by the caller. */
char *url_decode(struct slice s);

#endif /* TILLFS_STORE_URL_H */
