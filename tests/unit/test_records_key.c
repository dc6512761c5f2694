/*
 * Keys as names of files: every key has one name, and every name is parsed back to its key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "tillfs/records.h"

static char column_a[] = "a", column_b[] = "b", table_name[] = "t", rowid_name[] = "rowid";

struct fixture {
	struct records_table table;
	struct records_column columns[2];
	unsigned key[2];
};

static void
set_table(struct fixture *f, enum records_key_kind kind, unsigned n, enum records_affinity a,
	  enum records_affinity b)
{
	*f = (struct fixture){.key = {0, 1}};
	f->columns[0] = (struct records_column){.name = column_a, .affinity = a, .in_key = 1};
	f->columns[1] = (struct records_column){.name = column_b, .affinity = b, .in_key = 2};
	f->table = (struct records_table){.name = table_name,
					  .columns = f->columns,
					  .n_columns = 2,
					  .key = f->key,
					  .n_key = n,
					  .kind = kind,
					  .rowid = kind == KEY_CLUSTER ? NULL : rowid_name};
}

static struct db_value
integer(int64_t i)
{
	return (struct db_value){.type = DB_INT, .i = i};
}

static struct db_value
real(double r)
{
	return (struct db_value){.type = DB_REAL, .r = r};
}

static struct db_value
text(const char *s)
{
	return (struct db_value){.type = DB_TEXT, .b = slice_str(s)};
}

static struct db_value
blob(const void *p, size_t len)
{
	return (struct db_value){.type = DB_BLOB, .b = slice_of(p, len)};
}

static void
check_same(const struct db_value *a, const struct db_value *b)
{
	assert_int_equal(a->type, b->type);
	if (a->type == DB_INT)
		assert_true(a->i == b->i);
	if (a->type == DB_REAL)
		assert_memory_equal(&a->r, &b->r, sizeof a->r);
	if (a->type == DB_TEXT || a->type == DB_BLOB)
		assert_true(slice_equal(a->b, b->b));
}

/* @name: NULL, or what it must be. */
static void
check_round_trip(const struct records_table *t, struct db_value *values, const char *name)
{
	CLEANUP(records_key_fini) struct records_key back = {0};
	struct records_key key = {.values = values, .n = t->n_key};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	records_name_of_key(t, &key, &b);
	if (name != NULL)
		assert_string_equal(buf_cstr(&b), name);
	assert_true(b.len <= RECORDS_NAME_MAX);
	assert_true(b.p[0] != '.');
	assert_null(memchr(b.p, '/', b.len));
	assert_true(utf8_valid(buf_slice(&b)));
	assert_int_equal(records_key_parse(t, buf_slice(&b), &back), NAME_KEY);
	assert_false(back.by_rowid);
	for (unsigned i = 0; i < t->n_key; i++)
		check_same(&values[i], &back.values[i]);
}

static void
test_key__common_keys_are_names_that_people_would_expect(void **state)
{
	struct db_value line[] = {integer(4711), integer(2)}, sku[] = {text("SKU000001")},
			barcode[] = {text("4006381333931")}, email[] = {text("a b@example.org")};
	struct fixture f;

	(void)state;
	set_table(&f, KEY_CLUSTER, 2, AFFINITY_NUMERIC, AFFINITY_NUMERIC);
	check_round_trip(&f.table, line, "4711,2.json");
	set_table(&f, KEY_COLUMNS, 1, AFFINITY_TEXT, AFFINITY_NONE);
	check_round_trip(&f.table, sku, "SKU000001.json");
	check_round_trip(&f.table, barcode, "4006381333931.json");
	check_round_trip(&f.table, email, "a b@example.org.json");
}

static void
test_key__odd_bytes_are_escaped_and_come_back(void **state)
{
	struct db_value values[] = {text("")};
	struct fixture f;
	static const struct {
		const char *text, *name;
	} cases[] = {
		{"a/b", "a%2Fb.json"},         {".", "%2E.json"},
		{"..", "%2E..json"},           {".hidden", "%2Ehidden.json"},
		{"a.b", "a.b.json"},           {"100%", "100%25.json"},
		{"%41", "%2541.json"},         {"Smith, J", "Smith%2C J.json"},
		{"\x01\x7f", "%01%7F.json"},   {"\xff\xfe", "%FF%FE.json"},
		{"\xc3\xa4", "\xc3\xa4.json"}, {"", "%t.json"},
		{"%n", "%25n.json"},           {"%t", "%25t.json"},
		{"a.json", "a.json.json"},     {"\xed\xa0\x80", "%ED%A0%80.json"},
	};

	(void)state;
	set_table(&f, KEY_COLUMNS, 1, AFFINITY_TEXT, AFFINITY_NONE);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		values[0] = text(cases[i].text);
		check_round_trip(&f.table, values, cases[i].name);
	}
	values[0] = (struct db_value){.type = DB_TEXT, .b = slice_of("a\0b", 3)};
	check_round_trip(&f.table, values, "a%00b.json");
}

