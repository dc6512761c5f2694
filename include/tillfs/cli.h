/*
 * cli.h - the command line.
 *
 * Layer 6.
 */
#ifndef TILLFS_CLI_H
#define TILLFS_CLI_H

/* Runs one command.  Return: the process's exit status (docs/tillfs.1). */
int cli_main(int argc, char **argv);

#endif /* TILLFS_CLI_H */
