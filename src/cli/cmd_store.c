/*
 * cmd_store.c - tillfs store test: what a storage can do, and a credential may.
 */
#include <inttypes.h>

#include "internal.h"
#include "tillfs/trial.h"

/* What is tried, and what credentials of each kind should be allowed; docs/storage.md says why. */
static const struct {
	const char *name; /* in JSON */
	const char *what;
	const char *till, *auditor, *admin, *pruner;
} items[TRIAL_ITEMS] = {
	[TRIAL_CREATE] = {"create", "create an object", "yes", "no", "yes", "yes"},
	[TRIAL_READ] = {"read", "read it", "yes", "yes", "yes", "yes"},
	[TRIAL_RANGE] = {"range", "read a part of it", "yes", "yes", "yes", "yes"},
	[TRIAL_LIST] = {"list", "list", "yes", "yes", "yes", "yes"},
	[TRIAL_EXCLUSIVE] = {"exclusive", "create only what isn't there", NULL, NULL, NULL, NULL},
	[TRIAL_VERSIONS] = {"versions", "keep older versions", NULL, NULL, NULL, NULL},
	[TRIAL_DELETE] = {"delete", "delete", "no", "no", "no", "yes"},
	[TRIAL_LOCK] = {"lock", "lock against deletion", "yes", "no", "yes", "yes"},
};

static const char *
word(enum trial_answer a)
{
	switch (a) {
	case TRIAL_YES:
		return "yes";
	case TRIAL_NO:
		return "no";
	case TRIAL_DENIED:
		return "denied";
	case TRIAL_FAILED:
		return "FAILED";
	default:
		return "-";
	}
}

static void
append_advice(struct buf *b, const struct trial *t)
{
	const struct trial_finding *f = t->findings;

	if (f[TRIAL_EXCLUSIVE].answer == TRIAL_NO)
		buf_append_str(b, "Admins who decide something at the same moment can fork the "
				  "ledger; readers will say so, and a merge resolves it.\n");
	if (f[TRIAL_DELETE].answer == TRIAL_YES)
		buf_append_str(b, "This credential can delete: keep it for who prunes.\n");
	if (f[TRIAL_VERSIONS].answer == TRIAL_NO && f[TRIAL_LOCK].answer != TRIAL_YES)
		buf_append_str(b, "What is overwritten or deleted is lost: turn on versions, or "
				  "object lock, where the storage has them.\n");
}

static void
append_words(struct buf *b, const char *url, const struct trial *t)
{
	buf_appendf(b, "%s\n\n%-30s %-8s %-6s %-8s %-6s %s\n", url, "", "here", "till", "auditor",
		    "admin", "pruner");
	for (size_t i = 0; i < TRIAL_ITEMS; i++) {
		buf_appendf(b, "%-30s ", items[i].what);
		if (items[i].till == NULL) /* what the storage does is no matter of who asks */
			buf_appendf(b, "%s\n", word(t->findings[i].answer));
		else
			buf_appendf(b, "%-8s %-6s %-8s %-6s %s\n", word(t->findings[i].answer),
				    items[i].till, items[i].auditor, items[i].admin,
				    items[i].pruner);
	}
	buf_append_u8(b, '\n');
	for (size_t i = 0; i < TRIAL_ITEMS; i++)
		if (t->findings[i].detail[0] != '\0')
			buf_appendf(b, "%s: %s\n", items[i].what, t->findings[i].detail);
	append_advice(b, t);
	if (t->n_left > 0) {
		append_count(b, t->n_left, "object", "objects");
		buf_appendf(b, " under %s could not be removed again.\n", t->prefix);
	}
}

static void
append_json(struct buf *b, const char *url, const struct trial *t)
{
	buf_append_u8(b, '{');
	append_json_text(b, "url", url);
	for (size_t i = 0; i < TRIAL_ITEMS; i++) {
		buf_appendf(b, ",\n \"%s\": {", items[i].name);
		append_json_text(b, "answer", word(t->findings[i].answer));
		buf_append_str(b, ", ");
		append_json_text(b, "detail", t->findings[i].detail);
		buf_append_u8(b, '}');
	}
	buf_appendf(b, ",\n \"left\": %u}\n", t->n_left);
}

/* Whether something went wrong that is no matter of what the credential may. */
static bool
has_failed(const struct trial *t)
{
	bool any = false;

	for (size_t i = 0; i < TRIAL_ITEMS; i++) {
		if (t->findings[i].answer == TRIAL_FAILED)
			return true;
		any = any || t->findings[i].answer == TRIAL_YES;
	}
	return !any;
}

int
cmd_store_test(struct cli *c, struct err *err)
{
	CLEANUP(store_closep) struct store *store = NULL;
	CLEANUP(buf_fini) struct buf text = BUF_INIT;
	const char *url = operand(c, 0);
	const char *under = option_value(c, OPT_UNDER);
	struct trial trial;
	int r = 0;

	if (option_given(c, OPT_OBJECT_LOCK_DAYS))
		return err_set(
			err, CLI_USAGE,
			"store test tries locks of some seconds; leave --object-lock-days away");
	c->config.object_lock_days = 0; /* or what is created could not be removed */
	if (url == NULL)
		r = session_url(c, &url, err);
	if (r == 0)
		r = session_store(c, url, false, &store, NULL, err);
	if (r == 0)
		r = store_trial(store, under != NULL ? under : "", &trial, err);
	if (r != 0)
		return r;
	if (option_given(c, OPT_JSON))
		append_json(&text, store_url(store), &trial);
	else
		append_words(&text, store_url(store), &trial);
	r = print_buf(&text, err);
	return r == 0 && has_failed(&trial) ? EXIT_FAILED : r;
}
