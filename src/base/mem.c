/*
 * mem.c - allocation that never returns NULL.
 *
 * Layer 0.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tillfs/base.h"

/* Not abort(): a core dump would hold keys and plaintext. */
static _Noreturn void
out_of_memory(void)
{
	static const char msg[] = "tillfs: out of memory\n";
	ssize_t ignored = write(STDERR_FILENO, msg, sizeof(msg) - 1);

	(void)ignored; /* nobody is left to tell */
	_exit(EXIT_FAILURE);
}

static size_t
product(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		out_of_memory();
	return total != 0 ? total : 1;
}

void *
mem_array(size_t n, size_t size)
{
	void *p = calloc(1, product(n, size));

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
mem_alloc(size_t len)
{
	return mem_array(len, 1);
}

void *
mem_grow(void *p, size_t n, size_t size)
{
	void *grown = realloc(p, product(n, size));

	if (grown == NULL)
		out_of_memory();
	return grown;
}

void *
mem_copy(const void *p, size_t len)
{
	void *copy = mem_grow(NULL, len, 1);

	if (len > 0)
		memcpy(copy, p, len);
	return copy;
}

char *
str_copy(const char *s)
{
	return mem_copy(s, strlen(s) + 1);
}

char *
str_format(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	return s;
}

void
freep(void *pointer_to_pointer)
{
	void **p = pointer_to_pointer;

	free(*p);
	*p = NULL;
}

void
closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd); /* nothing written here is trusted before its own fsync */
	*fd = -1;
	errno = saved;
}
