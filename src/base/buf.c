/*
 * buf.c - bytes that grow, and slices of them.
 *
 * Layer 0.
 */
#include <stdio.h>

#include "tillfs/base.h"

void
buf_fini(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT;
}

void
buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
}

void
buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap;

	if (more <= b->cap - b->len)
		return;

	/* A sum that wraps asks for the whole address space, which mem_grow refuses. */
	if (__builtin_add_overflow(b->len, more, &need))
		need = SIZE_MAX;
	cap = b->cap < SIZE_MAX / 2 ? b->cap * 2 : SIZE_MAX;
	if (cap < 64)
		cap = 64;
	if (cap < need)
		cap = need;
	b->p = mem_grow(b->p, cap, 1);
	b->cap = cap;
}

uint8_t *
buf_extend(struct buf *b, size_t len)
{
	uint8_t *start;

	buf_reserve(b, len);
	if (b->p == NULL)
		buf_reserve(b, 1); /* so that a start exists even for no bytes */
	start = b->p + b->len;
	b->len += len;
	return start;
}

void
buf_append(struct buf *b, const void *p, size_t len)
{
	if (len > 0)
		memcpy(buf_extend(b, len), p, len);
}

void
buf_append_str(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void
buf_appendf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;

	buf_reserve(b, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf((char *)b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void
buf_append_u8(struct buf *b, uint8_t v)
{
	*buf_extend(b, 1) = v;
}

static void
append_le(struct buf *b, uint64_t v, size_t len)
{
	uint8_t *p = buf_extend(b, len);

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void
buf_append_u32le(struct buf *b, uint32_t v)
{
	append_le(b, v, 4);
}

void
buf_append_u64le(struct buf *b, uint64_t v)
{
	append_le(b, v, 8);
}

void
buf_append_lp(struct buf *b, const void *p, size_t len)
{
	buf_append_u32le(b, (uint32_t)len);
	buf_append(b, p, len);
}

void
buf_move(struct buf *to, struct buf *from)
{
	if (to == from)
		return;
	buf_fini(to);
	*to = *from;
	*from = BUF_INIT;
}

const char *
buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->p[b->len] = '\0';
	return (const char *)b->p;
}

bool
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

int
slice_cmp(struct slice a, struct slice b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int c = common > 0 ? memcmp(a.p, b.p, common) : 0;

	if (c != 0)
		return c;
	return (a.len > b.len) - (a.len < b.len);
}