static void
test_key__types_are_told_apart(void **state)
{
	static const enum records_affinity affinities[] = {AFFINITY_NONE, AFFINITY_TEXT,
							   AFFINITY_NUMERIC, AFFINITY_REAL};
	struct db_value values[] = {
		integer(5),         real(5.0),
		text("5"),          text("5.0"),
		text("%i5"),        blob("5", 1),
		blob("", 0),        integer(INT64_MIN),
		integer(INT64_MAX), text("9223372036854775808"),
		real(0.1),          real(-0.0),
		real(INFINITY),     text("9e999"),
		text("+5"),         text("05"),
		text(" 5"),         text("1e5"),
		text("100000.0"),   text("nan"),
		text("-"),          real(1e300),
		real(5e-324),
	};

	(void)state;
	for (size_t a = 0; a < ARRAY_LEN(affinities); a++) {
		struct fixture f;
		size_t n_names = 0;
		char *names[ARRAY_LEN(values)];

		set_table(&f, KEY_CLUSTER, 1, affinities[a], AFFINITY_NONE);
		for (size_t i = 0; i < ARRAY_LEN(values); i++) {
			struct records_key key = {.values = &values[i], .n = 1};
			CLEANUP(buf_fini) struct buf b = BUF_INIT;

			check_round_trip(&f.table, &values[i], NULL);
			records_name_of_key(&f.table, &key, &b);
			for (size_t k = 0; k < n_names; k++)
				assert_string_not_equal(names[k], buf_cstr(&b));
			names[n_names++] = str_copy(buf_cstr(&b));
		}
		while (n_names > 0)
			free(names[--n_names]);
	}
}

static void
test_key__long_keys_are_named_by_rowid_or_hash(void **state)
{
	char long_text[300];
	struct db_value values[] = {{.type = DB_TEXT}};
	struct records_key key = {.values = values, .n = 1, .rowid = -17};
	CLEANUP(records_key_fini) struct records_key back = {0};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct fixture f;

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	values[0].b = slice_of(long_text, 250);
	set_table(&f, KEY_COLUMNS, 1, AFFINITY_TEXT, AFFINITY_NONE);
	check_round_trip(&f.table, values, NULL); /* the longest that has room */

	values[0].b = slice_of(long_text, 251);
	records_name_of_key(&f.table, &key, &b);
	assert_string_equal(buf_cstr(&b), "%k-17.json");
	assert_int_equal(records_key_parse(&f.table, buf_slice(&b), &back), NAME_KEY);
	assert_true(back.by_rowid && back.rowid == -17);

	buf_reset(&b);
	set_table(&f, KEY_CLUSTER, 1, AFFINITY_TEXT, AFFINITY_NONE);
	records_name_of_key(&f.table, &key, &b);
	assert_int_equal(b.len, 2 + 32 + 5);
	assert_int_equal(records_key_parse(&f.table, buf_slice(&b), &back), NAME_HASH);
}

static void
test_key__what_no_key_is_called_is_refused(void **state)
{
	static const char *const rowid_names[] = {"x.json",   "05.json",
						  "+5.json",  "5",
						  ".json",    "5.JSON",
						  "%k5.json", "9223372036854775808.json"};
	static const char *const text_names[] = {"%4.json",  "%.json",   "a%2.json", "%2f.json",
						 "a,b.json", "%kx.json", "%x0.json", "%xAB.json"};
	CLEANUP(records_key_fini) struct records_key key = {0};
	struct fixture f;

	(void)state;
	set_table(&f, KEY_ROWID, 0, AFFINITY_NONE, AFFINITY_NONE);
	for (size_t i = 0; i < ARRAY_LEN(rowid_names); i++)
		assert_int_equal(records_key_parse(&f.table, slice_str(rowid_names[i]), &key),
				 NAME_NONE);
	set_table(&f, KEY_COLUMNS, 1, AFFINITY_TEXT, AFFINITY_NONE);
	for (size_t i = 0; i < ARRAY_LEN(text_names); i++)
		assert_int_equal(records_key_parse(&f.table, slice_str(text_names[i]), &key),
				 NAME_NONE);
}

static void
test_name__tables_never_take_the_names_of_our_own_files(void **state)
{
	static const struct {
		const char *table, *name;
	} cases[] = {{"receipt", "receipt"},
		     {"_source", "%5Fsource"},
		     {"_schema.sql", "%5Fschema.sql"},
		     {"_other", "_other"},
		     {"..", "%2E."},
		     {"Order Details", "Order Details"},
		     {"", "%t"},
		     {"a/b", "a%2Fb"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf b = BUF_INIT;

		records_name_of_table(slice_str(cases[i].table), &b);
		assert_string_equal(buf_cstr(&b), cases[i].name);
	}
}

static void
test_text__json_keeps_what_a_value_is(void **state)
{
	const struct {
		struct db_value v;
		const char *json;
	} cases[] = {
		{integer(INT64_MAX), "9223372036854775807"},
		{integer(INT64_MIN), "-9223372036854775808"},
		{real(1), "1.0"},
		{real(0.1), "0.1"},
		{real(1.0 / 3), "0.3333333333333333"},
		{real(1e300), "1e+300"},
		{real(INFINITY), "9e999"},
		{real(-INFINITY), "-9e999"},
		{text("a\"b\n"), "\"a\\\"b\\n\""},
		{text("\xff"), "{\"text_base64\": \"/w==\"}"},
		{blob("\0\1", 2), "{\"base64\": \"AAE=\"}"},
		{blob("", 0), "{\"base64\": \"\"}"},
		{{.type = DB_NULL}, "null"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf b = BUF_INIT;

		records_json_value(&b, &cases[i].v);
		assert_string_equal(buf_cstr(&b), cases[i].json);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key__common_keys_are_names_that_people_would_expect),
		cmocka_unit_test(test_key__odd_bytes_are_escaped_and_come_back),
		cmocka_unit_test(test_key__types_are_told_apart),
		cmocka_unit_test(test_key__long_keys_are_named_by_rowid_or_hash),
		cmocka_unit_test(test_key__what_no_key_is_called_is_refused),
		cmocka_unit_test(test_name__tables_never_take_the_names_of_our_own_files),
		cmocka_unit_test(test_text__json_keeps_what_a_value_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
