/*
 * http_private.h - what http*.c share: an answer while it comes in.
 */
#ifndef TILLFS_STORE_HTTP_PRIVATE_H
#define TILLFS_STORE_HTTP_PRIVATE_H

#include "store/http.h"

/* What became of an answer's body. */
enum intake_end {
	INTAKE_GOING,
	INTAKE_ENOUGH,   /* the range is complete, though the server would send more */
	INTAKE_TOO_LONG, /* more came than may */
};

struct intake {
	const struct http_request *q;
	struct http_response response;
	uint64_t skip; /* bytes still to be passed over, when the whole object comes */
	uint64_t room; /* bytes that may still come */
	bool framed;   /* the end of the body is told, by a length or by chunks */
	bool body_began;
	enum intake_end end;
	uint64_t mark_ms;    /* when there was progress last */
	uint64_t mark_bytes; /* and how much had moved by then */
};

/* A line of the answer's head.  False: it is no good, or too much. */
bool intake_header(struct intake *in, struct slice line);
/* A piece of the body.  False: it ends here; why is in end. */
bool intake_body(struct intake *in, struct slice piece);
/* Whether the content came as it is; nobody asked for it compressed.  Return: 0, ERR_IO. */
MUST_CHECK int intake_check_coding(const struct intake *in, struct err *err);
/* After a range was asked for: whether the answer is it.  Return: 0, ERR_UNREACHABLE. */
MUST_CHECK int intake_check_range(struct intake *in, struct err *err);

#endif /* TILLFS_STORE_HTTP_PRIVATE_H */
