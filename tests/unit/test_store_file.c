/*
 * test_store_file.c - what is a folder's own: links, foreign files, access, full disks.
 */
#include "fixture_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static void
run(const struct folder *f, const char *command)
{
	CLEANUP(freep) char *line = str_format("cd %s/store && %s", f->path, command);

	assert_int_equal(system(line), 0);
}

static void
test_store_file__leaves_nothing_but_objects(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);
	struct err err = ERR_INIT;

	(void)state;
	create(fx->store, "a/b/c", "x");
	assert_int_equal(store_create(fx->store, "a/b/c", slice_str("y"), &err), ERR_EXISTS);
	run(fx->folder, "test \"$(find . -type f)\" = ./a/b/c");
	run(fx->folder, "test -z \"$(ls -A .tmp)\"");
	check_list(fx->store, "", false, "a/b/c:1 ");
	check_list(fx->store, "", true, "a/ ");
	CHECK_REFUSED(store_create(fx->store, ".tmp/x", slice_str(""), &err), ERR_INVALID, &err,
		      ".tmp");
}

static void
test_store_file__reading_makes_nothing(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(store_get(fx->store, "a/b", 0, 1, &b, &err), ERR_NOENT);
	assert_int_equal(store_remove(fx->store, "a/b", &err), ERR_NOENT);
	check_list(fx->store, "", false, "");
	run(fx->folder, "test -z \"$(ls -A .)\"");
}

static void
test_store_file__access_is_the_root_folders(void **state)
{
	static const unsigned modes[][3] = {{0700, 0700, 0600},
					    {0750, 0750, 0640},
					    {0755, 0755, 0644}};
	mode_t mask = umask(0077);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		CLEANUP(folder_freep) struct folder *f = folder_new();
		CLEANUP(freep) char *root = in(f, "store");
		CLEANUP(freep) char *folder = in(f, "store/a");
		CLEANUP(freep) char *object = in(f, "store/a/b");
		struct store *s;

		store_close(open_folder(f));
		assert_int_equal(chmod(root, modes[i][0]), 0);
		s = open_folder(f);
		create(s, "a/b", "x");
		store_close(s);
		assert_int_equal(mode_of(folder), modes[i][1]);
		assert_int_equal(mode_of(object), modes[i][2]);
	}
	umask(mask);
}

/* Whoever can write below the root must not lead us out of it. */
static void
test_store_file__never_follows_a_link(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);
	CLEANUP(freep) char *outside = in(fx->folder, "outside/secret");
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	uint64_t size;

	(void)state;
	create(fx->store, "good", "x");
	run(fx->folder, "mkdir ../outside && echo secret > ../outside/secret");
	run(fx->folder, "ln -s ../outside folder && ln -s ../outside/secret object");
	CHECK_REFUSED(store_get(fx->store, "object", 0, 9, &b, &err), ERR_CORRUPT, &err,
		      "object: ");
	CHECK_REFUSED(store_size(fx->store, "object", &size, &err), ERR_CORRUPT, &err, "object: ");
	CHECK_REFUSED(store_remove(fx->store, "object", &err), ERR_CORRUPT, &err, "object: ");
	CHECK_REFUSED(store_get(fx->store, "folder/secret", 0, 9, &b, &err), ERR_NOENT, &err, "");
	CHECK_REFUSED(store_create(fx->store, "folder/new", slice_str("x"), &err), ERR_IO, &err,
		      "");
	assert_int_equal(store_create(fx->store, "object", slice_str("x"), &err), ERR_EXISTS);
	assert_int_equal(store_remove(fx->store, "folder/secret", &err), ERR_NOENT);
	check_list(fx->store, "", false, "good:1 ");
	check_list(fx->store, "folder/", false, "");
	CLEANUP(freep) char *text = text_of(outside);
	assert_string_equal(text, "secret\n");
	run(fx->folder, "test \"$(ls ../outside)\" = secret");
}

static void
test_store_file__a_link_in_place_of_the_temporary_folder(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);
	struct err err = ERR_INIT;

	(void)state;
	run(fx->folder, "mkdir ../outside && ln -s ../outside .tmp");
	assert_int_equal(store_create(fx->store, "a", slice_str("x"), &err), ERR_IO);
	check_list(fx->store, "", false, "");
	run(fx->folder, "test -z \"$(ls ../outside)\"");
}

