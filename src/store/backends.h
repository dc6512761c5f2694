/*
 * backends.h - what store_open chooses among.
 */
#ifndef TILLFS_STORE_BACKENDS_H
#define TILLFS_STORE_BACKENDS_H

#include "tillfs/store.h"

/* A folder of this machine.  @path: absolute.  Return: as store_open. */
MUST_CHECK int store_file_open(const char *path, bool create, struct store **ret, struct err *err);

/* S3 and what speaks it; Google's storage.  Nothing is asked of the server yet. */
MUST_CHECK int store_s3_open(const char *url, const struct store_options *options, bool create,
			     struct store **ret, struct err *err);
MUST_CHECK int store_azure_open(const char *url, const struct store_options *options, bool create,
				struct store **ret, struct err *err);
MUST_CHECK int store_gs_open(const char *url, const struct store_options *options, bool create,
			     struct store **ret, struct err *err);

/* A folder on an SSH server.  Return: 0, or ERR_INVALID: it doesn't connect yet. */
MUST_CHECK int store_sftp_open(const char *url, const struct store_options *options, bool create,
			       struct store **ret, struct err *err);

/* A folder on a WebDAV server.  Return: 0, or ERR_INVALID: it doesn't connect yet. */
MUST_CHECK int store_webdav_open(const char *url, const struct store_options *options, bool create,
				 struct store **ret, struct err *err);

/* Return: 0, ERR_INVALID: no key of an object. */
MUST_CHECK int store_check_key(const char *key, struct err *err);

/* The operations that only some storages have, for a store around another: as store_recover and so
 * on, of a key that was checked, and without naming it in errors. */
MUST_CHECK int store_recover_in(const struct store *s, const char *key, uint64_t off, uint64_t len,
				store_fits_fn *fits, void *fits_arg, struct err *err);
MUST_CHECK int store_lock_get_in(const struct store *s, const char *key, int64_t *ret,
				 struct err *err);
MUST_CHECK int store_lock_set_in(const struct store *s, const char *key, int64_t until,
				 struct err *err);
MUST_CHECK int store_purge_in(const struct store *s, const char *key, struct err *err);

/* Below store_patient_new. */
extern const struct store_ops store_patient_ops;

#endif /* TILLFS_STORE_BACKENDS_H */
