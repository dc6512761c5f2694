/*
 * fixture_script.h - an HTTP server on loopback that gives the answers of a script, byte for byte,
 * for what no real server does on demand: answers that are cut, wrong or hostile.
 */
#ifndef FIXTURE_SCRIPT_H
#define FIXTURE_SCRIPT_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture_folder.h"

#include "store/http.h"

#define CLOSE "\x01" /* at an answer's end: close the connection */
#define STALL "\x02" /* send nothing more, until the client goes away */

struct script {
	const char *const *answers; /* one a request, ends in NULL */
	int listener;
	pthread_t thread;
	struct buf requests; /* all that came; read it after script_end only */
	unsigned connections;
	char url[64];
};

/* Reads a request's head and its body.  False: the client is gone. */
static bool
read_request(struct script *s, int fd)
{
	size_t begin = s->requests.len;
	size_t need = SIZE_MAX;

	while (s->requests.len - begin < need) {
		char piece[4096];
		ssize_t n = read(fd, piece, sizeof piece);
		const char *head, *end, *length;

		if (n <= 0)
			return false;
		buf_append(&s->requests, piece, (size_t)n);
		head = buf_cstr(&s->requests) + begin;
		end = strstr(head, "\r\n\r\n");
		length = strcasestr(head, "content-length:");
		if (end != NULL)
			need = (size_t)(end - head) + 4 +
			       (length != NULL ? strtoul(length + 15, NULL, 10) : 0);
	}
	return true;
}

/* Whether the connection may go on. */
static bool
answer(int fd, const char *text)
{
	size_t len = strcspn(text, CLOSE STALL);
	char rest[16];

	if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		return false;
	if (text[len] == STALL[0])
		while (read(fd, rest, sizeof rest) > 0)
			;
	return text[len] == '\0';
}

static void *
serve(void *arg)
{
	struct script *s = arg;
	size_t next = 0;

	while (s->answers[next] != NULL) {
		int fd = accept(s->listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		s->connections++;
		while (s->answers[next] != NULL && read_request(s, fd) &&
		       answer(fd, s->answers[next++]))
			;
		close(fd);
	}
	return NULL;
}

static UNUSED void
script_begin(struct script *s, const char *const *answers)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof at;

	setenv("no_proxy", "*", 1);
	*s = (struct script){.answers = answers};
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(s->listener, 8), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &len), 0);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d/thing", ntohs(at.sin_port));
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* The client must be gone, or all answers given. */
static UNUSED void
script_end(struct script *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	buf_fini(&s->requests);
}

#endif /* FIXTURE_SCRIPT_H */