/* A fifo would block for ever who opens it. */
static void
test_store_file__what_is_no_file_is_no_object(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);
	CLEANUP(freep) char *path = in(fx->folder, "store/socket");
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	CLEANUP(closep) int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CLEANUP(buf_fini) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	(void)state;
	memcpy(name.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	run(fx->folder, "mkfifo fifo && mkdir folder");
	CHECK_REFUSED(store_get(fx->store, "fifo", 0, 9, &b, &err), ERR_CORRUPT, &err, "fifo: ");
	CHECK_REFUSED(store_get(fx->store, "socket", 0, 9, &b, &err), ERR_CORRUPT, &err, "socket");
	CHECK_REFUSED(store_get(fx->store, "folder", 0, 9, &b, &err), ERR_NOENT, &err, "folder: ");
	check_list(fx->store, "", false, "");
	check_list(fx->store, "", true, "");
}

static void
test_store_file__passes_over_names_that_are_no_keys(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);

	(void)state;
	create(fx->store, "a/b", "x");
	run(fx->folder, "touch \"$(printf 'a/\\377')\" && mkdir \"$(printf '\\377')\"");
	run(fx->folder, "d=. && for i in 1 2 3 4; do d=$d/$(printf '%0200d' $i); done && "
			"mkdir -p $d && touch $d/x");
	check_list(fx->store, "", false, "a/b:1 ");
	check_list(fx->store, "a/", true, "a/b:1 ");
}

static void
test_store_file__sweeps_old_temporary_files_only(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);

	(void)state;
	run(fx->folder, "mkdir .tmp && touch .tmp/new && touch -d '2 days ago' .tmp/old");
	create(fx->store, "a", "x");
	run(fx->folder, "test \"$(ls .tmp)\" = new");
}

static void
test_store_file__a_full_disk_leaves_nothing(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);
	CLEANUP(freep) uint8_t *big = mem_alloc(300000);
	struct rlimit old, small;
	struct err err = ERR_INIT;

	(void)state;
	create(fx->store, "before", "x");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 100000, .rlim_max = old.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	CHECK_REFUSED(store_create(fx->store, "big/object", slice_of(big, 300000), &err), ERR_IO,
		      &err, "big/object: writing to");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_list(fx->store, "", false, "before:1 ");
	run(fx->folder, "test -z \"$(ls -A .tmp)\" && ! test -e big");
	CHECK_OK(store_create(fx->store, "big/object", slice_of(big, 300000), &err), &err);
}

/* A real file system of 1 MiB, where the machine lets us mount one. */
static void
test_store_file__no_space_is_said_as_such(void **state)
{
	CLEANUP(fixture_freep) struct fixture *fx = fixture_new(FOLDER);
	CLEANUP(freep) uint8_t *big = mem_alloc(2 * MIB);
	CLEANUP(freep)
	char *mount =
		str_format("mount -t tmpfs -o size=1m none %s/store 2>/dev/null", fx->folder->path);
	CLEANUP(freep) char *umount = str_format("umount %s/store", fx->folder->path);
	struct store *s;
	struct err err = ERR_INIT;
	int r;

	(void)state;
	if (system(mount) != 0)
		skip(); /* not allowed to mount here */
	s = open_folder(fx->folder);
	r = store_create(s, "big", slice_of(big, 2 * MIB), &err);
	check_list(s, "", false, "");
	store_close(s);
	assert_int_equal(system(umount), 0);
	CHECK_REFUSED(r, ERR_NOSPACE, &err, "big: writing to");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store_file__leaves_nothing_but_objects),
		cmocka_unit_test(test_store_file__reading_makes_nothing),
		cmocka_unit_test(test_store_file__access_is_the_root_folders),
		cmocka_unit_test(test_store_file__never_follows_a_link),
		cmocka_unit_test(test_store_file__a_link_in_place_of_the_temporary_folder),
		cmocka_unit_test(test_store_file__what_is_no_file_is_no_object),
		cmocka_unit_test(test_store_file__passes_over_names_that_are_no_keys),
		cmocka_unit_test(test_store_file__sweeps_old_temporary_files_only),
		cmocka_unit_test(test_store_file__a_full_disk_leaves_nothing),
		cmocka_unit_test(test_store_file__no_space_is_said_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
