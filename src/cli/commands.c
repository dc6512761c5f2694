/*
 * commands.c - the table of commands.
 */
#include <limits.h>

#include "internal.h"

#define OPTIONS(...)                                                                               \
	(const enum option[]){__VA_ARGS__},                                                        \
		sizeof((const enum option[]){__VA_ARGS__}) / sizeof(enum option)
#define NO_OPTIONS NULL, 0

static const char about_snapshots[] = "SNAPSHOT is `latest`, `latest@WRITER`, a date as "
				      "2026-11-20, DATE@WRITER, or the beginning of "
				      "an id. The first colon separates it from the path.";

static const char about_log[] = "LOG is a file, or the folder that --audit was given; by default, "
				"what the configuration says. "
				"Reading it becomes an entry, signed with the identity.";

const struct command commands[] = {
	{"identity new", "FILE", "make an identity that can read",
	 "Asks for a passphrase, twice, and writes FILE and FILE.pub. --passphrase-file, "
	 "--passphrase-fd or --passphrase-command answer instead.",
	 1, 1, OPTIONS(OPT_NO_PASSPHRASE), cmd_identity_new},
	{"identity recover", "SHEET FILE", "rebuild an identity from its recovery sheet",
	 "SHEET is a file with the lines that were typed from the page, or - for standard input. A "
	 "typing error is found, and said where. Asks for a new passphrase.",
	 2, 2, OPTIONS(OPT_NO_PASSPHRASE), cmd_identity_recover},
	{"recovery-sheet", "", "print an identity on a page, to be kept in a safe",
	 "The page holds the secret in clear, in lines that check themselves. `identity recover` "
	 "rebuilds the identity from what is typed from it.",
	 0, 0, OPTIONS(OPT_OUT), cmd_recovery_sheet},
	{"init", "[URL]", "make a repository, with the identity as its founding admin", NULL, 0, 1,
	 NO_OPTIONS, cmd_init},
	{"writer new", "FILE", "make a writer's file, on the machine that will back up",
	 "Writes FILE, which stays on the machine, and FILE.pub for an admin.", 1, 1, NO_OPTIONS,
	 cmd_writer_new},
	{"writer add", "NAME", "enrol a writer, as an admin",
	 "With --key, prints a card that `writer import` takes on the writer's machine. With "
	 "--out, "
	 "makes an enrolled writer's file here, in one step.",
	 1, 1, OPTIONS(OPT_KEY, OPT_OUT), cmd_writer_add},
	{"writer import", "FILE CARD", "add an admin's card to a writer's file",
	 "CARD is a file, or - for standard input.", 2, 2, NO_OPTIONS, cmd_writer_import},
	{"writer rotate", "NAME", "give a writer new keys under its name, as an admin",
	 "As `writer add`: with --key for a file that `writer new` made on the writer's machine, "
	 "with --out to make one here. The old file makes no snapshots any more; what it made "
	 "stays. The first backup with the new keys stores everything afresh.",
	 1, 1, OPTIONS(OPT_KEY, OPT_OUT), cmd_writer_add},
	{"writer revoke", "NAME", "end what a writer may do, as an admin",
	 "Snapshots later than the last one that counts are ignored by everybody. For a till that "
	 "was stolen on Tuesday, give Monday's.",
	 1, 1, OPTIONS(OPT_LAST), cmd_writer_revoke},
	{"writer list", "", "list the enrolled writers", NULL, 0, 0, OPTIONS(OPT_JSON),
	 cmd_writer_list},
	{"backup", "[PATH...]", "make a snapshot",
	 "A relative PATH is stored as given, an absolute one without its leading slash. Captures "
	 "and extracts of the configuration are made too.",
	 0, UINT_MAX,
	 OPTIONS(OPT_TIME, OPT_DATE, OPT_LABEL, OPT_EXCLUDE, OPT_ONE_FILE_SYSTEM, OPT_JSON),
	 cmd_backup},
	{"snapshots", "", "list the snapshots", NULL, 0, 0, OPTIONS(OPT_JSON), cmd_snapshots},
	{"ls", "SNAPSHOT[:PATH]", "list a folder of a snapshot", about_snapshots, 1, 1,
	 OPTIONS(OPT_LONG, OPT_RECURSIVE, OPT_JSON, AUDIT_OPTIONS), cmd_ls},
	{"cat", "SNAPSHOT:PATH", "print a file of a snapshot", about_snapshots, 1, 1,
	 OPTIONS(AUDIT_OPTIONS), cmd_cat},
	{"get", "RECORD KEY...", "get a record with what belongs to it, such as a receipt",
	 "Profiles say what a record is: which table, which rows of other tables. Without "
	 "--snapshot, "
	 "the newest; with --date, of that date; --writer WRITER says whose.",
	 2, 17,
	 OPTIONS(OPT_IN_SNAPSHOT, OPT_DATE, OPT_FORMAT, OPT_DATABASE, OPT_SCHEMA, OPT_DEADLINE,
		 AUDIT_OPTIONS),
	 cmd_get},
	{"query", "SNAPSHOT:DATABASE SQL", "ask a database inside a snapshot", about_snapshots, 2,
	 2, OPTIONS(OPT_CSV, OPT_JSON, OPT_TABLE, OPT_AGAINST, OPT_DEADLINE, AUDIT_OPTIONS),
	 cmd_query},
	{"restore", "SNAPSHOT[:PATH]", "copy files out of a snapshot", about_snapshots, 1, 1,
	 OPTIONS(OPT_TO, OPT_INCLUDE, OPT_EXCLUDE, OPT_OVERWRITE, OPT_VERIFY, OPT_JSON,
		 AUDIT_OPTIONS),
	 cmd_restore},
	{"mount", "[URL] DIR", "mount the snapshots, by date",
	 "Returns when the mount can be used. In /etc/fstab the type is tillfs, and identity=FILE, "
	 "passphrase-file=FILE, config=FILE, state=DIR, memory=SIZE, refresh=SECONDS, cache=DIR, "
	 "cache-size=SIZE, offline, budget=SIZE, price-per-gb=AMOUNT, "
	 "price-per-1000-requests=AMOUNT, timeout=SECONDS, cacert=FILE, profile=NAME, "
	 "no-records, audit=FILE, audit-required, case=REF, reason=TEXT and no-sandbox are "
	 "options.",
	 1, 2,
	 OPTIONS(OPT_FOREGROUND, OPT_MOUNT, OPT_MEMORY, OPT_REFRESH, OPT_BUDGET, OPT_PRICE_GB,
		 OPT_PRICE_REQUESTS, OPT_NO_RECORDS, OPT_AUDIT_REQUIRED, AUDIT_OPTIONS,
		 OPT_NO_SANDBOX),
	 cmd_mount},
	{"pin", "SNAPSHOT[:PATH]", "fetch a path into the cache and keep it there",
	 "What is pinned can be read with --offline and isn't evicted. Run it again to go on after "
	 "an interruption.",
	 1, 1, OPTIONS(OPT_JSON, AUDIT_OPTIONS), cmd_pin},
	{"unpin", "PIN | SNAPSHOT[:PATH]", "let what was pinned go when room is needed",
	 "PIN is a name as `tillfs pins` lists it, such as pin-3.", 1, 1, NO_OPTIONS, cmd_unpin},
	{"pins", "", "list what is pinned", NULL, 0, 0, OPTIONS(OPT_JSON), cmd_pins},
	{"cost", "SNAPSHOT[:PATH]", "tell what a copy would fetch from the store",
	 "Reads folders and the maps of large files, which a copy through the same cache then "
	 "needn't fetch.",
	 1, 1, OPTIONS(OPT_PRICE_GB, OPT_PRICE_REQUESTS, OPT_JSON), cmd_cost},
	{"umount", "DIR", "end a mount", NULL, 1, 1, OPTIONS(OPT_LAZY), cmd_umount},
	{"diff", "SNAPSHOT[:PATH] SNAPSHOT [PATH]",
	 "tell what changed from one snapshot to another",
	 "A line for each path: + added, - removed, M other content, U other attributes, T another "
	 "type, ? unreadable. With --rows also the tables and rows of databases, by the paths that "
	 "they have below records/ in a mount.",
	 2, 3, OPTIONS(OPT_ROWS, OPT_DEADLINE, OPT_JSON, AUDIT_OPTIONS), cmd_diff},
	{"find", "GLOB", "find a name in all snapshots",
	 "A line for each version of each path that matches: its first snapshot, its last, the "
	 "writer "
	 "and the size. A GLOB without a slash matches names in any folder, one with a slash whole "
	 "paths; ** crosses folders.",
	 1, 1, OPTIONS(OPT_FROM, OPT_UNTIL, OPT_JSON, AUDIT_OPTIONS), cmd_find},
	{"history", "PATH | DATABASE TABLE KEY | RECORD KEY...",
	 "list the versions of a file, a row or a record",
	 "A line for each version: its first snapshot, its last, and how many in a row have it; of "
	 "a "
	 "row or record, what changed in it. The KEY of a row has commas between the values of "
	 "several "
	 "columns; a RECORD is one that a profile knows, as for `get`.",
	 1, UINT_MAX,
	 OPTIONS(OPT_FROM, OPT_UNTIL, OPT_DATABASE, OPT_SCHEMA, OPT_DEADLINE, OPT_JSON,
		 AUDIT_OPTIONS),
	 cmd_history},
	{"scan", "PATH|SNAPSHOT[:PATH]...", "look for payment card numbers",
	 "Names the files that seem to hold some, and how many, and never prints one. What exists "
	 "under this name is a PATH, else it is a SNAPSHOT. Exit status 4 means that there are "
	 "some.",
	 1, UINT_MAX, OPTIONS(OPT_JSON, AUDIT_OPTIONS), cmd_scan},
	{"check", "", "look for damage", "Exit status 4 means that there is some.", 0, 0,
	 OPTIONS(OPT_READ_DATA, OPT_JSON), cmd_check},
	{"verify", "SNAPSHOT|DATE|WRITER", "prove snapshots: who made them, and every byte",
	 "Checks the signature, the enrolment of its writer, the writer's chain from its first "
	 "snapshot on, and every byte down to the packs, and prints a statement. Exit status 4 "
	 "means that something does not hold.",
	 1, 1, OPTIONS(OPT_SCHEDULE, OPT_JSON), cmd_verify},
	{"admin add", "NAME", "make somebody an admin, who reads everything",
	 "--key is the .pub file of an identity that the new admin made with `identity new`. The "
	 "keys of all older snapshots are handed over, too; broken off, the same command goes on. "
	 "Prints a card for `trust import`, or writes it to --out.",
	 1, 1, OPTIONS(OPT_KEY, OPT_OUT), cmd_admin_add},
	{"admin remove", "NAME|FINGERPRINT", "end that somebody is an admin",
	 "Nothing new is sealed to a removed admin. What it could read before it can still "
	 "decrypt, as far as it can get at the storage.",
	 1, 1, NO_OPTIONS, cmd_admin_remove},
	{"admin list", "", "list the admins", NULL, 0, 0, OPTIONS(OPT_JSON), cmd_admin_list},
	{"auditor new", "FILE", "make an auditor's identity, on the auditor's machine",
	 "Writes FILE, which stays with the auditor, and FILE.pub for an admin.", 1, 1,
	 OPTIONS(OPT_NO_PASSPHRASE), cmd_auditor_new},
	{"grant", "", "let an auditor read, as an admin",
	 "Grants the snapshots that there are, of all writers, data classes and business dates "
	 "that the options don't exclude; with --standing those to come, and older ones only from "
	 "--from on. A data class is a set of files, which are read whole. Snapshots share what "
	 "did not change, so a grant covers what other snapshots of the classes keep in the same "
	 "sections of packs. Prints a card for `trust import`, or writes it to --out.",
	 0, 0,
	 OPTIONS(OPT_GRANTEE, OPT_ONLY_WRITER, OPT_CLASS, OPT_FROM, OPT_UNTIL, OPT_STANDING,
		 OPT_EXPIRES, OPT_CASE, OPT_OUT),
	 cmd_grant},
	{"grants", "", "list the grants: an admin all, an auditor its own", NULL, 0, 0,
	 OPTIONS(OPT_JSON), cmd_grants},
	{"revoke", "[GRANT]", "end a grant, by its id, or all of a --case", NULL, 0, 1,
	 OPTIONS(OPT_CASE), cmd_revoke},
	{"trust show", "", "show who may read and write what, and by whose decision", NULL, 0, 0,
	 OPTIONS(OPT_JSON), cmd_trust_show},
	{"trust merge", "", "settle a forked ledger, as an admin",
	 "When admins decided at the same time, or a storage showed different things to different "
	 "people, the longest branch is kept, or the one that --keep names, and what the others "
	 "decided is decided again where that makes sense.",
	 0, 0, OPTIONS(OPT_KEEP), cmd_trust_merge},
	{"evidence", "SNAPSHOT:PATH...", "copy files with proof of where they come from",
	 "Makes a BagIt bag (RFC 8493) in --to: the files, hashes, the signed snapshots, what was "
	 "verified, the record of accesses, and a statement signed with the identity. It is "
	 "checked "
	 "with sha256sum and openssl; its README.txt says how. Exit status 4 means that the bag is "
	 "there, but not everything could be verified.",
	 1, UINT_MAX, OPTIONS(OPT_TO, OPT_TIMESTAMP_URL, OPT_JSON, AUDIT_OPTIONS), cmd_evidence},
	{"doctor", "", "prove that a mount is read-only",
	 "Tries every call that modifies, and prints what came of each. With --json the result is "
	 "signed with the identity; --to writes read-only.json, its signature and the key, for "
	 "`openssl pkeyutl -verify -rawin`. Exit status 4 means that something went through.",
	 0, 0, OPTIONS(OPT_PROVE_READ_ONLY, OPT_TO, OPT_JSON), cmd_doctor},
	{"audit show", "[LOG]", "show who opened what, from an access log", about_log, 0, 1,
	 OPTIONS(OPT_SINCE, OPT_UNTIL, OPT_USER, OPT_PATH, OPT_SNAPSHOT, OPT_RESULT, OPT_JSON,
		 OPT_CASE, OPT_REASON),
	 cmd_audit_show},
	{"audit export", "[LOG]", "write an access log as JSON or CSV", about_log, 0, 1,
	 OPTIONS(OPT_JSON, OPT_CSV, OPT_SINCE, OPT_UNTIL, OPT_USER, OPT_PATH, OPT_SNAPSHOT,
		 OPT_RESULT, OPT_CASE, OPT_REASON),
	 cmd_audit_export},
	{"audit verify", "[LOG]", "look for tampering with an access log",
	 "Finds entries that were changed, removed, reordered or cut off, and says from where on "
	 "nothing is proven. --key names who must have signed, by a .pub file. Exit status 4 means "
	 "that something doesn't fit.",
	 0, 1, OPTIONS(OPT_KEY, OPT_PUBLISHED, OPT_JSON), cmd_audit_verify},
	{"audit publish", "[LOG]", "put a signed head of an access log into the repository",
	 "What a log had by then can't be changed unnoticed any more, not even by its owner.", 0, 1,
	 NO_OPTIONS, cmd_audit_publish},
	{"store test", "[URL]", "find out what a storage can do, and a credential may",
	 "Creates a few objects under a prefix of their own, and removes them again. --under names "
	 "a prefix that the credential may create under, such as packs/WRITER. "
	 "docs/storage.md says what each credential should be allowed.",
	 0, 1, OPTIONS(OPT_UNDER, OPT_JSON), cmd_store_test},
	{"trust import", "CARD", "trust the founder of a repository whose card was handed over",
	 "CARD is a file, or - for standard input; the identity's file gets the pin.", 1, 1,
	 NO_OPTIONS, cmd_trust_import},
};
const size_t n_commands = ARRAY_LEN(commands);
