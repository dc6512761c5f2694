/*
 * aws_credentials.c - where credentials and regions for S3 come from.
 *
 * Layer 1.
 */
#include "store/aws_credentials.h"

#include "tillfs/config.h"

/* A variable that says something, or NULL. */
static const char *
env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static char *
file_path(const char *variable, const char *name)
{
	const char *said = env(variable);
	const char *home = env("HOME");

	if (said != NULL)
		return str_copy(said);
	return home != NULL ? str_format("%s/.aws/%s", home, name) : NULL;
}

/* Header fields are made of them, and text fields hold them. */
static bool
plain_text(const char *s, size_t size)
{
	for (const char *c = s; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return false;
	return strlen(s) < size;
}

static int
take(const char *access, const char *secret, const char *token, const char *where,
     struct aws_credentials *ret, struct err *err)
{
	if (access[0] == '\0' || secret[0] == '\0' ||
	    !plain_text(access, sizeof(ret->access_key)) ||
	    !plain_text(secret, sizeof(ret->secret_key)) ||
	    (token != NULL && !plain_text(token, sizeof(ret->session_token))))
		return err_set(err, ERR_INVALID, "the credentials in %s are malformed", where);
	seal_wipe(ret, sizeof(*ret));
	(void)strcpy(ret->access_key, access);
	(void)strcpy(ret->secret_key, secret);
	if (token != NULL)
		(void)strcpy(ret->session_token, token);
	return 0;
}

/* Return: 0, ERR_NOENT when the section has no credentials, ERR_INVALID. */
static int
take_section(const struct ini *ini, const char *section, const char *where,
	     struct aws_credentials *ret, struct err *err)
{
	const char *access = ini_get(ini, section, "aws_access_key_id");
	const char *secret = ini_get(ini, section, "aws_secret_access_key");

	if (access == NULL || secret == NULL)
		return err_set(err, ERR_NOENT, "no credentials in [%s] of %s", section, where);
	return take(access, secret, ini_get(ini, section, "aws_session_token"), where, ret, err);
}

int
aws_credentials_parse(struct slice text, const char *section, const char *where,
		      struct aws_credentials *ret, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	int r = ini_parse(text, where, &ini, err);

	return r < 0 ? r : take_section(&ini, section, where, ret, err);
}

/* Return: as take_section, ERR_NOENT when there is no such file. */
static int
take_from_file(const char *path, const char *section, struct aws_credentials *ret, struct err *err)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	int r = ini_read(path, &ini, err);

	return r < 0 ? r : take_section(&ini, section, path, ret, err);
}

/* In ~/.aws/config sections of profiles have a longer name. */
static char *
config_section(const char *profile)
{
	return strcmp(profile, "default") == 0 ? str_copy(profile)
					       : str_format("profile %s", profile);
}

static int
take_profile(const char *profile, struct aws_credentials *ret, struct err *err)
{
	CLEANUP(freep) char *credentials = file_path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
	CLEANUP(freep) char *config = file_path("AWS_CONFIG_FILE", "config");
	CLEANUP(freep) char *section = config_section(profile);
	int r = ERR_NOENT;

	if (credentials != NULL)
		r = take_from_file(credentials, profile, ret, err);
	if (r == ERR_NOENT && config != NULL)
		r = take_from_file(config, section, ret, err);
	if (r == ERR_NOENT)
		return err_set(err, ERR_DENIED,
			       "there are no credentials of profile \"%s\" in %s or %s", profile,
			       credentials != NULL ? credentials : "~/.aws/credentials",
			       config != NULL ? config : "~/.aws/config");
	return r;
}

int
aws_credentials_load(const struct store_options *o, const char *profile,
		     struct aws_credentials *ret, struct err *err)
{
	const char *access = env("AWS_ACCESS_KEY_ID");
	const char *secret = env("AWS_SECRET_ACCESS_KEY");
	int r;

	if (profile != NULL)
		return take_profile(profile, ret, err);
	if (access != NULL && secret != NULL)
		return take(access, secret, env("AWS_SESSION_TOKEN"), "the environment", ret, err);
	if (o != NULL && o->access_key != NULL && o->secret_key != NULL)
		return take(o->access_key, o->secret_key, o->session_token, "[store]", ret, err);

	profile = env("AWS_PROFILE");
	r = take_profile(profile != NULL ? profile : "default", ret, err);
	if (r == ERR_DENIED && profile == NULL)
		return err_set(
			err, ERR_DENIED,
			"no credentials for the storage: set AWS_ACCESS_KEY_ID and "
			"AWS_SECRET_ACCESS_KEY, or write a profile in ~/.aws/credentials, or "
			"access-key and secret-key in [store] of tillfs.conf");
	return r;
}

char *
aws_region_find(const char *profile)
{
	CLEANUP(ini_fini) struct ini ini = {0};
	CLEANUP(freep) char *path = file_path("AWS_CONFIG_FILE", "config");
	CLEANUP(freep) char *section = NULL;
	const char *said = env("AWS_REGION");

	if (said == NULL)
		said = env("AWS_DEFAULT_REGION");
	if (profile == NULL && said != NULL)
		return str_copy(said);
	if (profile == NULL)
		profile = env("AWS_PROFILE");
	section = config_section(profile != NULL ? profile : "default");

	/* A file that isn't there, or makes no sense, says nothing of a region. */
	if (path != NULL && ini_read(path, &ini, NULL) == 0 &&
	    ini_get(&ini, section, "region") != NULL)
		said = ini_get(&ini, section, "region");
	return said != NULL ? str_copy(said) : NULL;
}
