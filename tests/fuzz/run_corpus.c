/*
 * run_corpus.c - feeds a fuzz target the files of its corpus, without libFuzzer.
 *
 * Each file is given whole, then cut at every length up to a limit: most decoders have a mistake
 * there first.  Fails when the folder has no files, so that a corpus can't vanish unnoticed.
 */
#include <dirent.h>
#include <stdio.h>

#include "tillfs/base.h"

#define FILE_MAX (4u * MIB)
#define CUTS_MAX 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A copy of exactly @len bytes, so that ASan sees a read past its end. */
static void
run_one(const uint8_t *p, size_t len)
{
	CLEANUP(freep) uint8_t *copy = mem_copy(p, len);

	(void)LLVMFuzzerTestOneInput(copy, len);
}

static int
run_file(const char *path)
{
	CLEANUP(buf_fini) struct buf bytes = BUF_INIT;
	struct err err = ERR_INIT;

	if (file_read(path, FILE_MAX, &bytes, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		return EXIT_FAILURE;
	}
	fprintf(stderr, "%s\n", path); /* the last one printed is the one that crashed */
	run_one(bytes.p, bytes.len);
	for (size_t len = 0; len < min_u64(bytes.len, CUTS_MAX); len++)
		run_one(bytes.p, len);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	int status = EXIT_SUCCESS;
	size_t n = 0;
	struct dirent *e;
	DIR *dir;

	if (argc != 2 || (dir = opendir(argv[1])) == NULL) {
		fprintf(stderr, "usage: %s CORPUS, a folder\n", argv[0]);
		return EXIT_FAILURE;
	}
	while ((e = readdir(dir)) != NULL) {
		CLEANUP(freep) char *path = str_format("%s/%s", argv[1], e->d_name);

		if (e->d_name[0] == '.')
			continue;
		n++;
		if (run_file(path) != EXIT_SUCCESS)
			status = EXIT_FAILURE;
	}
	(void)closedir(dir);
	if (n == 0) {
		fprintf(stderr, "%s has no files\n", argv[1]);
		return EXIT_FAILURE;
	}
	return status;
}
