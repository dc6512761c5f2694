/*
 * help.c - what --help says, from the tables of commands and options.
 */
#include <stdio.h>

#include "internal.h"

#define WIDTH 80

static void
print_option(const struct option_spec *o)
{
	char left[64];

	(void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg != NULL ? " " : "",
		       o->arg != NULL ? o->arg : "");
	printf("  %c%c%c %-24s  %s\n", o->letter != 0 ? '-' : ' ', o->letter != 0 ? o->letter : ' ',
	       o->letter != 0 ? ',' : ' ', left, o->help);
}

static void
print_common(void)
{
	printf("\nOptions of all commands:\n");
	for (enum option o = 0; o < OPT_COMMON_END; o++)
		print_option(&option_specs[o]);
}

/* Breaks lines between words. */
static void
print_paragraph(const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (column > 0 && column + 1 + len > WIDTH) {
			putchar('\n');
			column = 0;
		}
		column += (size_t)printf("%s%.*s", column > 0 ? " " : "", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void
print_command_line(const struct command *k)
{
	char left[64];

	(void)snprintf(left, sizeof left, "%s %s", k->name, k->operands);
	printf("  %-28s  %s\n", left, k->summary);
}

void
help_overview(void)
{
	printf("tillfs - encrypted snapshots of point-of-sale data, mounted by date\n\n"
	       "Usage: tillfs [OPTION]... COMMAND [OPTION | OPERAND]...\n\nCommands:\n");
	for (size_t i = 0; i < n_commands; i++)
		print_command_line(&commands[i]);
	print_common();
	printf("\n`tillfs COMMAND --help` says more, and the manual page tillfs(1) all.\n");
}

void
help_family(const char *family)
{
	size_t len = strlen(family);

	printf("Usage: tillfs %s COMMAND [OPTION | OPERAND]...\n\nCommands:\n", family);
	for (size_t i = 0; i < n_commands; i++)
		if (strncmp(commands[i].name, family, len) == 0 && commands[i].name[len] == ' ')
			print_command_line(&commands[i]);
	print_common();
}

void
help_command(const struct command *k)
{
	printf("Usage: tillfs %s [OPTION]...%s%s\n\ntillfs %s: %s.\n", k->name,
	       k->operands[0] != '\0' ? " " : "", k->operands, k->name, k->summary);
	if (k->details != NULL) {
		putchar('\n');
		print_paragraph(k->details);
	}
	if (k->n_options > 0)
		printf("\nOptions:\n");
	for (size_t i = 0; i < k->n_options; i++)
		print_option(&option_specs[k->options[i]]);
	print_common();
}
