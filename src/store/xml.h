/*
 * xml.h - what storage services answer in XML, read element by element.
 *
 * An element is told by its path, names joined by '/' without their name spaces:
 * "ListBucketResult/Contents/Key".  Attributes are passed over.  The document is hostile: document
 * types and so entities of its own are refused, depth and the length of a text bounded.
 *
 * The one file that includes expat.  Layer 1: uses base.
 */
#ifndef TILLFS_STORE_XML_H
#define TILLFS_STORE_XML_H

#include "tillfs/base.h"

#define XML_DEPTH_MAX 16u
#define XML_TEXT_MAX  (8u * KIB)

struct xml_handler {
	/* Either may be NULL.  0 goes on; anything else ends the reading with that code. */
	int (*begin)(void *arg, const char *path, struct err *err);
	/* @text: what stands directly in the element, behind the last one inside it. */
	int (*end)(void *arg, const char *path, const char *text, struct err *err);
	void *arg;
};

/* Return: 0, ERR_CORRUPT, or what the handler returned. */
MUST_CHECK int xml_read(struct slice document, const struct xml_handler *handler, struct err *err);

#endif /* TILLFS_STORE_XML_H */
