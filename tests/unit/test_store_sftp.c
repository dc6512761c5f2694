/*
 * test_store_sftp.c - what SFTP needs no server for: hosts' keys, and lines of listings.
 */
#include "fixture_folder.h"

#include "store/folders.h"
#include "store/known_hosts.h"
#include "store/leftovers.h"
#include "store/sftp.h"

/* Two keys, and the fingerprints that `ssh-keygen -l` prints of them. */
#define KEY_A   "AAAAC3NzaC1lZDI1NTE5AAAAINwkJp8jTvE6U/mlgdiYj1PeDLuG74Ova6fl51J6ihjA"
#define KEY_B   "AAAAC3NzaC1lZDI1NTE5AAAAIBbZ8p1UpdK4rIl4u8Rww2zbwFxu3F3MhMbCBsiaP6mG"
#define PRINT_A "SHA256:q+4ZkpAK8d4+8Bzdcmqte3UquY1OtUc+gY1HJS0jLtM"
#define PRINT_B "SHA256:U1wLRuydGDVyIja0qnV4wqNita65drZnhu10Lff8fSs"

/* The fingerprints of what a text has for a host: "A", "B", "-A" for a revoked one. */
static char *
found(const char *text, const char *host, unsigned port)
{
	struct host_keys keys = {0};
	CLEANUP(buf_fini) struct buf b = BUF_INIT;

	known_hosts_parse(slice_str(text), host, port, &keys);
	for (size_t i = 0; i < keys.n; i++) {
		CLEANUP(freep) char *print = host_key_fingerprint(buf_slice(&keys.all[i].blob));

		assert_string_equal(keys.all[i].type, "ssh-ed25519");
		buf_append_str(&b, keys.all[i].revoked ? "-" : "");
		buf_append_str(&b, strcmp(print, PRINT_A) == 0   ? "A"
				   : strcmp(print, PRINT_B) == 0 ? "B"
								 : print);
	}
	host_keys_fini(&keys);
	return str_copy(buf_cstr(&b));
}

static void
test_known_hosts__forms_of_names(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port;
		const char *found;
	} cases[] = {
		{"till.example ssh-ed25519 " KEY_A, "till.example", 22, "A"},
		{"till.example ssh-ed25519 " KEY_A " a comment\r\n", "Till.Example", 22, "A"},
		{"till.example ssh-ed25519 " KEY_A, "till.example", 2022, ""},
		{"[till.example]:2022 ssh-ed25519 " KEY_B, "till.example", 2022, "B"},
		{"[till.example]:2022 ssh-ed25519 " KEY_B, "till.example", 22, ""},
		{"a,till.example,b ssh-ed25519 " KEY_A, "till.example", 22, "A"},
		{"*.example ssh-ed25519 " KEY_A, "till.example", 22, "A"},
		{"*.example ssh-ed25519 " KEY_A, "till.example.org", 22, ""},
		{"till?example ssh-ed25519 " KEY_A, "till.example", 22, "A"},
		{"*.example,!till.* ssh-ed25519 " KEY_A, "till.example", 22, ""},
		{"*a*b*c ssh-ed25519 " KEY_A, "aXbXbcXc", 22, "A"},
		{"  \t till.example \t ssh-ed25519   " KEY_A, "till.example", 22, "A"},
		/* as `ssh-keygen -H` makes of the first and the fourth */
		{"|1|o8lW36M5+LXQTKv9yPbfhYW03FY=|Wasb4A7Lr2WoK8wR9sMDFGgoNiI= ssh-ed25519 " KEY_A,
		 "till.example", 22, "A"},
		{"|1|o8lW36M5+LXQTKv9yPbfhYW03FY=|Wasb4A7Lr2WoK8wR9sMDFGgoNiI= ssh-ed25519 " KEY_A,
		 "till.example", 2022, ""},
		{"|1|OQyQjrox6wSIX8p85r2+bO758mA=|6KRpzd7B27wUuFQ3qy4lfxWypvU= ssh-ed25519 " KEY_B,
		 "till.example", 2022, "B"},
		{"::1 ssh-ed25519 " KEY_A, "::1", 22, "A"},
		{"[::1]:2022 ssh-ed25519 " KEY_A, "::1", 2022, "A"},
		{"# till.example ssh-ed25519 " KEY_A "\n\ntill.example ssh-ed25519 " KEY_B "\n",
		 "till.example", 22, "B"},
		{"x ssh-ed25519 " KEY_A "\nx ssh-ed25519 " KEY_B, "x", 22, "AB"},
		{"@revoked * ssh-ed25519 " KEY_A "\nx ssh-ed25519 " KEY_B, "x", 22, "-AB"},
		{"@cert-authority * ssh-ed25519 " KEY_A, "x", 22, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(freep)
		char *got = found(cases[i].text, cases[i].host, cases[i].port);

		if (strcmp(got, cases[i].found) != 0)
			fail_msg("%s: found \"%s\" instead of \"%s\"", cases[i].text, got,
				 cases[i].found);
	}
}

static void
test_known_hosts__lines_without_sense_are_passed_over(void **state)
{
	static const char *const lines[] = {
		"x",
		"x ssh-ed25519",
		"x ssh-ed25519 %%%",
		"x ssh-ed25519 AAAA",
		"x ssh-rsa " KEY_A, /* a key of another type than the line says */
		"@revoked",
		"|1| ssh-ed25519 " KEY_A,
		"|1|| ssh-ed25519 " KEY_A,
		"|1|AAAA|AAAA ssh-ed25519 " KEY_A,
		"|1|%|% ssh-ed25519 " KEY_A,
		",,! ssh-ed25519 " KEY_A,
		"\xff\xfe ssh-ed25519 " KEY_A,
		"x ssh-ed25519 AAAAAAAA",
		"x \xff //8AAA==",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		CLEANUP(freep) char *text = str_format("%s\nx ssh-ed25519 " KEY_B, lines[i]);
		CLEANUP(freep) char *got = found(text, "x", 22);

		assert_string_equal(got, "B");
	}
}

