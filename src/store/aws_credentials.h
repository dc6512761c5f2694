/*
 * aws_credentials.h - where credentials and regions for S3 come from, in this order:
 *
 *	the profile that --profile, the URL or the configuration names, in AWS's files
 *	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	access-key, secret-key, session-token in section [store] of tillfs's configuration
 *	the profile of AWS_PROFILE, or "default", in AWS's files
 *
 * AWS's files are ~/.aws/credentials and ~/.aws/config, or what AWS_SHARED_CREDENTIALS_FILE and
 * AWS_CONFIG_FILE name.
 *
 * Layer 1: uses base, config.
 */
#ifndef TILLFS_STORE_AWS_CREDENTIALS_H
#define TILLFS_STORE_AWS_CREDENTIALS_H

#include "store/aws_sign.h"
#include "tillfs/store.h"

/**
 * aws_credentials_load - find them, anew at each call.
 * @options: may be NULL
 * @profile: named explicitly; NULL: none
 * @ret:     in secret memory; replaced on success, and untouched on failure
 *
 * Return: 0, or ERR_DENIED with a sentence that says where they may stand; ERR_INVALID for a file
 * that can't be understood.
 */
MUST_CHECK int aws_credentials_load(const struct store_options *options, const char *profile,
				    struct aws_credentials *ret, struct err *err);

/* Those in one section of a file's text.  Return: 0, ERR_NOENT, ERR_INVALID; @ret is untouched on
 * failure. */
MUST_CHECK int aws_credentials_parse(struct slice text, const char *section, const char *where,
				     struct aws_credentials *ret, struct err *err);

/* AWS_REGION, AWS_DEFAULT_REGION, or the profile's; NULL: nowhere said.  Owned by the caller. */
char *aws_region_find(const char *profile);

#endif /* TILLFS_STORE_AWS_CREDENTIALS_H */
