/*
 * aws_sign.h - signatures as S3 and its kin want them (AWS Signature Version 4), and whose.
 *
 * Our own and not libcurl's: its rules differ from version to version, and Azure needs the same
 * primitives anyway.
 *
 * Layer 1: uses base, seal.
 */
#ifndef TILLFS_STORE_AWS_SIGN_H
#define TILLFS_STORE_AWS_SIGN_H

#include "store/http.h"
#include "tillfs/seal.h"

#define AWS_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

/* Only in secret_new memory. */
struct aws_credentials {
	char access_key[256];
	char secret_key[512];
	char session_token[16u * KIB]; /* empty: none */
};

/* The words in which two services say the same. */
struct aws_dialect {
	const char *algorithm; /* "AWS4-HMAC-SHA256" */
	const char *key_begin; /* "AWS4" */
	const char *service;   /* "s3" */
	const char *end;       /* "aws4_request" */
	const char *header;    /* "x-amz-" */
};
extern const struct aws_dialect aws_dialect_s3;
extern const struct aws_dialect aws_dialect_gs;

struct aws_request {
	const char *method;
	const char *host;    /* as the Host header says it */
	const char *path;    /* encoded: all but unreserved characters and '/' */
	const char *query;   /* encoded and sorted, "name=value&…"; "" for none */
	const char *payload; /* SHA-256 of the body in hexadecimal, or AWS_UNSIGNED_PAYLOAD */
	const char *region;
	int64_t time;
};

/* Signs the request with all lines of @headers, and adds those that the signature needs. */
void aws_sign(const struct aws_dialect *dialect, const struct aws_credentials *credentials,
	      const struct aws_request *q, struct http_headers *headers);

#endif /* TILLFS_STORE_AWS_SIGN_H */
