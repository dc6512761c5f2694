/*
 * test_config.c - INI files, the configuration, classes of paths.
 */
#include "fixture_folder.h"

#include "tillfs/config.h"
#include "tillfs/seal.h"

/* ---- INI ---- */

static void
check_entry(const struct ini *ini, size_t i, const char *section, const char *key,
	    const char *value, int line)
{
	assert_true(i < ini->n);
	assert_string_equal(ini->entries[i].section, section);
	assert_string_equal(ini->entries[i].key, key);
	assert_string_equal(ini->entries[i].value, value);
	assert_int_equal(ini->entries[i].line, line);
}

static void
test_ini__entries_in_order_with_their_lines(void **state)
{
	static const char text[] = "early = 1\n"
				   "# comment\n"
				   "; comment\n"
				   "  # comment\n"
				   "[one]\n"
				   "\n"
				   "key=value\n"
				   "  spaced  =  two  words ; and # more  \r\n"
				   "quoted = \"x\"\n"
				   "[ two ]\n"
				   "again = 1\n"
				   "again = a = b\n"
				   "empty =\n"
				   "last = no newline";
	CLEANUP(ini_fini) struct ini ini = {0};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(ini_parse(slice_str(text), "x.conf", &ini, &err), &err);
	assert_int_equal(ini.n, 8);
	assert_string_equal(ini.origin, "x.conf");
	check_entry(&ini, 0, "", "early", "1", 1);
	check_entry(&ini, 1, "one", "key", "value", 7);
	check_entry(&ini, 2, "one", "spaced", "two  words ; and # more", 8);
	check_entry(&ini, 3, "one", "quoted", "\"x\"", 9);
	check_entry(&ini, 4, "two", "again", "1", 11);
	check_entry(&ini, 5, "two", "again", "a = b", 12);
	check_entry(&ini, 6, "two", "empty", "", 13);
	check_entry(&ini, 7, "two", "last", "no newline", 14);
	assert_string_equal(ini_get(&ini, "two", "again"), "a = b");
	assert_null(ini_get(&ini, "one", "again"));
	assert_null(ini_get(&ini, "three", "again"));
}

static void
test_ini__nothing_and_a_byte_order_mark_are_fine(void **state)
{
	static const char *const empty[] = {"", "\n", "\xef\xbb\xbf", "# x", "\r\n\r\n", "[x]"};
	CLEANUP(ini_fini) struct ini ini = {0};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
		ini_fini(&ini);
		CHECK_OK(ini_parse(slice_str(empty[i]), "x", &ini, &err), &err);
		assert_int_equal(ini.n, 0);
	}
	ini_fini(&ini);
	CHECK_OK(ini_parse(slice_of(NULL, 0), "x", &ini, &err), &err);
	ini_fini(&ini);
	CHECK_OK(ini_parse(slice_str("\xef\xbb\xbf[a]\nb = c"), "x", &ini, &err), &err);
	check_entry(&ini, 0, "a", "b", "c", 2);
}

/* Neither a key nor a long path may lose its end in silence. */
static void
test_ini__long_lines_are_kept_whole(void **state)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	CLEANUP(ini_fini) struct ini ini = {0};
	struct err err = ERR_INIT;

	(void)state;
	buf_append_str(&text, "[x]\nkey = ");
	memset(buf_extend(&text, 100000), 'v', 100000);
	CHECK_OK(ini_parse(buf_slice(&text), "x", &ini, &err), &err);
	assert_int_equal(strlen(ini_get(&ini, "x", "key")), 100000);
}

static void
test_ini__refuses_each_defect(void **state)
{
	static const char *const refused[][2] = {
		{"[x\n", "x.conf:1:"},      {"\n[]\n", "x.conf:2:"},
		{"[x] y\n", "x.conf:1:"},   {"a = 1\nword\n", "x.conf:2:"},
		{"= value\n", "x.conf:1:"}, {"[x]\n = v", "x.conf:2:"},
		{"[", "x.conf:1:"},
	};
	CLEANUP(freep) uint8_t *large = mem_alloc(INI_FILE_MAX + 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct ini ini = {0};
		struct err err = ERR_INIT;

		CHECK_REFUSED(ini_parse(slice_str(refused[i][0]), "x.conf", &ini, &err),
			      ERR_INVALID, &err, refused[i][1]);
		assert_int_equal(ini.n, 0);
		assert_null(ini.entries);
	}

	struct ini ini = {0};
	struct err err = ERR_INIT;

	memset(large, '\n', INI_FILE_MAX + 1);
	CHECK_OK(ini_parse(slice_of(large, INI_FILE_MAX), "x", &ini, &err), &err);
	ini_fini(&ini);
	CHECK_REFUSED(ini_parse(slice_of(large, INI_FILE_MAX + 1), "x", &ini, &err), ERR_INVALID,
		      &err, "longer");
	CHECK_REFUSED(ini_parse(slice_of("a = b\0", 6), "x", &ini, &err), ERR_INVALID, &err,
		      "text");
}

