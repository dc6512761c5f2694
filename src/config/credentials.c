/*
 * credentials.c - the section [store]: credentials for the storage, for who keeps them in the
 * configuration.  They lie in secret memory, and no message shows one.
 *
 * Layer 1.
 */
#include "config/internal.h"

#include "tillfs/seal.h"

static void
replace_secret(char **text, const char *by)
{
	secret_free(*text);
	*text = secret_new(strlen(by) + 1);
	memcpy(*text, by, strlen(by));
}

int
config_take_credential(const struct ini *ini, const struct ini_entry *e, struct config *c,
		       struct err *err)
{
	struct {
		const char *key;
		char **place;
	} secrets[] = {
		{"access-key", &c->credentials.access_key},
		{"secret-key", &c->credentials.secret_key},
		{"session-token", &c->credentials.session_token},
		{"account-key", &c->credentials.account_key},
		{"sas-token", &c->credentials.sas_token},
		{"user", &c->credentials.user},
		{"password", &c->credentials.password},
		{"ssh-key", &c->credentials.ssh_key},
	};

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		if (strcmp(e->key, secrets[i].key) == 0) {
			replace_secret(secrets[i].place, e->value);
			return 0;
		}
	return err_set(err, ERR_INVALID, "%s:%d: no such setting as %s in [store]", ini->origin,
		       e->line, e->key);
}

void
config_forget_credentials(struct config *c)
{
	secret_free(c->credentials.access_key);
	secret_free(c->credentials.secret_key);
	secret_free(c->credentials.session_token);
	secret_free(c->credentials.account_key);
	secret_free(c->credentials.sas_token);
	secret_free(c->credentials.user);
	secret_free(c->credentials.password);
	secret_free(c->credentials.ssh_key);
	c->credentials = (struct config_credentials){0};
}
