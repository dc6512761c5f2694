/*
 * seal.c - starting libsodium, secret memory, randomness, comparison.
 *
 * Layer 1.
 */
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "tillfs/seal.h"

static _Noreturn void
give_up(const char *msg)
{
	(void)dprintf(STDERR_FILENO, "tillfs: %s\n", msg);
	_exit(EXIT_FAILURE);
}

void
seal_start(void)
{
	if (sodium_init() < 0)
		give_up("libsodium can't start (is there a source of random numbers?)");
}

void *
secret_new(size_t len)
{
	void *p = sodium_malloc(len);

	if (p == NULL)
		give_up("no guarded memory for a secret (see `ulimit -l`)");
	memset(p, 0, len);
	return p;
}

void
secret_free(void *p)
{
	sodium_free(p);
}

void
secret_freep(void *pointer_to_pointer)
{
	void **p = pointer_to_pointer;

	secret_free(*p);
	*p = NULL;
}

void
seal_key_wipe(struct seal_key *key)
{
	sodium_memzero(key, sizeof(*key));
}

void
seal_wipe(void *p, size_t len)
{
	sodium_memzero(p, len);
}

void
seal_random(void *ret, size_t len)
{
	randombytes_buf(ret, len);
}

uint64_t
seal_random_below(uint64_t limit)
{
	uint64_t v, unfair;

	if (limit < 2)
		return 0;

	/* 2^64 mod limit: the lowest values would come up once more often than the others. */
	unfair = -limit % limit;
	do
		randombytes_buf(&v, sizeof(v));
	while (v < unfair);
	return v % limit;
}

bool
seal_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}
