/*
 * xml.c - what storage services answer in XML, read element by element.
 *
 * Layer 1.
 */
#include <expat.h>

#include "store/xml.h"

#define PATH_MAX_LEN 512u
#define NAME_SPACE   ' '

struct reading {
	const struct xml_handler *handler;
	XML_Parser parser;
	struct buf path, text;
	unsigned depth;
	int code; /* the first failure */
	struct err *err;
};

static void
stop(struct reading *d, int code)
{
	if (d->code == 0)
		d->code = code;
	(void)XML_StopParser(d->parser, XML_FALSE);
}

static void
refuse(struct reading *d, const char *why)
{
	if (d->code == 0)
		stop(d, err_set(d->err, ERR_CORRUPT, "the server's answer in XML %s", why));
}

static void
on_begin(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *d = arg;
	const char *local = strrchr(name, NAME_SPACE);
	int r = 0;

	(void)attributes;
	if (d->code != 0)
		return;
	local = local != NULL ? local + 1 : name;
	if (++d->depth > XML_DEPTH_MAX || d->path.len + strlen(local) > PATH_MAX_LEN) {
		refuse(d, "is nested too deeply");
		return;
	}
	if (d->path.len > 0)
		buf_append_u8(&d->path, '/');
	buf_append_str(&d->path, local);
	buf_reset(&d->text);
	if (d->handler->begin != NULL)
		r = d->handler->begin(d->handler->arg, buf_cstr(&d->path), d->err);
	if (r != 0)
		stop(d, r);
}

static void
on_end(void *arg, const XML_Char *name)
{
	struct reading *d = arg;
	int r = 0;

	(void)name;
	if (d->code != 0)
		return;
	if (d->handler->end != NULL)
		r = d->handler->end(d->handler->arg, buf_cstr(&d->path), buf_cstr(&d->text),
				    d->err);
	if (r != 0) {
		stop(d, r);
		return;
	}
	while (d->path.len > 0 && d->path.p[d->path.len - 1] != '/')
		d->path.len--;
	if (d->path.len > 0)
		d->path.len--;
	d->depth--;
	buf_reset(&d->text);
}

static void
on_text(void *arg, const XML_Char *text, int len)
{
	struct reading *d = arg;

	if (d->code != 0)
		return;
	if (d->text.len + (size_t)len > XML_TEXT_MAX)
		refuse(d, "has a text that is too long");
	else
		buf_append(&d->text, text, (size_t)len);
}

static void
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid,
	   int has_internal_subset)
{
	(void)name, (void)sysid, (void)pubid, (void)has_internal_subset;
	refuse(arg, "declares a document type");
}

int
xml_read(struct slice document, const struct xml_handler *handler, struct err *err)
{
	struct reading d = {.handler = handler, .err = err};

	if (document.len > INT32_MAX)
		return err_set(err, ERR_CORRUPT, "the server's answer in XML is too long");
	d.parser = XML_ParserCreateNS(NULL, NAME_SPACE);
	if (d.parser == NULL)
		return err_set(err, ERR_IO, "expat can't start");
	XML_SetUserData(d.parser, &d);
	XML_SetElementHandler(d.parser, on_begin, on_end);
	XML_SetCharacterDataHandler(d.parser, on_text);
	XML_SetStartDoctypeDeclHandler(d.parser, on_doctype);
	if (XML_Parse(d.parser, (const char *)document.p, (int)document.len, XML_TRUE) !=
		    XML_STATUS_OK &&
	    d.code == 0)
		d.code = err_set(err, ERR_CORRUPT, "the server's answer is no XML: %s",
				 XML_ErrorString(XML_GetErrorCode(d.parser)));
	XML_ParserFree(d.parser);
	buf_fini(&d.path);
	buf_fini(&d.text);
	return d.code;
}
