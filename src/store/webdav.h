/*
 * webdav.h - a store on a WebDAV server (RFC 4918): what webdav*.c share.
 *
 *	webdav_open.c  from the URL to a store; credentials
 *	webdav.c       the store's operations
 *	webdav_list.c  reading a folder
 *
 * Nothing connects before the first operation, so that a mount can live from its cache while the
 * server is away.
 */
#ifndef TILLFS_STORE_WEBDAV_H
#define TILLFS_STORE_WEBDAV_H

#include "store/backends.h"
#include "store/http.h"
#include "store/leftovers.h"

struct folder_names;

struct webdav {
	struct http *http;
	char *origin; /* "https://host:port" */
	char *path;   /* of the store's folder, decoded; begins with '/', ends without, so "" is the
			 root */
	bool may_make_root;
	struct leftovers leftovers;
};

/* The encoded URL of a key; a folder's ends in '/'.  Owned by the caller. */
char *webdav_url(const struct webdav *w, const char *key);
/* One request.  @headers: may be NULL.  Return: 0 with any status, or as http_send. */
MUST_CHECK int webdav_send(struct webdav *w, const char *method, const char *key,
			   const struct http_headers *headers, struct slice body,
			   struct http_response *ret, struct err *err);

/* What a PROPFIND of one thing tells. */
struct webdav_thing {
	bool is_folder;
	uint64_t size;
};
/* Return: 0, ERR_NOENT, ERR_UNSUPPORTED where nobody speaks WebDAV, or as http_send. */
MUST_CHECK int webdav_look(struct webdav *w, const char *key, struct webdav_thing *ret,
			   struct err *err);
/* Reads a folder, as folder_read_fn. */
int webdav_read_folder(void *arg, const char *folder, struct folder_names *ret, struct err *err);

/**
 * webdav_parse - what a multistatus says.
 * @path: of the folder that was asked for, decoded, ends in '/'; or of the thing, for @ret_self
 * @ret:  the names in it; may be NULL
 * @ret_self: what it says of @path itself; may be NULL
 *
 * Return: 0, ERR_NOENT when it says nothing of @path, ERR_CORRUPT for what is no multistatus or
 * speaks of other places.
 */
MUST_CHECK int webdav_parse(struct slice xml, const char *path, struct folder_names *ret,
			    struct webdav_thing *ret_self, struct err *err);

extern const struct store_ops store_webdav_ops;
void store_webdav_close(void *arg);

#endif /* TILLFS_STORE_WEBDAV_H */
