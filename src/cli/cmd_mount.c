/*
 * cmd_mount.c - tillfs mount, tillfs umount, and mount.tillfs, which mount(8) calls.
 */
#include <signal.h>

#include "internal.h"
#include "tillfs/cache.h"
#include "tillfs/mount.h"
#include "tillfs/records.h"

/* What -o says that is ours, and what is left for FUSE. */
struct ours {
	char *all; /* what the values below point into */
	struct buf fuse;
};

static void
ours_fini(struct ours *o)
{
	free(o->all);
	buf_fini(&o->fuse);
}

static const struct {
	const char *name;
	enum option option;
} known[] = {
	{"passphrase-file=", OPT_PASSPHRASE_FILE},
	{"passphrase-command=", OPT_PASSPHRASE_COMMAND},
	{"identity=", OPT_IDENTITY},
	{"config=", OPT_CONFIG},
	{"state=", OPT_STATE},
	{"memory=", OPT_MEMORY},
	{"refresh=", OPT_REFRESH},
	{"cache=", OPT_CACHE},
	{"cache-size=", OPT_CACHE_SIZE},
	{"budget=", OPT_BUDGET},
	{"price-per-gb=", OPT_PRICE_GB},
	{"price-per-1000-requests=", OPT_PRICE_REQUESTS},
	{"timeout=", OPT_TIMEOUT},
	{"cacert=", OPT_CACERT},
	{"profile=", OPT_PROFILE},
	{"offline", OPT_OFFLINE},
	{"no-sandbox", OPT_NO_SANDBOX},
	{"audit=", OPT_AUDIT},
	{"audit-required", OPT_AUDIT_REQUIRED},
	{"case=", OPT_CASE},
	{"reason=", OPT_REASON},
	{"no-records", OPT_NO_RECORDS},
};

/* A mount option that stands for one of ours; what the command line says itself wins. */
static bool
take_option(struct cli *c, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct words *w = &c->options[known[i].option];
		size_t len = strlen(known[i].name);

		if (strncmp(text, known[i].name, len) != 0 ||
		    (option_specs[known[i].option].arg == NULL && text[len] != '\0'))
			continue;
		if (w->n == 0) {
			array_reserve(w->v, w->n, w->cap);
			w->v[w->n++] = text + len;
		}
		return true;
	}
	return false;
}

/* Sorts the options of all -o. */
static void
split_options(struct cli *c, struct ours *ret)
{
	const struct words *given = &c->options[OPT_MOUNT];
	CLEANUP(buf_fini) struct buf all = BUF_INIT;
	char *rest, *text;

	for (size_t i = 0; i < given->n; i++)
		buf_appendf(&all, "%s%s", i > 0 ? "," : "", given->v[i]);
	rest = ret->all = str_copy(buf_cstr(&all));
	while ((text = strsep(&rest, ",")) != NULL)
		if (text[0] != '\0' && !take_option(c, text))
			buf_appendf(&ret->fuse, "%s%s", ret->fuse.len > 0 ? "," : "", text);
}

/* A configuration that only -o names. */
static int
reload_config(struct cli *c, bool had_config, struct err *err)
{
	int r;

	if (had_config || !option_given(c, OPT_CONFIG))
		return 0;
	config_fini(&c->config);
	c->config = (struct config){0};
	r = config_load(option_value(c, OPT_CONFIG), &c->config, err);
	return r < 0 ? err_add(err, r, "configuration") : 0;
}

/* URL DIR, or DIR alone. */
static void
sort_operands(struct cli *c, struct mount_options *o)
{
	struct words *url = &c->options[OPT_REPOSITORY];

	o->dir = operand(c, c->operands.n - 1);
	if (c->operands.n == 2) {
		array_reserve(url->v, url->n, url->cap);
		url->v[url->n++] = operand(c, 0);
	}
}

static int
read_numbers(const struct cli *c, struct mount_options *o, struct view_options *v, struct err *err)
{
	uint64_t refresh = 60, budget;
	int r = 0;

	if (option_given(c, OPT_REFRESH))
		r = option_number(c, OPT_REFRESH, 30 * 86400, &refresh, err);
	if (r == 0 && option_given(c, OPT_MEMORY))
		r = option_size(c, OPT_MEMORY, &v->memory, err);
	if (r == 0 && option_given(c, OPT_BUDGET))
		r = option_size(c, OPT_BUDGET, &budget, err); /* session.c takes it */
	o->refresh_s = (unsigned)refresh;
	return r < 0 ? r : prices_read(c, &v->prices, err);
}

static int
open_audit(const struct cli *c, struct session *s, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *state = NULL;
	struct audit_options o;
	int r = access_options(c, &o, &path, &state, err);

	if (r < 0 || o.path == NULL)
		return r;
	o.signer = s->identity->pair;
	o.required = option_given(c, OPT_AUDIT_REQUIRED) || c->config.audit_required;
	return audit_open(&o, &s->audit, err);
}

static void
allow_read(void *policy, const char *path)
{
	sandbox_allow_read(policy, path);
}

