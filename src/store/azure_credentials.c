/*
 * azure_credentials.c - where keys and tokens for Azure come from, in this order:
 *
 *	AZURE_STORAGE_KEY, if AZURE_STORAGE_ACCOUNT is unset or the URL's
 *	AZURE_STORAGE_SAS_TOKEN
 *	AZURE_STORAGE_CONNECTION_STRING, if its account is the URL's
 *	account-key, sas-token in section [store] of tillfs's configuration
 *
 * Layer 1.
 */
#include "store/azure.h"

#include "tillfs/seal.h"

static const char *
env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static int
take_key(struct slice base64, const char *where, struct azure_credentials *ret, struct err *err)
{
	CLEANUP(buf_wipe) struct buf key = BUF_INIT;

	if (!seal_base64_parse(base64, &key) || key.len == 0 || key.len > sizeof(ret->key))
		return err_set(err, ERR_INVALID, "the account key in %s is malformed (base64)",
			       where);
	memcpy(ret->key, key.p, key.len);
	ret->key_len = key.len;
	return 0;
}

static int
take_sas(struct slice token, const char *where, struct azure_credentials *ret, struct err *err)
{
	if (token.len > 0 && token.p[0] == '?')
		token = slice_of(token.p + 1, token.len - 1);
	for (size_t i = 0; i < token.len; i++)
		if (token.p[i] <= ' ' || token.p[i] >= 0x7f || token.p[i] == '#')
			token.len = 0;
	if (token.len == 0 || token.len >= sizeof(ret->sas) ||
	    memmem(token.p, token.len, "sig=", 4) == NULL)
		return err_set(err, ERR_INVALID,
			       "the shared access signature in %s is malformed (sv=…&sig=…)",
			       where);
	memcpy(ret->sas, token.p, token.len);
	ret->sas[token.len] = '\0';
	return 0;
}

/* The value of "Name=value;…", empty when it isn't there. */
static struct slice
field(const char *connection, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = connection; *at != '\0';) {
		size_t n = strcspn(at, ";");

		if (n > len && strncmp(at, name, len) == 0 && at[len] == '=')
			return slice_of(at + len + 1, n - len - 1);
		at += n + (at[n] == ';');
	}
	return slice_of(connection, 0);
}

static int
take_connection(const char *connection, const char *account, struct azure_credentials *ret,
		char **ret_endpoint, struct err *err)
{
	static const char where[] = "AZURE_STORAGE_CONNECTION_STRING";
	struct slice endpoint = field(connection, "BlobEndpoint");
	struct slice name = field(connection, "AccountName");
	struct slice key = field(connection, "AccountKey");
	struct slice sas = field(connection, "SharedAccessSignature");

	if (name.len > 0 && !slice_equal(name, slice_str(account)))
		return err_set(err, ERR_DENIED, "%s is of another account than \"%s\"", where,
			       account);
	if (endpoint.len > 0)
		*ret_endpoint = str_format("%.*s", (int)endpoint.len, (const char *)endpoint.p);
	if (key.len > 0)
		return take_key(key, where, ret, err);
	return take_sas(sas, where, ret, err);
}

int
azure_credentials_load(const struct store_options *o, const char *account,
		       struct azure_credentials *ret, char **ret_endpoint, struct err *err)
{
	const char *named = env("AZURE_STORAGE_ACCOUNT");
	const char *key = env("AZURE_STORAGE_KEY");
	const char *sas = env("AZURE_STORAGE_SAS_TOKEN");
	const char *connection = env("AZURE_STORAGE_CONNECTION_STRING");
	bool ours = named == NULL || strcmp(named, account) == 0;

	*ret_endpoint = NULL;
	if (key != NULL && ours)
		return take_key(slice_str(key), "AZURE_STORAGE_KEY", ret, err);
	if (sas != NULL && ours)
		return take_sas(slice_str(sas), "AZURE_STORAGE_SAS_TOKEN", ret, err);
	if (connection != NULL)
		return take_connection(connection, account, ret, ret_endpoint, err);
	if (o != NULL && o->account_key != NULL)
		return take_key(slice_str(o->account_key), "[store]", ret, err);
	if (o != NULL && o->sas_token != NULL)
		return take_sas(slice_str(o->sas_token), "[store]", ret, err);
	return err_set(err, ERR_DENIED,
		       "no credentials for account \"%s\": set AZURE_STORAGE_KEY or "
		       "AZURE_STORAGE_SAS_TOKEN (with AZURE_STORAGE_ACCOUNT), or "
		       "AZURE_STORAGE_CONNECTION_STRING, or account-key or sas-token in [store] of "
		       "tillfs.conf",
		       account);
}
