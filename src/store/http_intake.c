/*
 * http_intake.c - taking in an answer: its head, its body, and whether it is the range asked for.
 *
 * What comes is hostile: the head and the body are bounded, and a range is believed only when
 * Content-Range and the bytes that came agree with what was asked.
 *
 * Layer 1.
 */
#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#include "store/http_private.h"

#define HEAD_MAX       (64u * KIB)
#define ERROR_BODY_MAX (64u * KIB)
#define BODY_MAX       ((uint64_t)MIB) /* unless the request says otherwise */

/* ---- the head */

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && isspace(s.p[0]))
		s = slice_of(s.p + 1, s.len - 1);
	while (s.len > 0 && isspace(s.p[s.len - 1]))
		s.len--;
	return s;
}

/* "HTTP/1.1 206 Partial Content": each begins a new answer, as after 100 Continue. */
static bool
take_status(struct intake *in, struct slice line)
{
	const uint8_t *space = memchr(line.p, ' ', line.len);
	size_t at = space != NULL ? (size_t)(space - line.p) + 1 : line.len;
	int status = 0;

	if (line.len - at < 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (!isdigit(line.p[at + i]))
			return false;
		status = status * 10 + (line.p[at + i] - '0');
	}
	in->response.status = status;
	in->framed = false;
	buf_reset(&in->response.headers);
	return true;
}

bool
intake_header(struct intake *in, struct slice line)
{
	struct buf *headers = &in->response.headers;

	line = trim(line);
	if (line.len >= 5 && memcmp(line.p, "HTTP/", 5) == 0)
		return take_status(in, line);
	if (line.len == 0)
		return true;
	if (memchr(line.p, '\0', line.len) != NULL || headers->len + line.len > HEAD_MAX)
		return false;
	if ((line.len >= 15 && strncasecmp((const char *)line.p, "content-length:", 15) == 0) ||
	    (line.len >= 18 && strncasecmp((const char *)line.p, "transfer-encoding:", 18) == 0))
		in->framed = true;
	buf_append(headers, line.p, line.len);
	buf_append_u8(headers, '\n');
	return true;
}

char *
http_response_header(const struct http_response *r, const char *name)
{
	struct slice rest = buf_slice(&r->headers);
	size_t name_len = strlen(name);

	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.p, '\n', rest.len);
		size_t len = end != NULL ? (size_t)(end - rest.p) : rest.len;

		if (len > name_len && rest.p[name_len] == ':' &&
		    strncasecmp((const char *)rest.p, name, name_len) == 0) {
			struct slice value =
				trim(slice_of(rest.p + name_len + 1, len - name_len - 1));

			return str_format("%.*s", (int)value.len, (const char *)value.p);
		}
		len = min_u64(len + 1, rest.len);
		rest = slice_of(rest.p + len, rest.len - len);
	}
	return NULL;
}

/* ---- the body */

/* The status is known now, and with it how much may come. */
static void
begin_body(struct intake *in)
{
	const struct http_request *q = in->q;

	in->body_began = true;
	in->skip = 0;
	if (in->response.status < 200 || in->response.status > 299) {
		in->room = ERROR_BODY_MAX;
	} else if (q->ranged) {
		in->room = q->len;
		if (in->response.status == 200)
			in->skip = q->off;
	} else {
		in->room = q->body_max > 0 ? q->body_max : BODY_MAX;
	}
}

/* More came than there is room for.  Whether the rest is worth having read on. */
static bool
overflow(struct intake *in)
{
	int status = in->response.status;

	if (status < 200 || status > 299)
		return true; /* the beginning says what is wrong */
	in->end = in->q->ranged && status == 200 ? INTAKE_ENOUGH : INTAKE_TOO_LONG;
	return false;
}

bool
intake_body(struct intake *in, struct slice piece)
{
	size_t n;

	if (!in->body_began)
		begin_body(in);
	n = (size_t)min_u64(in->skip, piece.len);
	in->skip -= n;
	piece = slice_of(piece.p + n, piece.len - n);

	n = (size_t)min_u64(in->room, piece.len);
	in->room -= n;
	buf_append(&in->response.body, piece.p, n);
	return n == piece.len || overflow(in);
}

