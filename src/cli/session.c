/*
 * session.c - from options, environment and configuration to an open repository.
 *
 * What the command line says wins over the environment, and that over the configuration.
 */
#include <errno.h>
#include <unistd.h>

#include "internal.h"
#include "tillfs/footprint.h"

/* The first of these that says something, or NULL. */
static const char *
first_said(const char *option, const char *variable, const char *configured)
{
	const char *value = option != NULL ? option : getenv(variable);

	return value != NULL && value[0] != '\0' ? value : configured;
}

int
session_url(const struct cli *c, const char **ret, struct err *err)
{
	*ret = first_said(option_value(c, OPT_REPOSITORY), "TILLFS_REPOSITORY",
			  c->config.repository);
	if (*ret == NULL)
		return err_set(err, CLI_USAGE,
			       "no repository is named; give -r URL, or set TILLFS_REPOSITORY");
	return 0;
}

static int
identity_path(const struct cli *c, const char **ret, struct err *err)
{
	*ret = first_said(option_value(c, OPT_IDENTITY), "TILLFS_IDENTITY", c->config.identity);
	if (*ret == NULL)
		return err_set(err, CLI_USAGE,
			       "no identity is named; give -i FILE, or set TILLFS_IDENTITY");
	return 0;
}

int
session_identity(const struct cli *c, struct identity **ret, struct err *err)
{
	const char *path;
	int r = identity_path(c, &path, err);

	*ret = NULL;
	return r < 0 ? r : identity_open(path, passphrase_ask, NULL, ret, err);
}

int
session_recovery(const struct cli *c, struct recovery *ret, struct fingerprint *ret_self,
		 struct err *err)
{
	const char *path;
	int r = identity_path(c, &path, err);

	*ret = (struct recovery){0};
	return r < 0 ? r : identity_recovery(path, passphrase_ask, NULL, ret, ret_self, err);
}

static int
open_writer_file(const struct cli *c, struct writer_file **ret, struct err *err)
{
	const char *path =
		first_said(option_value(c, OPT_WRITER), "TILLFS_WRITER", c->config.writer);
	int r;

	if (path == NULL)
		return err_set(err, CLI_USAGE,
			       "no writer's file is named; give -w FILE, or set TILLFS_WRITER");
	r = writer_open(path, ret, err);
	if (r < 0)
		return r;
	if (!(*ret)->enrolled)
		return err_set(
			err, ERR_DENIED,
			"%s is not enrolled: give %s.pub to an admin, for `tillfs writer add`, "
			"and add the card that comes back with `tillfs writer import`",
			path, path);
	return 0;
}

/* A path that stays right when a mount changes into another folder. */
int
make_absolute(char **path, struct err *err)
{
	CLEANUP(freep) char *here = NULL;
	char *absolute;

	if ((*path)[0] == '/')
		return 0;
	here = getcwd(NULL, 0);
	if (here == NULL)
		return err_sys(err, "finding the current folder");
	absolute = str_format("%s/%s", here, *path);
	free(*path);
	*path = absolute;
	return 0;
}

int
session_state(const struct cli *c, char **ret, struct err *err)
{
	const char *said = option_value(c, OPT_STATE);
	const char *xdg = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	*ret = NULL;
	if (said == NULL)
		said = c->config.state;
	if (said != NULL)
		*ret = str_copy(said);
	else if (geteuid() == 0)
		*ret = str_copy("/var/lib/tillfs");
	else if (xdg != NULL && xdg[0] == '/')
		*ret = str_format("%s/tillfs", xdg);
	else if (home != NULL && home[0] == '/')
		*ret = str_format("%s/.local/state/tillfs", home);
	else
		return err_set(err, ERR_INVALID,
			       "there is no HOME to remember things in; give --state DIR");
	return make_absolute(ret, err);
}

/* ---- findings -------------------------------------------------------------------------------- */

static void
tell_findings(struct session *s)
{
	CLEANUP(freep) struct repo_finding *findings = NULL;
	size_t n;

	repo_findings(s->repo, &findings, &n);
	for (; s->n_told < n; s->n_told++)
		warn("warning: %s", findings[s->n_told].text);
}

/* ---- opening and closing ----------------------------------------------------------------------
 */

/* Silence must end an attempt soon enough for another one. */
#define ATTEMPTS 3u

