/*
 * scan_stored.c - tillfs scan: the values of a database inside a snapshot.
 *
 * Rows come from a records worker; here they are only looked through.
 */
#include "scan.h"

#define DEADLINE_MIN_S    300u
#define BYTES_A_SECOND    (64u * KIB) /* slower than any link worth reading over */
#define STATEMENT_LEN_MAX (64u * MIB) /* of all tables together */

/* Statements, a NUL behind each. */
struct statements {
	struct buf text;
	unsigned n;
};

static unsigned
deadline_ms(const struct records_files *files)
{
	uint64_t seconds = DEADLINE_MIN_S + tree_file_size(files->main) / BYTES_A_SECOND;

	if (files->wal != NULL)
		seconds += tree_file_size(files->wal) / BYTES_A_SECOND;
	return (unsigned)min_u64(seconds * 1000, RECORDS_NO_DEADLINE - 1);
}

static int
add_table(void *arg, const struct records_row *row, struct err *err)
{
	struct statements *s = arg;
	struct slice name = row->values[0].b;

	if (row->values[0].type != DB_TEXT || (name.len > 0 && memchr(name.p, 0, name.len) != NULL))
		return err_set(err, ERR_CORRUPT, "a table has a name that none can have");
	if (s->n >= SCAN_TABLES_MAX || name.len > STATEMENT_LEN_MAX - s->text.len)
		return err_set(err, ERR_NOSPACE, "it has more tables than are looked at");
	s->n++;
	buf_append_str(&s->text, "SELECT * FROM main.");
	records_sql_name(&s->text, name);
	buf_append_u8(&s->text, 0);
	return 0;
}

static int
look_at(void *arg, const struct records_row *row, struct err *err)
{
	(void)err;
	for (unsigned i = 0; i < row->n; i++)
		scan_value(arg, &row->values[i]);
	return 0;
}

int
scan_stored(struct records_host *host, const struct records_files *files, struct scan_counts *ret,
	    struct err *err)
{
	CLEANUP(records_closep) struct records_db *db = NULL;
	CLEANUP(scanner_freep) struct scanner *scanner = scanner_new();
	const struct records_limits limits = {.value = SCAN_VALUE_MAX,
					      .deadline_ms = deadline_ms(files)};
	struct statements tables = {.text = BUF_INIT};
	size_t at = 0;
	int r = records_open(host, files, 1, &limits, &db, err);

	if (r == 0)
		r = records_query(db, SCAN_TABLES, NULL, 0, add_table, &tables, err);
	for (unsigned i = 0; r == 0 && i < tables.n; i++) {
		const char *sql = (const char *)tables.text.p + at;

		r = records_query(db, sql, NULL, 0, look_at, scanner, err);
		at += strlen(sql) + 1;
	}
	scanner_finish(scanner, ret);
	buf_fini(&tables.text);
	return r;
}
