/*
 * main.c - nothing but the door to cli.
 */
#include "tillfs/cli.h"

int
main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