static int
session_timeout(const struct cli *c, unsigned *ret_ms, struct err *err)
{
	uint64_t s = c->config.timeout_s > 0 ? c->config.timeout_s : STORE_TIMEOUT_MS / 1000;
	int r = 0;

	if (option_given(c, OPT_TIMEOUT))
		r = option_number(c, OPT_TIMEOUT, 86400, &s, err);
	if (r == 0 && s == 0)
		r = err_set(err, CLI_USAGE, "--timeout 0: give at least a second");
	*ret_ms = (unsigned)s * 1000;
	return r;
}

int
session_check(const struct cli *c, struct err *err)
{
	unsigned timeout_ms;
	int r = session_timeout(c, &timeout_ms, err);

	return r < 0 ? r : session_cache_check(c, err);
}

int
session_store(const struct cli *c, const char *url, bool create, struct store **ret,
	      struct store **ret_meter, struct err *err)
{
	const struct config *f = &c->config;
	struct store_options options = {
		.cacert = option_given(c, OPT_CACERT) ? option_value(c, OPT_CACERT) : f->cacert,
		.profile = option_given(c, OPT_PROFILE) ? option_value(c, OPT_PROFILE) : f->profile,
		.access_key = f->credentials.access_key,
		.secret_key = f->credentials.secret_key,
		.session_token = f->credentials.session_token,
		.account_key = f->credentials.account_key,
		.sas_token = f->credentials.sas_token,
		.user = f->credentials.user,
		.password = f->credentials.password,
		.ssh_key = f->credentials.ssh_key,
	};
	uint64_t lock_days = f->object_lock_days, budget = 0;
	unsigned timeout_ms;
	int r = session_timeout(c, &timeout_ms, err);

	*ret = NULL;
	if (r == 0 && option_given(c, OPT_BUDGET))
		r = option_size(c, OPT_BUDGET, &budget, err);
	if (r == 0 && option_given(c, OPT_OBJECT_LOCK_DAYS))
		r = option_number(c, OPT_OBJECT_LOCK_DAYS, OBJECT_LOCK_DAYS_MAX, &lock_days, err);
	if (r < 0)
		return r;
	options.object_lock_days = (unsigned)lock_days;
	options.timeout_ms = timeout_ms / ATTEMPTS;
	r = store_open(url, &options, create, ret, err);
	if (r < 0)
		return r;
	*ret = store_meter_new(*ret, budget);
	if (ret_meter != NULL)
		*ret_meter = *ret;
	if (store_local_path(*ret) == NULL)
		*ret = store_patient_new(*ret, timeout_ms);
	return 0;
}

/*
 * What the cache knows of a URL may be of another repository that lay there once; then everything
 * else contradicts it.
 */
static int
open_repo(struct session *s, const char *state, struct err *err)
{
	int (*open)(struct store *, const struct identity *, const char *, struct repo **,
		    struct err *) = s->by_days ? repo_open_by_days : repo_open;
	bool was_known = s->cache != NULL && s->meter != NULL && diskcache_is_bound(s->cache);
	int r = open(s->store, s->identity, state, &s->repo, err);

	if (r == ERR_UNREACHABLE && was_known)
		return err_set(err, r, "%s (with --offline, what is in the cache can be read)",
			       err->msg);
	if (!was_known || (r != ERR_AUTH && r != ERR_CORRUPT && r != ERR_DENIED && r != ERR_NOENT))
		return r;
	diskcache_unbind(s->cache);
	return open(s->store, s->identity, state, &s->repo, err);
}

static int
open_reading(const struct cli *c, struct session *s, bool cached, struct err *err)
{
	CLEANUP(freep) char *state = NULL;
	const char *url;
	int r;

	r = session_url(c, &url, err);
	if (r == 0)
		r = session_state(c, &state, err);
	if (r == 0)
		r = session_timeout(c, &s->timeout_ms, err);
	if (r == 0 && cached)
		r = session_cached_store(c, url, s, err);
	else if (r == 0 && option_given(c, OPT_OFFLINE))
		r = err_set(err, CLI_USAGE, "%s asks the store, so it can't do --offline",
			    c->command->name);
	else if (r == 0)
		r = session_store(c, url, false, &s->store, &s->meter, err);
	if (r == 0)
		r = session_identity(c, &s->identity, err);
	if (r == 0)
		r = open_repo(s, state, err);
	return r;
}