static void
test_known_hosts__trust(void **state)
{
	CLEANUP(buf_fini) struct buf a = BUF_INIT;
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct host_keys keys = {0};

	(void)state;
	assert_true(seal_base64_parse(slice_str(KEY_A), &a));
	assert_true(seal_base64_parse(slice_str(KEY_B), &b));
	assert_false(host_keys_trust(&keys, buf_slice(&a)));
	known_hosts_parse(slice_str("x ssh-ed25519 " KEY_A "\n"), "x", 22, &keys);
	assert_true(host_keys_trust(&keys, buf_slice(&a)));
	assert_false(host_keys_trust(&keys, buf_slice(&b)));
	assert_false(host_keys_trust(&keys, slice_of(a.p, a.len - 1)));

	/* Whatever else a file says of it, a revoked key is none. */
	known_hosts_parse(slice_str("@revoked x ssh-ed25519 " KEY_A "\n"), "x", 22, &keys);
	assert_false(host_keys_trust(&keys, buf_slice(&a)));
	assert_true(host_keys_revoked(&keys, buf_slice(&a)));
	assert_false(host_keys_revoked(&keys, buf_slice(&b)));
	host_keys_fini(&keys);
}

/* ---- listings ---- */

/* "name:size " or "name/ " of each. */
static int
listed(const char *text, struct buf *ret, struct err *err)
{
	struct folder_names names = {0};
	int r = sftp_parse_listing(slice_str(text), &names, err);

	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.all[i].text;

		buf_append_str(ret, name);
		if (name[strlen(name) - 1] != '/')
			buf_appendf(ret, ":%llu", (unsigned long long)names.all[i].size);
		buf_append_str(ret, " ");
	}
	folder_names_fini(&names);
	return r;
}

static void
test_sftp_listing__lines_of_several_servers(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{"", ""},
		{"drwxr-xr-x    2 root     root         4096 Nov 30 11:00 .\n"
		 "drwxr-xr-x    2 root     root         4096 Nov 30 11:00 ..\n"
		 "-rw-r--r--    1 root     root           17 Nov 30 11:00 a b\n"
		 "drwxr-xr-x    2 root     root         4096 Nov  3  2025 folder\n",
		 "a b:17 folder/ "},
		{"-rw-r--r-- 1 DOM\\Us ers Domain Users 3000000000 Dec  1 00:00 x",
		 "x:3000000000 "},
		{"-rw-r--r--   1 1000 1000 12 30 Nov 11:00 day first\n", "day first:12 "},
		{"-rw-r--r--+  1 1000 1000 12 Nov 30 11:00  blank first\n", " blank first:12 "},
		{"-rw-r--r-- 1 0 0 5 Nov 30 11:00 7 Nov 30 11:00 x\n", "7 Nov 30 11:00 x:5 "},
		{"-rw-r--r-- 1 0 0 5 Nov 30 11:00 \xc3\xa4\n", "\xc3\xa4:5 "},
		{"-rw-r--r-- 1 0 0 5 Nov 30 11:00 \xff\n", ""},
		{"lrwxrwxrwx 1 0 0 5 Nov 30 11:00 link -> target\n"
		 "prw-r--r-- 1 0 0 0 Nov 30 11:00 pipe\n",
		 ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(buf_fini) struct buf names = BUF_INIT;
		struct err err = ERR_INIT;

		CHECK_OK(listed(cases[i].text, &names, &err), &err);
		assert_string_equal(buf_cstr(&names), cases[i].names);
	}
}

static void
test_sftp_listing__other_lines_are_no_empty_folder(void **state)
{
	static const char *const lines[] = {
		"x",
		"total 12",
		"-rw-r--r-- 1 root root 12 Nov 30 11:00",
		"-rw-r--r-- 1 root root 12 Nov 30 11:00 ",
		"-rw-r--r-- 1 root root Nov 30 11:00 x",
		"-rw-r--r-- 1 root root 12 2026-11-30 11:00 x",
		"-rw-r--r-- 1 root root 99999999999999999999 Nov 30 11:00 x",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		CLEANUP(buf_fini) struct buf names = BUF_INIT;
		struct err err = ERR_INIT;

		CHECK_REFUSED(listed(lines[i], &names, &err), ERR_UNSUPPORTED, &err, lines[i]);
	}
}

static void
test_temp_name__tells_its_age(void **state)
{
	CLEANUP(freep) char *a = temp_name_new();
	CLEANUP(freep) char *b = temp_name_new();

	(void)state;
	assert_string_not_equal(a, b);
	assert_memory_equal(a, ".tmp/20", 7);
	assert_false(temp_name_is_old(a + strlen(".tmp/")));
	assert_true(temp_name_is_old("2020-11-20T23-00-05Z-0011"));
	assert_false(temp_name_is_old("2020-11-20T23-00-05Z"));
	assert_false(temp_name_is_old("2020-11-20T23-00-05Zx0011"));
	assert_false(temp_name_is_old("somebody else's"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_hosts__forms_of_names),
		cmocka_unit_test(test_known_hosts__lines_without_sense_are_passed_over),
		cmocka_unit_test(test_known_hosts__trust),
		cmocka_unit_test(test_sftp_listing__lines_of_several_servers),
		cmocka_unit_test(test_sftp_listing__other_lines_are_no_empty_folder),
		cmocka_unit_test(test_temp_name__tells_its_age),
	};

	seal_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
