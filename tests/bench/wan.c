/*
 * wan.c - a TCP relay that behaves like a distant link: what scripts/bench-wan puts between a
 * client and a server on one machine.
 *
 * wan LISTEN_PORT SERVER_PORT RTT_MS MBIT_PER_S        (port 0: any; rate 0: no limit)
 *
 * All connections share the link; each direction has the whole rate.  Bytes wait until the link has
 * carried what was sent before them, then travel half a round trip.  A new connection's first bytes
 * leave a round trip after it was made, as TCP's handshake would have it, and it has at most 6 MiB
 * underway.  Not modelled: loss and
 * slow start, so that a transfer on a fresh connection runs at once as on an old one.
 *
 * It prints its port; then each line on standard input is answered by a line with the bytes and
 * turns so far: a turn is a connection's change from listening to asking, so with HTTP/1.1 a
 * request.  The line "RTT_MS MBIT_PER_S" also changes the link.  It ends with its input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PIECE    (32u * 1024u)
#define QUEUE_NS 4000000    /* what a router on the way holds at most, as time on the link */
#define WINDOW   (3u << 20) /* one way: 6 MiB a round trip, as Linux's default buffers allow */
#define NEVER    INT64_MAX

enum { UP, DOWN };

/* Bytes on their way, or the end of a stream when there are none. */
struct piece {
	STAILQ_ENTRY(piece) next;
	struct end *to;
	int64_t due;
	size_t len, done;
	uint8_t bytes[];
};
STAILQ_HEAD(pieces, piece);

/* One of a connection's two sockets. */
struct end {
	struct end *peer;
	int fd;
	int direction; /* of what is read from it */
	int64_t reads_from;
	bool readable, in_ready, eof, broken;
	bool asking;          /* the client's end: sent something since it last heard something */
	struct pieces unread; /* arrived, but the socket's buffer is full */
	size_t on_the_way;    /* bytes towards this end, unread ones too */
	unsigned pieces;      /* that refer to it */
	TAILQ_ENTRY(end) ready;
};
TAILQ_HEAD(ends, end);

struct direction {
	int64_t free_at; /* when the link has carried all that was sent */
	struct pieces flying;
	struct ends ready;
	uint64_t bytes;
};

static struct direction directions[2];
static int64_t delay_ns;
static double ns_per_byte;
static uint64_t turns, connections;
static int epoll_fd, server_port;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
set_link(double rtt_ms, double mbit)
{
	delay_ns = (int64_t)(rtt_ms * 1e6 / 2);
	ns_per_byte = mbit > 0 ? 8000 / mbit : 0;
}

/* ---- connections ---- */

static void
watch(struct end *e)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.ptr = e};
	int one = 1;

	setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e->fd, &event) < 0)
		die("epoll_ctl");
}

static struct end *
end_new(int fd, int direction)
{
	struct end *e = calloc(1, sizeof *e);

	e->fd = fd;
	e->direction = direction;
	STAILQ_INIT(&e->unread);
	return e;
}

static void
connect_through(int client_fd)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)server_port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct end *client, *server;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		close(client_fd);
		close(fd);
		return;
	}
	client = end_new(client_fd, UP);
	server = end_new(fd, DOWN);
	client->peer = server;
	server->peer = client;
	client->reads_from = now_ns() + 2 * delay_ns;
	connections++;
	watch(client);
	watch(server);
}

static void
forget_ready(struct end *e)
{
	if (e->in_ready)
		TAILQ_REMOVE(&directions[e->direction].ready, e, ready);
	e->in_ready = false;
}