/* Hands over what was opened, or closes it. */
static int
finish(struct session *s, int code, struct session *ret)
{
	if (code < 0)
		session_close(s);
	else
		*ret = *s;
	return code;
}

int
session_open_silent(const struct cli *c, struct session *ret, struct err *err)
{
	struct session s = {.n_told = SIZE_MAX};

	*ret = (struct session){0};
	return finish(&s, open_reading(c, &s, false, err), ret);
}

static int
open_telling(const struct cli *c, struct session *ret, bool cached, bool by_days, struct err *err)
{
	struct session s = {.by_days = by_days};
	int r;

	*ret = (struct session){0};
	r = finish(&s, open_reading(c, &s, cached, err), ret);
	if (r < 0)
		return r;
	tell_findings(ret);
	r = session_start_recording(c, ret, err);
	if (r < 0)
		session_close(ret);
	return r;
}

int
session_open(const struct cli *c, struct session *ret, struct err *err)
{
	return open_telling(c, ret, true, false, err);
}

int
session_open_by_days(const struct cli *c, struct session *ret, struct err *err)
{
	return open_telling(c, ret, true, true, err);
}

int
session_open_direct(const struct cli *c, struct session *ret, struct err *err)
{
	return open_telling(c, ret, false, false, err);
}

static int
open_writing(const struct cli *c, struct session *s, struct err *err)
{
	CLEANUP(freep) char *state = NULL;
	const char *url = NULL;
	int r;

	if (option_given(c, OPT_OFFLINE))
		return err_set(err, CLI_USAGE, "%s needs the store, so it can't do --offline",
			       c->command->name);
	r = open_writer_file(c, &s->writer, err);
	if (r < 0)
		return r;
	r = session_url(c, &url, err);
	if (r == CLI_USAGE && s->writer->card.url != NULL) {
		url = s->writer->card.url; /* the card says where it belongs */
		r = 0;
	}
	if (r == 0)
		r = session_state(c, &state, err);
	if (r == 0)
		r = session_store(c, url, false, &s->store, &s->meter, err);
	if (r == 0)
		r = repo_open_writer(s->store, s->writer, state, &s->repo, err);
	return r;
}

int
session_open_writer(const struct cli *c, struct session *ret, struct err *err)
{
	struct session s = {0};
	int r;

	*ret = (struct session){0};
	r = finish(&s, open_writing(c, &s, err), ret);
	if (r == 0)
		tell_findings(ret);
	return r;
}

static void
start_reading(struct session *s, const struct transfer_options *how)
{
	struct transfer_options options = *how;

	options.cache = s->cache;
	options.timeout_ms = s->timeout_ms;
	s->transfer = transfer_new(s->store, &options);
	s->reader = reader_new(s->repo, s->transfer, 0);
}

void
session_start_reading(struct session *s)
{
	struct transfer_options options = {0};

	start_reading(s, &options);
}

void
session_start_watching(struct session *s, struct footprint_watch *watch)
{
	struct transfer_options options = {.seen = footprint_watch_seen, .seen_arg = watch};

	start_reading(s, &options);
}

void
session_close(struct session *s)
{
	if (s->repo != NULL)
		tell_findings(s);
	session_stop_recording(s);
	reader_free(s->reader);
	transfer_free(s->transfer);
	repo_close(s->repo);
	identity_free(s->identity);
	writer_free(s->writer);
	store_close(s->store);
	diskcache_close(s->cache);
	*s = (struct session){0};
}

/* ---- snapshots --------------------------------------------------------------------------------
 */

int
target_open(struct session *s, const char *what, struct target *ret, struct err *err)
{
	const char *colon = strchr(what, ':');
	CLEANUP(freep) char *selector = NULL;
	struct snapshot_name name;
	struct err found = ERR_INIT, *why = &found;
	int r;

	*ret = (struct target){.path = slice_str(colon != NULL ? colon + 1 : "")};
	selector = colon != NULL ? str_format("%.*s", (int)(colon - what), what) : str_copy(what);
	r = repo_select(s->repo, selector, &name, why);
	if (r == 0)
		r = repo_snapshot_open(s->repo, &name, &ret->opened, why);
	if (r == 0)
		return session_record(s, ret->opened, ret->path, err);
	session_refused(s, what, r, why->msg);
	if (err != NULL)
		*err = *why;
	return r;
}

void
target_close(struct target *t)
{
	repo_opened_free(t->opened);
	*t = (struct target){0};
}
