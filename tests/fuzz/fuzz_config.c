/*
 * fuzz_config.c - INI text, and the configuration made of it.
 *
 * What is accepted must be whole: no entry with a line break in it, no class of a wrong name.  A
 * path, the input's own text, is then classified by the patterns.
 */
#include "tillfs/config.h"
#include "tillfs/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_refusal(int r, const struct err *err)
{
	if (r != ERR_INVALID || err->code != r || err->msg[0] == '\0')
		abort();
}

static void
try_ini(struct slice text)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	struct err err = ERR_INIT;
	int r = ini_parse(text, "input", &ini, &err), line = 0;

	if (r < 0) {
		check_refusal(r, &err);
		return;
	}
	for (size_t i = 0; i < ini.n; i++) {
		const struct ini_entry *e = &ini.entries[i];

		if (e->key[0] == '\0' || strpbrk(e->key, "\n=") != NULL ||
		    strchr(e->value, '\n') != NULL || e->line <= line)
			abort();
		if (ini_get(&ini, e->section, e->key) == NULL)
			abort();
		line = e->line;
	}
}

static void
try_config(struct slice text)
{
	CLEANUP(config_fini) struct config c = {0};
	struct err err = ERR_INIT;
	int r = config_parse(text, "input", &c, &err);

	if (r < 0) {
		check_refusal(r, &err);
		return;
	}
	if (c.zone == NULL || c.cutoff_min < 0 || c.cutoff_min >= 24 * 60)
		abort();
	for (size_t i = 0; i < c.n_classes; i++)
		if (c.classes[i].n_patterns == 0 || c.classes[i].name[0] == '\0' ||
		    strlen(c.classes[i].name) > 32)
			abort();

	size_t class = config_classify(&c, slice_of(text.p, (size_t)min_u64(text.len, 300)));

	if (class != SIZE_MAX && class >= c.n_classes)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_ini(slice_of(data, len));
	try_config(slice_of(data, len));
	return 0;
}