/* A connection goes when both streams have ended, or one broke, and nothing refers to it. */
static void
maybe_free(struct end *e)
{
	struct end *p = e->peer;
	struct piece *piece;

	if (!(e->broken || p->broken) && !(e->eof && p->eof))
		return;
	if (e->fd >= 0 && (e->broken || p->broken)) {
		forget_ready(e);
		forget_ready(p);
		close(e->fd);
		close(p->fd);
		e->fd = p->fd = -1;
	}
	for (int i = 0; i < 2; i++) {
		struct end *x = i == 0 ? e : p;

		while (x->fd < 0 && (piece = STAILQ_FIRST(&x->unread)) != NULL) {
			STAILQ_REMOVE_HEAD(&x->unread, next);
			x->pieces--;
			free(piece);
		}
	}
	if (e->pieces > 0 || p->pieces > 0)
		return;
	if (e->fd >= 0) {
		close(e->fd);
		close(p->fd);
	}
	forget_ready(e);
	forget_ready(p);
	/* Events of this round may still name them; they are few, and the relay lives shortly. */
	e->fd = p->fd = -1;
}

/* ---- bytes ---- */

static void
make_ready(struct end *e)
{
	if (!e->readable || e->in_ready || e->eof || e->fd < 0 || e->peer->on_the_way > WINDOW)
		return;
	e->in_ready = true;
	TAILQ_INSERT_TAIL(&directions[e->direction].ready, e, ready);
}

static void
send_piece(struct direction *d, struct end *to, struct piece *piece, int64_t now)
{
	int64_t start = d->free_at > now ? d->free_at : now;

	d->free_at = start + (int64_t)((double)piece->len * ns_per_byte);
	piece->due = d->free_at + delay_ns;
	piece->to = to;
	to->pieces++;
	to->on_the_way += piece->len;
	d->bytes += piece->len;
	STAILQ_INSERT_TAIL(&d->flying, piece, next);
}

/* Takes a piece from a socket onto the link. */
static void
take(struct direction *d, struct end *e, int64_t now)
{
	struct piece *piece = malloc(sizeof *piece + PIECE);
	ssize_t n = recv(e->fd, piece->bytes, PIECE, MSG_DONTWAIT);

	piece->done = 0;
	if (n < 0) {
		free(piece);
		e->readable = false;
		if (errno != EAGAIN && errno != EINTR) {
			e->broken = true;
			maybe_free(e);
		}
		return;
	}
	piece->len = (size_t)n;
	if (n == 0)
		e->eof = true;
	if (e->direction == UP && n > 0 && !e->asking) {
		e->asking = true;
		turns++;
	}
	if (e->direction == DOWN && n > 0)
		e->peer->asking = false;
	send_piece(d, e->peer, piece, now);
}

/* Writes what has arrived at an end. */
static void
flush(struct end *e)
{
	struct piece *piece;

	while (e->fd >= 0 && (piece = STAILQ_FIRST(&e->unread)) != NULL) {
		ssize_t n = piece->len == 0
				    ? 0
				    : send(e->fd, piece->bytes + piece->done,
					   piece->len - piece->done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			e->broken = true;
			break;
		}
		if (piece->len == 0)
			shutdown(e->fd, SHUT_WR);
		piece->done += (size_t)n;
		e->on_the_way -= (size_t)n;
		if (piece->done < piece->len)
			continue;
		STAILQ_REMOVE_HEAD(&e->unread, next);
		e->pieces--;
		free(piece);
	}
	make_ready(e->peer);
	maybe_free(e);
}

static void
deliver(struct direction *d, int64_t now)
{
	struct piece *piece;

	while ((piece = STAILQ_FIRST(&d->flying)) != NULL && piece->due <= now) {
		struct end *to = piece->to;

		STAILQ_REMOVE_HEAD(&d->flying, next);
		STAILQ_INSERT_TAIL(&to->unread, piece, next);
		flush(to);
	}
}

