/*
 * check.c - the order of things, and how they are told.
 */
#include "internal.h"

void
tell(struct job *job, bool damage, int code, const char *sentence)
{
	pthread_mutex_lock(&job->lock);
	job->ret->damaged += damage;
	if (job->options->found != NULL)
		job->options->found(job->options->found_arg, code, sentence);
	pthread_mutex_unlock(&job->lock);
}

int
tell_error(struct job *job, int code, const struct err *err)
{
	if (code == ERR_UNREACHABLE || code == ERR_CANCELLED)
		return code;
	tell(job, true, code, err->msg);
	return 0;
}

/* What opening the repository has found already. */
static void
tell_findings(struct job *job)
{
	CLEANUP(freep) struct repo_finding *findings = NULL;
	size_t n;

	repo_findings(job->repo, &findings, &n);
	for (size_t i = job->n_findings; i < n; i++)
		tell(job, findings[i].code == ERR_CORRUPT || findings[i].code == ERR_AUTH,
		     findings[i].code, findings[i].text);
	job->n_findings = n;
}

/* Grants and reseals: their names end in the hash of their bytes (I-1). */
static int
check_sealed(struct job *job, const char *key, struct err *err)
{
	CLEANUP(buf_fini) struct buf object = BUF_INIT;
	const char *id = strrchr(key, '/') + 1;
	struct hash hash;
	int r;

	r = store_get_all(repo_store(job->repo), key, GRANT_OBJECT_MAX, &object, err);
	if (r == 0) {
		seal_hash(object.p, object.len, &hash);
		if (strcmp(hex(&hash).s, id) != 0)
			r = err_set(err, ERR_CORRUPT,
				    "its bytes are not those that it is named for");
	}
	if (r == 0)
		return 0;
	(void)err_add(err, r, "%s", key);
	return tell_error(job, r, err);
}

static int
check_all(struct job *job, struct err *err)
{
	int r;

	if (job->options->only == NULL)
		tell_findings(job);
	r = inventory_take(job, err);
	for (size_t i = 0; r == 0 && job->options->only == NULL && i < job->inventory.n_sealed; i++)
		r = check_sealed(job, job->inventory.sealed[i], err);
	if (r == 0)
		r = snapshots_check(job, err);
	if (r < 0)
		return r;
	if (job->options->only == NULL)
		tell_findings(job); /* of snapshots that contradict each other */
	packs_tell(job);
	return job->options->read_data ? data_check(job, err) : 0;
}

static void
job_fini(struct job *job)
{
	packs_fini(job);
	for (size_t i = 0; i < job->n_seen; i++)
		pack_set_fini(&job->seen[i].reach);
	free(job->seen);
	table_fini(&job->nodes);
	inventory_fini(&job->inventory);
	repo_list_put(job->list);
	pthread_mutex_destroy(&job->lock);
}

int
check_run(struct repo *repo, struct reader *reader, const struct check_options *options,
	  struct check_result *ret, struct err *err)
{
	CLEANUP(job_fini)
	struct job job = {.repo = repo, .reader = reader, .options = options, .ret = ret};

	*ret = (struct check_result){0};
	pthread_mutex_init(&job.lock, NULL);
	job.list = repo_list_get(repo);
	return check_all(&job, err);
}
