/*
 * access.c - commands that hand out content record it, when --audit or the configuration says
 * where.
 *
 * What can't be recorded isn't handed out: a command waits for its entry, and fails without it.
 */
#include <unistd.h>

#include "internal.h"

int
access_options(const struct cli *c, struct audit_options *ret, char **ret_path, char **ret_state,
	       struct err *err)
{
	const char *path = option_value(c, OPT_AUDIT);
	int r;

	*ret = (struct audit_options){.case_ref = option_value(c, OPT_CASE),
				      .reason = option_value(c, OPT_REASON)};
	*ret_path = *ret_state = NULL;
	if (path == NULL)
		path = c->config.audit;
	if (path == NULL && option_given(c, OPT_AUDIT_REQUIRED))
		return err_set(err, CLI_USAGE, "--audit-required needs --audit FILE");
	if (path == NULL)
		return 0;
	*ret_path = str_copy(path);
	r = make_absolute(ret_path, err);
	if (r == 0)
		r = session_state(c, ret_state, err);
	ret->path = *ret_path;
	ret->state = *ret_state;
	return r;
}

static bool
records(const struct cli *c)
{
	for (size_t i = 0; i < c->command->n_options; i++)
		if (c->command->options[i] == OPT_AUDIT)
			return true;
	return false;
}

int
session_start_recording(const struct cli *c, struct session *s, struct err *err)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(freep) char *state = NULL;
	struct audit_options o;
	int r;

	s->command = c->command->name;
	/* A mount's session begins in the background, with the mount. */
	if (!records(c) || c->command->run == cmd_mount)
		return 0;
	r = access_options(c, &o, &path, &state, err);
	if (r < 0 || o.path == NULL)
		return r;
	o.signer = s->identity->pair;
	o.required = true;
	return audit_open(&o, &s->audit, err);
}

static int
record(struct session *s, const char *snapshot, struct slice path, int code, const char *detail,
       struct err *err)
{
	struct audit_event event = {.kind = s->command,
				    .uid = getuid(),
				    .gid = getgid(),
				    .pid = (uint32_t)getpid(),
				    .snapshot = snapshot,
				    .path = path,
				    .code = code,
				    .detail = detail};

	if (s->audit == NULL)
		return 0;
	session_recorded(s, 0, 0, NULL);
	return audit_record(s->audit, &event, &s->access, err);
}

int
session_record(struct session *s, const struct repo_opened *snapshot, struct slice path,
	       struct err *err)
{
	static const char prefix[] = "snapshot ";
	struct snapshot_name name = snapshot->snapshot->name;
	struct repo_label label = repo_snapshot_label(s->repo, &name);

	return record(s, label.s + strlen(prefix), path, 0, NULL, err);
}

void
session_refused(struct session *s, const char *what, int code, const char *why)
{
	struct err err = ERR_INIT;

	/* Nothing was handed out; that this isn't on record is no reason to hide the refusal. */
	if (record(s, NULL, slice_str(what), code, why, &err) < 0)
		warn("%s", err.msg);
	s->access = 0;
}

void
session_recorded(struct session *s, uint64_t bytes, int code, const struct err *why)
{
	if (s->audit != NULL && s->access != 0)
		audit_end(s->audit, s->access, bytes, code,
			  code < 0 && why != NULL ? why->msg : NULL);
	s->access = 0;
}

void
session_stop_recording(struct session *s)
{
	struct err err = ERR_INIT;

	if (s->audit == NULL)
		return;
	session_recorded(s, 0, 0, NULL);
	if (audit_close(steal_ptr(&s->audit), &err) < 0)
		warn("%s", err.msg);
}