static void
test_ini__reads_a_file(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "x.conf");
	CLEANUP(freep) char *missing = in(f, "missing");
	CLEANUP(ini_fini) struct ini ini = {0};
	struct err err = ERR_INIT;

	(void)state;
	write_file(path, slice_str("[a]\nb = c\n"));
	CHECK_OK(ini_read(path, &ini, &err), &err);
	check_entry(&ini, 0, "a", "b", "c", 2);
	ini_fini(&ini);
	CHECK_REFUSED(ini_read(missing, &ini, &err), ERR_NOENT, &err, missing);
	CHECK_REFUSED(ini_read(f->path, &ini, &err), ERR_IO, &err, f->path);
	write_file(path, slice_str("[a]\nb\n"));
	CHECK_REFUSED(ini_read(path, &ini, &err), ERR_INVALID, &err, "x.conf:2:");
}

/* ---- the configuration ---- */

static void
parse(const char *text, struct config *ret)
{
	struct err err = ERR_INIT;

	CHECK_OK(config_parse(slice_str(text), "x.conf", ret, &err), &err);
}

static void
test_config__has_every_setting(void **state)
{
	CLEANUP(config_fini) struct config c = {0};

	(void)state;
	parse("[tillfs]\n"
	      "repository = file:///srv/pos backup\n"
	      "identity = /etc/tillfs/admin.key\n"
	      "writer = till-03.writer\n"
	      "state = /var/lib/x\n"
	      "time-zone = Europe/Berlin\n"
	      "cutoff = 04:30\n"
	      "exclude = *.tmp\n"
	      "exclude = var/cache/**\n"
	      "cacert = /etc/ssl/shop.pem\n"
	      "profile = shop\n"
	      "timeout = 90\n"
	      "object-lock-days = 30\n"
	      "[store]\n"
	      "access-key = A\n"
	      "secret-key = B/+=\n"
	      "session-token = C\n"
	      "account-key = D==\n"
	      "sas-token = sv=1&sig=x\n"
	      "[class sales]\n"
	      "pattern = sales/**\n"
	      "[class customers]\n"
	      "pattern = crm.db\n"
	      "[class sales]\n"
	      "pattern = *.journal\n",
	      &c);
	assert_string_equal(c.repository, "file:///srv/pos backup");
	assert_string_equal(c.identity, "/etc/tillfs/admin.key");
	assert_string_equal(c.writer, "till-03.writer");
	assert_string_equal(c.state, "/var/lib/x");
	assert_string_equal(c.zone, "Europe/Berlin");
	assert_int_equal(c.cutoff_min, 270);
	assert_int_equal(c.n_excludes, 2);
	assert_string_equal(c.excludes[0], "*.tmp");
	assert_string_equal(c.excludes[1], "var/cache/**");
	assert_int_equal(c.n_classes, 2);
	assert_string_equal(c.classes[0].name, "sales");
	assert_int_equal(c.classes[0].n_patterns, 2);
	assert_string_equal(c.classes[0].patterns[1], "*.journal");
	assert_string_equal(c.classes[1].patterns[0], "crm.db");
	assert_string_equal(c.cacert, "/etc/ssl/shop.pem");
	assert_string_equal(c.profile, "shop");
	assert_int_equal(c.timeout_s, 90);
	assert_int_equal(c.object_lock_days, 30);
	assert_string_equal(c.credentials.access_key, "A");
	assert_string_equal(c.credentials.secret_key, "B/+=");
	assert_string_equal(c.credentials.session_token, "C");
	assert_string_equal(c.credentials.account_key, "D==");
	assert_string_equal(c.credentials.sas_token, "sv=1&sig=x");
}

static void
test_config__defaults(void **state)
{
	CLEANUP(config_fini) struct config c = {0};

	(void)state;
	parse("", &c);
	assert_true(c.repository == NULL && c.identity == NULL && c.writer == NULL);
	assert_null(c.state);
	assert_string_equal(c.zone, "");
	assert_int_equal(c.cutoff_min, 0);
	assert_int_equal(c.n_excludes + c.n_classes, 0);
}