/* Fills the link in turns.  Return: when there is something to do without a socket's event. */
static int64_t
run_direction(struct direction *d)
{
	int64_t now = now_ns(), next = NEVER;
	struct end *e;

	deliver(d, now);
	while (d->free_at < now + QUEUE_NS && (e = TAILQ_FIRST(&d->ready)) != NULL) {
		TAILQ_REMOVE(&d->ready, e, ready);
		e->in_ready = false;
		if (e->reads_from > now) {
			/* Only a few wait for their handshake. */
			TAILQ_INSERT_TAIL(&d->ready, e, ready);
			e->in_ready = true;
			next = e->reads_from < next ? e->reads_from : next;
			if (TAILQ_FIRST(&d->ready) == e || TAILQ_FIRST(&d->ready)->reads_from > now)
				break;
			continue;
		}
		take(d, e, now);
		make_ready(e);
	}
	TAILQ_FOREACH(e, &d->ready, ready)
	if (e->reads_from > now && e->reads_from < next)
		next = e->reads_from;
	if (!TAILQ_EMPTY(&d->ready) && d->free_at >= now + QUEUE_NS &&
	    d->free_at - QUEUE_NS / 2 < next)
		next = d->free_at - QUEUE_NS / 2;
	if (!STAILQ_EMPTY(&d->flying) && STAILQ_FIRST(&d->flying)->due < next)
		next = STAILQ_FIRST(&d->flying)->due;
	return next;
}

/* ---- the program ---- */

static int
listen_on(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 512) < 0)
		die("listen");
	getsockname(fd, (struct sockaddr *)&at, &len);
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void
answer_input(void)
{
	double rtt_ms, mbit;
	char line[256];
	ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);

	if (n <= 0)
		exit(0);
	line[n] = '\0';
	if (sscanf(line, "%lf %lf", &rtt_ms, &mbit) == 2)
		set_link(rtt_ms, mbit);
	printf("{\"up\": %llu, \"down\": %llu, \"turns\": %llu, \"connections\": %llu}\n",
	       (unsigned long long)directions[UP].bytes, (unsigned long long)directions[DOWN].bytes,
	       (unsigned long long)turns, (unsigned long long)connections);
	fflush(stdout);
}

static void
handle(struct epoll_event *event, int listener, int timer, void *input_mark, void *listen_mark,
       void *timer_mark)
{
	struct end *e = event->data.ptr;
	uint64_t ticks;
	int fd;

	if (event->data.ptr == input_mark) {
		answer_input();
	} else if (event->data.ptr == timer_mark) {
		if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
			die("timer");
	} else if (event->data.ptr == listen_mark) {
		while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
			connect_through(fd);
	} else if (e->fd >= 0) {
		if (event->events & EPOLLOUT)
			flush(e);
		if (e->fd >= 0 && event->events & ~(uint32_t)EPOLLOUT) {
			e->readable = true;
			make_ready(e);
		}
	}
}

int
main(int argc, char **argv)
{
	static char input_mark, listen_mark, timer_mark;
	struct epoll_event events[256];
	int listener, timer;

	if (argc != 5) {
		fprintf(stderr, "usage: wan LISTEN_PORT SERVER_PORT RTT_MS MBIT_PER_S\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	server_port = atoi(argv[2]);
	set_link(atof(argv[3]), atof(argv[4]));
	for (int i = 0; i < 2; i++) {
		STAILQ_INIT(&directions[i].flying);
		TAILQ_INIT(&directions[i].ready);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	listener = listen_on(atoi(argv[1]));
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener,
		  &(struct epoll_event){.events = EPOLLIN, .data.ptr = &listen_mark});
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer,
		  &(struct epoll_event){.events = EPOLLIN, .data.ptr = &timer_mark});
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO,
		  &(struct epoll_event){.events = EPOLLIN, .data.ptr = &input_mark});

	for (;;) {
		int64_t up = run_direction(&directions[UP]);
		int64_t down = run_direction(&directions[DOWN]);
		int64_t next = up < down ? up : down;
		struct itimerspec at = {0};
		int n;

		if (next != NEVER) {
			next = next > 0 ? next : 1;
			at.it_value.tv_sec = next / 1000000000;
			at.it_value.tv_nsec = next % 1000000000;
		}
		timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
		n = epoll_wait(epoll_fd, events, 256, -1);
		for (int i = 0; i < n; i++)
			handle(&events[i], listener, timer, &input_mark, &listen_mark, &timer_mark);
	}
}
