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

/* Below store_patient_new. */
extern const struct store_ops store_patient_ops;

#endif /* TILLFS_STORE_BACKENDS_H */