static void
test_config__refuses_each_mistake_by_line(void **state)
{
	static const char *const refused[][2] = {
		{"[tillfs]\nrepo = x\n", "x.conf:2: repo"},
		{"[tilfs]\nrepository = x\n", "x.conf:2: no such section as [tilfs]"},
		{"repository = x\n", "x.conf:1: repository"},
		{"[tillfs]\ncutoff = 24:00\n", "x.conf:2: cutoff = 24:00"},
		{"[tillfs]\ncutoff = 4:00\n", "HH:MM"},
		{"[tillfs]\ncutoff = 04:60\n", "HH:MM"},
		{"[tillfs]\ncutoff = 04-00\n", "HH:MM"},
		{"[tillfs]\ncutoff = 0a:00\n", "HH:MM"},
		{"[tillfs]\ncutoff =\n", "HH:MM"},
		{"[tillfs]\nexclude =\n", "empty"},
		{"[tillfs]\ntimeout = 0\n", "from 1"},
		{"[tillfs]\ntimeout = 5s\n", "seconds"},
		{"[tillfs]\nobject-lock-days = -1\n", "days"},
		{"[tillfs]\nobject-lock-days = 36501\n", "36500"},
		{"[store]\nsecret = hidden\n", "x.conf:2: no such setting as secret in [store]"},
		{"[class sales]\npattern =\n", "empty"},
		{"[class sales]\npatern = x\n", "x.conf:2: patern"},
		{"[class Sales]\npattern = x\n", "[class Sales]"},
		{"[class general]\npattern = x\n", "general"},
		{"[class a b]\npattern = x\n", "[class a b]"},
		{"[class ]\npattern = x\n", "x.conf:2:"},
		{"[class]\npattern = x\n", "[class]"},
		{"[class aaaaaaaaaabbbbbbbbbbccccccccccddd]\npattern = x\n", "1 to 32"},
		{"[tillfs]\nbroken\n", "x.conf:2:"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct config c = {0};
		struct err err = ERR_INIT;

		CHECK_REFUSED(config_parse(slice_str(refused[i][0]), "x.conf", &c, &err),
			      ERR_INVALID, &err, refused[i][1]);
		assert_null(c.zone);
	}
}

static void
test_config__captures_and_extracts(void **state)
{
	static const char text[] = "[class sales]\npattern = x\n"
				   "[capture pos.dump]\ncommand = pg_dump pos\nclass = sales\n"
				   "[extract r]\ndatabase = /var/pos.db\nquery = SELECT 1\n"
				   "query = FROM t\npath = out/r.csv\ntimeout = 5\n";
	CLEANUP(config_fini) struct config c = {0};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_OK(config_parse(slice_str(text), "x.conf", &c, &err), &err);
	assert_int_equal(c.n_made, 2);
	assert_int_equal(c.made[0].by, MADE_BY_COMMAND);
	assert_string_equal(c.made[0].path, "captures/pos.dump");
	assert_string_equal(c.made[0].class_name, "sales");
	assert_int_equal(c.made[0].timeout_sec, MADE_TIMEOUT_SEC);
	assert_int_equal(c.made[1].by, MADE_BY_QUERY);
	assert_string_equal(c.made[1].path, "out/r.csv");
	assert_string_equal(c.made[1].database, "var/pos.db");
	assert_string_equal(c.made[1].query, "SELECT 1\nFROM t");
	assert_int_equal(c.made[1].timeout_sec, 5);
}

static void
test_config__the_number_of_classes_is_bounded(void **state)
{
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	struct config c = {0};
	struct err err = ERR_INIT;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		buf_appendf(&text, "[class c%u]\npattern = x\n", i);
	CHECK_OK(config_parse(buf_slice(&text), "x", &c, &err), &err);
	config_fini(&c);
	buf_append_str(&text, "[class more]\npattern = x\n");
	CHECK_REFUSED(config_parse(buf_slice(&text), "x", &c, &err), ERR_INVALID, &err, "256");
}

static void
test_config__loads_the_file_it_is_told(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *path = in(f, "x.conf");
	CLEANUP(config_fini) struct config c = {0};
	struct err err = ERR_INIT;

	(void)state;
	CHECK_REFUSED(config_load(path, &c, &err), ERR_NOENT, &err, path);
	write_file(path, slice_str("[tillfs]\nwriter = w\n"));
	CHECK_OK(config_load(path, &c, &err), &err);
	assert_string_equal(c.writer, "w");
	assert_string_equal(c.zone, "");
}

static void
test_config__finds_the_users_file(void **state)
{
	CLEANUP(folder_freep) struct folder *f = folder_new();
	CLEANUP(freep) char *folder = in(f, ".config/tillfs");
	CLEANUP(freep) char *path = in(f, ".config/tillfs/tillfs.conf");
	CLEANUP(freep) char *xdg = in(f, ".config");
	CLEANUP(config_fini) struct config c = {0};
	struct err err = ERR_INIT;

	(void)state;
	if (access("/etc/tillfs/tillfs.conf", F_OK) == 0)
		skip(); /* this machine has a configuration of its own */
	CHECK_OK(dir_make(folder, &err), &err);
	assert_int_equal(setenv("HOME", f->path, 1) | unsetenv("XDG_CONFIG_HOME"), 0);
	CHECK_OK(config_load(NULL, &c, &err), &err);
	assert_null(c.writer);
	config_fini(&c);

	write_file(path, slice_str("[tillfs]\nwriter = w\n"));
	CHECK_OK(config_load(NULL, &c, &err), &err);
	assert_string_equal(c.writer, "w");
	config_fini(&c);
	assert_int_equal(setenv("HOME", "/nonexistent", 1) | setenv("XDG_CONFIG_HOME", xdg, 1), 0);
	CHECK_OK(config_load(NULL, &c, &err), &err);
	assert_string_equal(c.writer, "w");
	config_fini(&c);

	write_file(path, slice_str("[tillfs]\nwrter = w\n"));
	CHECK_REFUSED(config_load(NULL, &c, &err), ERR_INVALID, &err, "tillfs.conf:2:");
}

/* ---- classes ---- */

static const char *
class_of(const struct config *c, const char *path)
{
	size_t i = config_classify(c, slice_str(path));

	return i == SIZE_MAX ? "general" : c->classes[i].name;
}

static void
test_classify__the_first_pattern_that_matches(void **state)
{
	CLEANUP(config_fini) struct config c = {0};

	(void)state;
	assert_string_equal(class_of(&c, "anything"), "general");
	parse("[class sales]\npattern = pos/sales/**\npattern = *.db\n"
	      "[class configuration]\npattern = etc/**\npattern = pos/**\n",
	      &c);
	assert_string_equal(class_of(&c, "pos/sales/2026/x.csv"), "sales");
	assert_string_equal(class_of(&c, "pos/sales"), "configuration");
	assert_string_equal(class_of(&c, "etc/x.db"), "sales");
	assert_string_equal(class_of(&c, "etc/x.ini"), "configuration");
	assert_string_equal(class_of(&c, "usr/bin/x"), "general");
	assert_string_equal(class_of(&c, ""), "general");
}

static void
test_classify__companions_follow_their_database(void **state)
{
	CLEANUP(config_fini) struct config c = {0};

	(void)state;
	parse("[class sales]\npattern = *.db\n"
	      "[class configuration]\npattern = etc/**\n"
	      "[class reports]\npattern = receipt-journal\n",
	      &c);
	assert_string_equal(class_of(&c, "etc/pos.db-wal"), "sales");
	assert_string_equal(class_of(&c, "etc/pos.db-shm"), "sales");
	assert_string_equal(class_of(&c, "etc/pos.db-journal"), "sales");
	assert_string_equal(class_of(&c, "etc/pos.db-other"), "configuration");
	assert_string_equal(class_of(&c, "receipt-journal"), "reports"); /* a name of its own */
	assert_string_equal(class_of(&c, "-wal"), "general");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ini__entries_in_order_with_their_lines),
		cmocka_unit_test(test_ini__nothing_and_a_byte_order_mark_are_fine),
		cmocka_unit_test(test_ini__long_lines_are_kept_whole),
		cmocka_unit_test(test_ini__refuses_each_defect),
		cmocka_unit_test(test_ini__reads_a_file),
		cmocka_unit_test(test_config__has_every_setting),
		cmocka_unit_test(test_config__defaults),
		cmocka_unit_test(test_config__refuses_each_mistake_by_line),
		cmocka_unit_test(test_config__captures_and_extracts),
		cmocka_unit_test(test_config__the_number_of_classes_is_bounded),
		cmocka_unit_test(test_config__loads_the_file_it_is_told),
		cmocka_unit_test(test_config__finds_the_users_file),
		cmocka_unit_test(test_classify__the_first_pattern_that_matches),
		cmocka_unit_test(test_classify__companions_follow_their_database),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
