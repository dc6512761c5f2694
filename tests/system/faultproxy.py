"""Proxies that stand between tillfs and a real server and misbehave as they are told.

HttpProxy understands requests and answers, so a fault can be exact: the second half of a body, the
range that a header tells.  TcpProxy relays bytes, for protocols that nobody can look into.  Both run
in threads of the tests' own process; every fault counts how often it was met, since a test whose
fault was never met proves nothing.
"""
import contextlib
import random
import socket
import ssl
import struct
import threading
import time

from servers import free_port

CHUNK = 64 * 1024


class Gone(Exception):
    """A peer closed, or a fault wants it to look so."""


def reset(sock):
    """Close with RST instead of FIN; no other thread may be waiting for the socket."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def shut(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        sock.close()


class Fault:
    def __init__(self, kind, times, match, how):
        self.kind, self.left, self.match, self.how = kind, times, match, how
        self.met = 0


class Proxy:
    """What both have: a listener that can go and come back, connections, faults."""

    def __init__(self, target_port, tls=None, wait=5):
        self.target_port, self.tls = target_port, tls
        self.port = free_port()
        self.lock = threading.Lock()
        self.pairs = set()          # of sockets; protected by lock
        self.faults = []            # protected by lock
        self.released = threading.Event()
        self.wait = wait            # seconds for a server to come back
        self.listener = None
        self.up()

    # ---- the listener

    def up(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def down(self):
        """Nobody is there: new connections are refused, those that are there closed."""
        listener, self.listener = self.listener, None
        if listener is not None:
            shut(listener)
        self.cut()

    def cut(self):
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        for pair in pairs:
            for sock in pair:
                shut(sock)

    def close(self):
        self.clear()
        self.down()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        pair = None
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                client = self.tls.wrap_socket(client, server_side=True)
            server = self.connect()
            pair = (client, server)
            with self.lock:
                self.pairs.add(pair)
            self.relay(client, server)
        except (OSError, ssl.SSLError, Gone):
            pass
        finally:
            for sock in pair or (client,):
                shut(sock)
            with self.lock:
                self.pairs.discard(pair)

    def connect(self):
        """A server that is being restarted is waited for a moment, as by a load balancer."""
        end = time.monotonic() + self.wait
        while True:
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return server
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    # ---- faults

    def fault(self, kind, times=None, match=None, **how):
        """Arm a fault: for so many requests, or for all until clear()."""
        fault = Fault(kind, times, match or self.is_data, how)
        with self.lock:
            self.released.clear()
            self.faults.append(fault)
        return fault

    def clear(self):
        with self.lock:
            self.faults = []
            self.released.set()

    def pick(self, request):
        with self.lock:
            for fault in self.faults:
                if fault.left != 0 and fault.match(request):
                    fault.left = None if fault.left is None else fault.left - 1
                    fault.met += 1
                    return fault
        return None

    @staticmethod
    def is_data(request):
        return True


# ---- HTTP


class Message:
    """A request or an answer: first line, headers, body without its framing."""

    def __init__(self, first, headers, body=b""):
        self.first, self.headers, self.body = first, headers, body

    @property
    def words(self):
        return self.first.split(" ", 2)

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return default

    def drop(self, *names):
        self.headers = [(k, v) for k, v in self.headers if k.lower() not in names]

    def head(self, length=None):
        lines = [self.first, *(f"{k}: {v}" for k, v in self.headers)]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


class Stream:
    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def fill(self):
        piece = self.sock.recv(CHUNK)
        if not piece:
            raise Gone
        self.data += piece

    def line(self):
        while b"\r\n" not in self.data:
            self.fill()
        line, self.data = self.data.split(b"\r\n", 1)
        return line.decode("latin-1")

    def take(self, length):
        parts, have = [self.data], len(self.data)
        while have < length:
            piece = self.sock.recv(max(CHUNK, length - have))
            if not piece:
                raise Gone
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        self.data = whole[length:]
        return whole[:length]

    def head(self):
        first, headers = self.line(), []
        while line := self.line():
            key, _, value = line.partition(":")
            headers.append((key, value.strip()))
        return Message(first, headers)

    def body(self, message):
        if message.header("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.line().split(";")[0], 16):
                parts.append(self.take(size))
                self.line()
            while self.line():
                pass
            return b"".join(parts)
        return self.take(int(message.header("content-length", 0)))


class HttpProxy(Proxy):
    def __init__(self, *args, **how):
        self.requests = 0
        self.answered = 0           # bytes to clients
        super().__init__(*args, **how)

    @staticmethod
    def is_data(request):
        """A part of an object: what reads of a mount ask for."""
        return request.words[0] == "GET" and request.header("range") is not None

    def relay(self, client, server):
        from_client, from_server = Stream(client), Stream(server)
        while True:
            request = from_client.head()
            request.body = from_client.body(request)
            self.requests += 1
            fault = self.pick(request)
            if fault is not None:
                self.before(fault, request, client)
            request.drop("content-length", "transfer-encoding", "expect")
            length = len(request.body) if request.body or request.words[0] == "PUT" else None
            server.sendall(request.head(length) + request.body)
            answer = self.answer(from_server, request)
            if fault is not None:
                self.after(fault, request, answer, client)
            else:
                self.send(answer, request, client)

    @staticmethod
    def answer(from_server, request):
        answer = from_server.head()
        while answer.words[1].startswith("1"):
            answer = from_server.head()
        if request.words[0] != "HEAD" and answer.words[1] not in ("204", "304"):
            answer.body = from_server.body(answer)
            answer.drop("content-length", "transfer-encoding")
        return answer

    def send(self, answer, request, client):
        bare = request.words[0] == "HEAD" or answer.words[1] in ("204", "304")
        self.send_bytes(answer.head(None if bare else len(answer.body)) + answer.body, client)

    def send_bytes(self, content, client):
        self.answered += len(content)
        client.sendall(content)

    # ---- what goes wrong before the server is asked

    def before(self, fault, request, client):
        if fault.kind == "silence":
            self.released.wait()
            raise Gone
        if fault.kind == "status":
            text = fault.how.get("body", "trouble")
            answer = Message(f"HTTP/1.1 {fault.how['code']} Trouble",
                             list(fault.how.get("headers", {}).items()), text.encode())
            self.send(answer, request, client)
            raise Gone
        if fault.kind == "no HTTP":
            client.sendall(b"\0\1\2 what is this?\r\n\r\n")
            raise Gone
        if fault.kind == "whole":
            request.drop("range")

    # ---- and after

    def after(self, fault, request, answer, client):
        half = len(answer.body) // 2
        if fault.kind == "deaf":            # the server did it, and nobody hears of it
            self.released.wait()
            raise Gone
        if fault.kind in ("reset", "stall", "truncate"):
            self.send_bytes(answer.head(len(answer.body)) + answer.body[:half], client)
            if fault.kind == "stall":
                self.released.wait()
            if fault.kind == "truncate":
                raise Gone
            reset(client)
            raise Gone
        if fault.kind == "corrupt" and answer.body:
            body = bytearray(answer.body)
            body[half] ^= 1
            answer.body = bytes(body)
        if fault.kind == "wrong range" and answer.words[1] == "206":
            span, _, total = answer.header("content-range").partition(" ")[2].partition("/")
            first, last = map(int, span.split("-"))
            answer.drop("content-range")
            answer.headers.append(("Content-Range", f"bytes {first + 1}-{last + 1}/{int(total) + 1}"))
        if fault.kind == "another range" and answer.words[1] == "206":
            answer.body = bytes(len(answer.body))
        if fault.kind == "slow":
            time.sleep(fault.how["seconds"])
        self.send(answer, request, client)


class RandomFaults:
    """Now and then one of many, drawn anew for each request."""

    KINDS = ("reset", "truncate", "corrupt", "wrong range", "no HTTP", "status", "slow")

    def __init__(self, proxy, chance, seed):
        self.proxy, self.chance, self.random, self.met = proxy, chance, random.Random(seed), 0
        proxy.pick = self.pick

    def pick(self, request):
        with self.proxy.lock:
            if self.random.random() >= self.chance:
                return None
            self.met += 1
            return Fault(self.random.choice(self.KINDS), 1, None, {
                "code": self.random.choice((500, 503, 429)), "headers": {"Retry-After": "1"},
                "seconds": self.random.random()})

    def end(self):
        del self.proxy.pick


class WebProxy(Proxy):
    """As https_proxy names one: takes CONNECT, to anywhere, and nothing else."""

    def __init__(self):
        self.asked = []             # "host:port" of each connection
        super().__init__(None)

    def serve(self, client):
        pair = (client,)
        try:
            verb, where, _ = Stream(client).head().words
            if verb != "CONNECT":
                client.sendall(b"HTTP/1.1 405 CONNECT only\r\nContent-Length: 0\r\n\r\n")
                return
            self.asked.append(where)
            host, _, port = where.rpartition(":")
            pair = (client, socket.create_connection((host, int(port))))
            with self.lock:
                self.pairs.add(pair)
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            threading.Thread(target=TcpProxy.pump, args=pair, daemon=True).start()
            TcpProxy.pump(pair[1], client)
        except (OSError, Gone):
            pass
        finally:
            for sock in pair:
                shut(sock)
            with self.lock:
                self.pairs.discard(pair)


# ---- bytes


class TcpProxy(Proxy):
    """Counts bytes from the server on each connection; a fault has `at`, a number of them."""

    def relay(self, client, server):
        threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
        done = 0
        while piece := server.recv(CHUNK):
            for fault in self.due(done, len(piece)):
                at = fault.how["at"] - done
                if fault.kind == "corrupt":
                    piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1:]
                elif fault.kind in ("reset", "stall"):
                    client.sendall(piece[:at])
                    if fault.kind == "stall":
                        self.released.wait()
                    raise Gone
            client.sendall(piece)
            done += len(piece)

    def due(self, done, length):
        with self.lock:
            due = [f for f in self.faults if f.left != 0 and done <= f.how["at"] < done + length]
            for fault in due:
                fault.left = None if fault.left is None else fault.left - 1
                fault.met += 1
        return due

    @staticmethod
    def pump(from_sock, to_sock):
        with contextlib.suppress(OSError):
            while piece := from_sock.recv(CHUNK):
                to_sock.sendall(piece)
        shut(to_sock)