int
intake_check_coding(const struct intake *in, struct err *err)
{
	CLEANUP(freep) char *said = http_response_header(&in->response, "content-encoding");

	if (said == NULL || said[0] == '\0' || strcasecmp(said, "identity") == 0 ||
	    in->response.body.len == 0)
		return 0;
	/* S3 itself sends this mark along with what was uploaded in signed pieces. */
	if (strcasecmp(said, "aws-chunked") == 0)
		return 0;
	return err_set(err, ERR_IO,
		       "the answer comes as \"%.32s\", which nobody asked for: does a proxy in "
		       "between compress?",
		       said);
}

/* ---- ranges */

void
http_range_text(const struct http_request *q, struct buf *ret)
{
	buf_appendf(ret, "bytes=%" PRIu64 "-%" PRIu64, q->off, q->off + (q->len - 1));
}

static bool
take_number(const char **text, uint64_t *ret)
{
	*ret = 0;
	if (!isdigit((unsigned char)**text))
		return false;
	for (; isdigit((unsigned char)**text); (*text)++) {
		if (*ret > (UINT64_MAX - 9) / 10)
			return false;
		*ret = *ret * 10 + (uint64_t)(**text - '0');
	}
	return true;
}

static bool
take_literal(const char **text, const char *literal)
{
	size_t len = strlen(literal);

	if (strncasecmp(*text, literal, len) != 0)
		return false;
	*text += len;
	return true;
}

/* "bytes 0-99/1000", where the length of the whole may be *: then @ret_total is UINT64_MAX. */
static bool
parse_content_range(const char *text, uint64_t *ret_first, uint64_t *ret_last, uint64_t *ret_total)
{
	*ret_total = UINT64_MAX;
	if (!take_literal(&text, "bytes ") || !take_number(&text, ret_first) ||
	    !take_literal(&text, "-") || !take_number(&text, ret_last) || !take_literal(&text, "/"))
		return false;
	if (!take_literal(&text, "*") && !take_number(&text, ret_total))
		return false;
	return *text == '\0';
}

/* Some say that a part of no bytes came, where others say that the range lies past the end. */
static bool
is_past_end(const struct intake *in, uint64_t first, uint64_t total)
{
	return in->response.body.len == 0 && first == in->q->off && total <= first;
}

static int
check_partial(const struct intake *in, struct err *err)
{
	CLEANUP(freep) char *said = http_response_header(&in->response, "content-range");
	const struct http_request *q = in->q;
	uint64_t first, last, total;
	bool parsed;

	if (said == NULL)
		return err_set(err, ERR_UNREACHABLE,
			       "the server sent a part without saying which (no Content-Range)");
	parsed = parse_content_range(said, &first, &last, &total);
	if (parsed && is_past_end(in, first, total))
		return 0;
	if (!parsed || first != q->off || first > last || last >= total ||
	    last - first + 1 != in->response.body.len)
		return err_set(err, ERR_UNREACHABLE,
			       "the server sent %zu bytes as \"%.64s\" when asked for %" PRIu64
			       " from %" PRIu64 " on",
			       in->response.body.len, said, q->len, q->off);
	if (in->response.body.len < q->len && total != UINT64_MAX && last + 1 != total)
		return err_set(err, ERR_UNREACHABLE,
			       "the server sent only a part of the range asked for (\"%.64s\")",
			       said);
	return 0;
}

/* The whole object came, or as much of it as reaches the range's end. */
static int
check_whole(const struct intake *in, struct err *err)
{
	if (in->end == INTAKE_ENOUGH || in->response.body.len == in->q->len)
		return 0;
	if (!in->framed)
		return err_set(err, ERR_UNREACHABLE,
			       "the server sent all instead of a range, without its length, so "
			       "that nobody can tell whether it is whole");
	return 0;
}

/* Past the end, says the server.  What it says of the length must not contradict that. */
static int
check_past_end(const struct intake *in, struct err *err)
{
	CLEANUP(freep) char *said = http_response_header(&in->response, "content-range");
	const char *text = said;
	uint64_t total;

	if (said != NULL && take_literal(&text, "bytes */") && take_number(&text, &total) &&
	    total > in->q->off)
		return err_set(err, ERR_UNREACHABLE,
			       "the server refuses a range that lies inside (\"%.64s\")", said);
	return 0;
}

int
intake_check_range(struct intake *in, struct err *err)
{
	int r;

	switch (in->response.status) {
	case 206:
		r = check_partial(in, err);
		break;
	case 200:
		r = check_whole(in, err);
		break;
	case 416:
		buf_reset(&in->response.body);
		r = check_past_end(in, err);
		break;
	default:
		return 0;
	}
	in->response.status = 206;
	in->response.body.len = (size_t)min_u64(in->response.body.len, in->q->wanted);
	return r;
}
