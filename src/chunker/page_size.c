/*
 * page_size.c - telling a database by its first bytes.
 *
 * A wrong guess costs deduplication, never correctness.
 *
 * Layer 1.  Sources: sqlite.org/fileformat2.html section 1.3; PostgreSQL's bufpage.h; InnoDB's
 * fil0fil.h and fsp0fsp.h.
 */
#include "tillfs/chunker.h"

#define SQLITE_HEADER_LEN 100u
#define INNODB_PAGE       (16u * KIB)
#define INNODB_FSP_HDR    8u /* the type of a tablespace's first page */
#define POSTGRES_PAGE     (8u * KIB)
#define POSTGRES_HEADER   24u
#define PAGE_MIN          (4u * KIB)

static uint32_t
u16be(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t
u32be(const uint8_t *p)
{
	return u16be(p) << 16 | u16be(p + 2);
}

static uint32_t
u16le(const uint8_t *p)
{
	return (uint32_t)p[1] << 8 | p[0];
}

static uint32_t
sqlite_page_size(struct slice head)
{
	static const char magic[16] = "SQLite format 3";
	uint32_t size;

	if (head.len < SQLITE_HEADER_LEN || memcmp(head.p, magic, sizeof(magic)) != 0)
		return 0;
	size = u16be(head.p + 16);
	if (size == 1)
		size = 64 * KIB; /* it doesn't fit the field */
	if (size < 512 || (size & (size - 1)) != 0)
		return 0;

	/* These three fractions are fixed; another value is some other format. */
	if (head.p[21] != 64 || head.p[22] != 32 || head.p[23] != 32)
		return 0;
	return size < PAGE_MIN ? PAGE_MIN : size;
}

static bool
is_innodb(struct slice head, uint64_t file_len)
{
	if (head.len < 42 || file_len == 0 || file_len % INNODB_PAGE != 0)
		return false;
	return u32be(head.p + 4) == 0 && u16be(head.p + 24) == INNODB_FSP_HDR &&
	       u32be(head.p + 34) == u32be(head.p + 38); /* the space's id, twice */
}

static bool
is_postgres(struct slice head, uint64_t file_len)
{
	uint32_t lower, upper, special;

	if (head.len < POSTGRES_HEADER || file_len == 0 || file_len % POSTGRES_PAGE != 0)
		return false;
	lower = u16le(head.p + 12);
	upper = u16le(head.p + 14);
	special = u16le(head.p + 16);
	return u16le(head.p + 18) == (POSTGRES_PAGE | 4) && u16le(head.p + 10) < 8 &&
	       lower >= POSTGRES_HEADER && lower <= upper && upper <= special &&
	       special <= POSTGRES_PAGE;
}

uint32_t
chunker_page_size(struct slice head, uint64_t file_len)
{
	uint32_t size = sqlite_page_size(head);

	if (size != 0)
		return size;
	if (is_innodb(head, file_len))
		return INNODB_PAGE;
	return is_postgres(head, file_len) ? POSTGRES_PAGE : 0;
}
