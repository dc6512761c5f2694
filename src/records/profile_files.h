/*
 * profile_files.h - the profiles of profiles/, built in.
 */
#ifndef RECORDS_PROFILE_FILES_H
#define RECORDS_PROFILE_FILES_H

struct profile_file {
	const char *name, *text; /* NULL: the end */
};
extern const struct profile_file profile_files[];

#endif /* RECORDS_PROFILE_FILES_H */
