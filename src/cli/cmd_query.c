/*
 * cmd_query.c - tillfs query: SQL on a database inside a snapshot.
 */
#include "database.h"

#define FLUSH_LEN        (64u * KIB)
#define VALUE_MAX        (256u * MIB)
#define DEADLINE_MAX     (30u * 86400)
#define DEADLINE_DEFAULT 300u

enum format { FORMAT_CSV, FORMAT_JSON, FORMAT_TABLE };

struct printing {
	enum format format;
	struct buf text;
	struct text_table *table;
	uint64_t n, bytes;
};

static void
printing_fini(struct printing *p)
{
	buf_fini(&p->text);
	text_table_free(p->table);
}

static int
print_out(struct printing *p, struct err *err)
{
	p->bytes += p->text.len;
	return print_buf(&p->text, err);
}

static int
print_row(void *arg, const struct records_row *row, struct err *err)
{
	struct printing *p = arg;
	int r = 0;

	switch (p->format) {
	case FORMAT_CSV:
		if (p->n == 0)
			records_csv_header(&p->text, row);
		records_csv_row(&p->text, row);
		break;
	case FORMAT_JSON:
		buf_append_str(&p->text, p->n == 0 ? "[" : ",\n ");
		records_json_row(&p->text, row, -1);
		break;
	case FORMAT_TABLE:
		text_table_add(p->table, row);
		break;
	}
	p->n++;
	if (p->text.len >= FLUSH_LEN) {
		r = print_out(p, err);
		buf_reset(&p->text);
	}
	return r;
}

static int
print_end(struct printing *p, struct err *err)
{
	if (p->format == FORMAT_TABLE)
		return text_table_print(p->table, err);
	if (p->format == FORMAT_JSON)
		buf_append_str(&p->text, p->n == 0 ? "[]\n" : "]\n");
	return print_out(p, err);
}

static int
read_format(const struct cli *c, enum format *ret, struct err *err)
{
	int n = option_given(c, OPT_CSV) + option_given(c, OPT_JSON) + option_given(c, OPT_TABLE);

	if (n > 1)
		return err_set(err, CLI_USAGE, "give one of --csv, --json and --table");
	*ret = option_given(c, OPT_JSON)    ? FORMAT_JSON
	       : option_given(c, OPT_TABLE) ? FORMAT_TABLE
					    : FORMAT_CSV;
	return 0;
}

int
option_deadline(const struct cli *c, struct records_limits *ret, struct err *err)
{
	uint64_t seconds = DEADLINE_DEFAULT;
	int r = 0;

	if (option_given(c, OPT_DEADLINE))
		r = option_number(c, OPT_DEADLINE, DEADLINE_MAX, &seconds, err);
	ret->value = VALUE_MAX;
	ret->deadline_ms = seconds == 0 ? RECORDS_NO_DEADLINE : (unsigned)seconds * 1000;
	return r;
}

/* The same path in another snapshot, of the same writer unless the selector says whose. */
static int
open_against(const struct cli *c, struct session *s, const struct target *now, struct target *ret,
	     struct err *err)
{
	const char *selector = option_value(c, OPT_AGAINST);
	bool whole = strpbrk(selector, "@/") != NULL;
	CLEANUP(freep)
	char *what = str_format("%s%s%s:%.*s", selector, whole ? "" : "@",
				whole ? "" : now->opened->writer, (int)now->path.len,
				(const char *)now->path.p);
	int r;

	r = target_open(s, what, ret, err);
	if (r < 0)
		return err_add(err, r, "--against %s", selector);
	ret->path = now->path;
	return 0;
}

static int
query(struct cli *c, struct records_host *host, const struct records_files *files, size_t n,
      struct printing *p, struct err *err)
{
	CLEANUP(records_closep) struct records_db *db = NULL;
	struct records_limits limits = {0};
	int r;

	r = option_deadline(c, &limits, err);
	if (r == 0)
		r = records_open(host, files, n, &limits, &db, err);
	if (r == 0)
		r = records_query(db, operand(c, 1), NULL, 0, print_row, p, err);
	if (r == 0)
		r = print_end(p, err);
	return r;
}

int
cmd_query(struct cli *c, struct err *err)
{
	CLEANUP(records_host_stopp) struct records_host *host = NULL;
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(target_close) struct target now = {0};
	CLEANUP(target_close) struct target then = {0};
	CLEANUP(database_close) struct database a = {0};
	CLEANUP(database_close) struct database b = {0};
	CLEANUP(printing_fini) struct printing p = {.table = text_table_new()};
	struct records_files files[2];
	struct err why = ERR_INIT;
	size_t n = 1;
	int r;

	r = read_format(c, &p.format, err);
	if (r == 0)
		r = records_host_start(passphrase_forget, &host, err);
	if (r == 0)
		r = session_open(c, &s, err);
	if (r < 0)
		return r;
	session_start_reading(&s);
	r = target_open(&s, operand(c, 0), &now, err);
	if (r == 0)
		r = database_find(&s, &now, &a, err);
	if (r == 0 && option_given(c, OPT_AGAINST)) {
		r = open_against(c, &s, &now, &then, err);
		if (r == 0)
			r = database_find(&s, &then, &b, err);
		n = 2;
	}
	if (r < 0)
		return r;
	files[0] = a.files;
	files[1] = b.files;
	r = query(c, host, files, n, &p, &why);
	session_recorded(&s, p.bytes, r, &why);
	if (r < 0)
		*err = why;
	return r;
}