/* What the serving process may still do: read its store, write what it remembers. */
static int
read_policy(const struct cli *c, const struct session *s, struct sandbox_policy *ret,
	    struct err *err)
{
	struct store_options options = {
		.cacert = option_given(c, OPT_CACERT) ? option_value(c, OPT_CACERT)
						      : c->config.cacert,
		.ssh_key = c->config.credentials.ssh_key,
	};
	const char *local = store_local_path(s->store);
	CLEANUP(freep) char *state = NULL;
	CLEANUP(freep) char *log = NULL;
	const char *url;
	int r = session_state(c, &state, err);

	if (r == 0)
		r = session_url(c, &url, err);
	if (r != 0)
		return r;
	sandbox_allow_system(ret);
	sandbox_allow_write(ret, state);
	if (s->audit != NULL) {
		log = str_copy(audit_path(s->audit));
		*strrchr(log, '/') = '\0';
		sandbox_allow_write(ret, log[0] != '\0' ? log : "/");
	}
	if (s->cache != NULL)
		sandbox_allow_write(ret, diskcache_root(s->cache)); /* sub-folders come and go */
	if (local != NULL)
		sandbox_allow_read(ret, local);
	store_reads(url, &options, allow_read, ret);
	ret->network = local == NULL && !option_given(c, OPT_OFFLINE);
	return 0;
}

/* What happens in the background, so that secrets and threads exist there only. */
static int
serve(const struct cli *c, struct mount_options *o, struct view_options *v,
      struct mount_daemon *daemon, struct err *err)
{
	CLEANUP(records_host_stopp) struct records_host *host = NULL;
	CLEANUP(session_close) struct session s = {0};
	CLEANUP(view_freep) struct view *view = NULL;
	CLEANUP(sandbox_policy_fini) struct sandbox_policy policy = {0};
	int r = 0;

	if (!option_given(c, OPT_NO_RECORDS))
		r = records_host_start(passphrase_forget, &host, err);
	if (r == 0)
		r = session_open_by_days(c, &s, err);
	if (r == 0)
		r = open_audit(c, &s, err);
	if (r == 0)
		r = read_policy(c, &s, &policy, err);
	if (r < 0)
		return r;
	o->sandbox = option_given(c, OPT_NO_SANDBOX) ? NULL : &policy;
	o->audit = s.audit;
	v->records = host;
	o->source = store_url(s.store);
	v->timeout_ms = s.timeout_ms;
	v->cache = s.cache;
	v->meter = s.meter;
	r = view_new(s.repo, v, &view, err);
	if (r == 0)
		r = mount_serve(view, o, daemon, err);
	o->sandbox = NULL;
	o->audit = NULL;
	return r;
}

int
cmd_mount(struct cli *c, struct err *err)
{
	CLEANUP(ours_fini) struct ours ours = {0};
	struct mount_options o = {.foreground = option_given(c, OPT_FOREGROUND)};
	struct view_options v = {0};
	struct mount_daemon *daemon = NULL;
	CLEANUP(mount_helper_stopp) struct mount_helper *helper = NULL;
	bool had_config = option_given(c, OPT_CONFIG);
	const char *url;
	int r;

	split_options(c, &ours);
	r = reload_config(c, had_config, err);
	if (r < 0)
		return r;
	sort_operands(c, &o);
	o.fuse = ours.fuse.len > 0 ? buf_cstr(&ours.fuse) : NULL;
	r = read_numbers(c, &o, &v, err);
	if (r == 0)
		r = session_url(c, &url, err); /* a usage error belongs to the foreground */
	if (r == 0)
		r = session_check(c, err);
	if (r == 0)
		r = mount_check_dir(o.dir, err);
	if (r == 0)
		r = mount_daemonize(o.foreground, &daemon, err);
	if (r < 0)
		return r;

	(void)signal(SIGPIPE, SIG_IGN); /* a parent that is gone is no reason to end */
	r = mount_helper_start(o.dir, passphrase_forget, &helper, err);
	o.helper = helper;
	if (r == 0)
		r = serve(c, &o, &v, daemon, err);
	if (r < 0)
		mount_daemon_report(daemon, err->msg);
	return r;
}

int
cmd_umount(struct cli *c, struct err *err)
{
	return mount_unmount(operand(c, 0), option_given(c, OPT_LAZY), err);
}

/* ---- mount.tillfs SOURCE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]
 * ------------------------ */

static void
add(struct words *w, const char *word)
{
	array_reserve(w->v, w->n, w->cap);
	w->v[w->n++] = word;
}

void
mount_helper_arguments(int argc, char **argv, struct words *ret)
{
	struct words operands = {0};

	*ret = (struct words){0};
	add(ret, "tillfs");
	add(ret, "mount");
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (word[0] != '-') {
			add(&operands, word);
		} else if (strcmp(word, "-o") == 0 && i + 1 < argc) {
			add(ret, "-o");
			add(ret, argv[++i]);
		} else if (strcmp(word, "-N") == 0 || strcmp(word, "-t") == 0) {
			i++;
		} else if (strchr(word, 'v') != NULL) {
			add(ret, "-v");
		}
	}
	add(ret, "--");
	for (size_t i = 0; i < operands.n; i++)
		add(ret, operands.v[i]);
	free(operands.v);
}
