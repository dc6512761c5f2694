"""Real servers for the tests, each on free ports of 127.0.0.1 and in a folder of its own.

Servers run in the foreground as our children, so that stopping is ending exactly those.  Start is
tried again on other ports where somebody else was faster to take one.
"""
import ctypes
import datetime
import hashlib
import hmac
import html
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import uuid

import pytest

START_LIMIT = 180    # seconds; generous, since the machine may be busy with other tests
STOP_LIMIT = 20


def free_port():
    """A port below those that outgoing connections take by themselves."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def end_with_parent():
    """In a new child: be killed when the tests' own process dies without a word."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Processes:
    """Children of the tests, ended in reverse order."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.running = []

    def start(self, name, *command, env=None):
        with open(self.folder / f"{name}.log", "ab") as log:
            child = subprocess.Popen([os.fspath(word) for word in command], stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, env=env, start_new_session=True,
                                     preexec_fn=end_with_parent)
        self.running.append(child)
        return child

    def stop(self):
        for child in reversed(self.running):
            stop(child)
        self.running = []

    def logs(self, tail=3000):
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-tail:]}"
                         for path in sorted(self.folder.glob("*.log")))


def stop(child):
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def await_answer(answers, children, limit=START_LIMIT):
    """Poll until @answers() is true.  False when a child ended instead."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if answers():
            return True
        if any(child.poll() is not None for child in children):
            return False
        time.sleep(0.05)
    return False


def http_answers(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False


# ---- certificates


class Certificates:
    """An authority of our own, ca.pem, and what it signed for localhost: server.pem, server.key."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca, self.pem, self.key = (self.folder / name
                                       for name in ("ca.pem", "server.pem", "server.key"))
        names = self.folder / "names"
        names.write_text("subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1\n")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self.openssl("req", "-x509", *new_key, "-keyout", self.folder / "ca.key", "-out", self.ca,
                     "-days", "30", "-subj", "/CN=tillfs tests")
        self.openssl("req", *new_key, "-keyout", self.key, "-out", self.folder / "server.csr",
                     "-subj", "/CN=localhost")
        self.openssl("x509", "-req", "-in", self.folder / "server.csr", "-CA", self.ca,
                     "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", "30",
                     "-out", self.pem, "-extfile", names)

    @staticmethod
    def openssl(*args):
        subprocess.run(["openssl", *map(os.fspath, args)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates():
    folder = tempfile.mkdtemp(prefix="tillfs-certificates-")
    yield Certificates(folder)
    shutil.rmtree(folder)


# ---- S3: a client of our own, and Ceph's gateway


class S3:
    """Just enough of the protocol to prepare buckets and to look into them, signed by hand."""

    def __init__(self, port, access, secret):
        self.port, self.access, self.secret = port, access, secret

    @property
    def env(self):
        return {"AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret}

    def request(self, method, bucket, key="", query=(), body=b"", headers=(), code=200):
        path = urllib.parse.quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/-_.~")
        query = "&".join(sorted(f"{urllib.parse.quote(k, safe='-_.~')}="
                                f"{urllib.parse.quote(v, safe='-_.~')}"
                                for k, v in dict(query).items()))
        now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
        sent = {"host": f"127.0.0.1:{self.port}", "x-amz-date": now,
                "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
                **{name.lower(): value for name, value in dict(headers).items()}}
        names = ";".join(sorted(sent))
        canonical = "\n".join((method, path, query,
                               *(f"{name}:{sent[name]}" for name in sorted(sent)), "", names,
                               sent["x-amz-content-sha256"]))
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        key_bytes = b"AWS4" + self.secret.encode()
        for part in scope.split("/"):
            key_bytes = hmac.digest(key_bytes, part.encode(), "sha256")
        text = "\n".join(("AWS4-HMAC-SHA256", now, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()))
        sent["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, "
                                 f"SignedHeaders={names}, "
                                 f"Signature={hmac.new(key_bytes, text.encode(), 'sha256').hexdigest()}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path + ("?" + query if query else ""), body, sent)
        response = connection.getresponse()
        content = response.read()
        codes = (code,) if isinstance(code, int) else code
        assert response.status in codes, f"{method} {path}: {response.status} {content[:500]}"
        return content, dict(response.getheaders())

    def new_bucket(self, name=None, versioned=False, locked=False):
        name = name or f"b-{uuid.uuid4().hex[:12]}"
        headers = {"x-amz-bucket-object-lock-enabled": "true"} if locked else {}
        self.request("PUT", name, headers=headers)
        if versioned:
            self.request("PUT", name, query={"versioning": ""},
                         body=b"<VersioningConfiguration><Status>Enabled</Status>"
                              b"</VersioningConfiguration>")
        return name

    def put(self, bucket, key, body, headers=()):
        self.request("PUT", bucket, key, body=body, headers=headers)

    def get(self, bucket, key):
        return self.request("GET", bucket, key)[0]

    def delete(self, bucket, key, code=204):
        self.request("DELETE", bucket, key, code=code)

    def keys(self, bucket, prefix=""):
        return [key for key, _ in self.objects(bucket, prefix)]

    def sizes(self, bucket, prefix=""):
        return [size for _, size in self.objects(bucket, prefix)]

    def objects(self, bucket, prefix=""):
        """Key and size of each."""
        found, token = [], None
        while True:
            query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
            if token:
                query["continuation-token"] = token
            text = self.request("GET", bucket, query=query)[0].decode()
            found += [(urllib.parse.unquote(html.unescape(key)), int(size)) for key, size in
                      zip(re.findall("<Key>([^<]*)</Key>", text),
                          re.findall("<Size>([^<]*)</Size>", text))]
            more = re.search("<NextContinuationToken>([^<]*)<", text)
            if not more:
                return found
            token = more.group(1)


CEPH_CONF = """
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{mon}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {folder}/keyring
run dir = {folder}/run
admin socket = {folder}/run/$name.$pid.asok
log file = {folder}/$name.log
ms bind ipv6 = false
ms bind msgr1 = false
ms bind port min = {osd_min}
ms bind port max = {osd_max}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
[mon]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd class update on start = false
osd max object name len = 1024
osd op num shards = 2
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1 ssl_endpoint=127.0.0.1:{tls_port} ssl_certificate={pem} ssl_private_key={key}
rgw dns name = localhost
rgw enable usage log = false
rgw thread pool size = 64
"""


class Ceph:
    """A cluster of one monitor, one storage daemon in memory, and the S3 gateway: about 12 s."""

    def __init__(self, folder, certificates):
        self.folder = pathlib.Path(folder)
        self.processes = Processes(folder)
        self.port, self.tls_port, self.mon = free_port(), free_port(), free_port()
        osd = free_port()
        for name in ("mon", "osd", "run"):
            (self.folder / name).mkdir()
        self.conf = self.folder / "ceph.conf"
        self.conf.write_text(CEPH_CONF.format(
            fsid=uuid.uuid4(), folder=self.folder, port=self.port, tls_port=self.tls_port,
            mon=self.mon, osd_min=osd, osd_max=osd + 64, pem=certificates.pem,
            key=certificates.key))
        self.users = {}

    def run(self, *command):
        return subprocess.run([*map(os.fspath, command)], check=True, capture_output=True,
                              timeout=START_LIMIT, stdin=subprocess.DEVNULL)

    def make_keys(self):
        keyring = self.folder / "keyring"
        self.run("ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "osd.0", "client.rgw.a"):
            self.run("ceph-authtool", keyring, "--gen-key", "-n", name, "--cap", "mon", "allow *",
                     "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
        return keyring

    def start(self):
        """Whether it came up; its logs say why not."""
        conf = ("-c", self.conf)
        keyring = self.make_keys()
        monmap = self.folder / "monmap"
        fsid = re.search("fsid = (.*)", self.conf.read_text()).group(1)
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a",
                 f"[v2:127.0.0.1:{self.mon}]", monmap)
        self.run("ceph-mon", *conf, "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        mon = self.processes.start("mon-out", "ceph-mon", *conf, "-f", "-i", "a")
        osd_id = str(uuid.uuid4())
        try:
            self.run("ceph", *conf, "--connect-timeout", "60", "osd", "new", osd_id, "0")
            self.run("ceph-osd", *conf, "-i", "0", "--mkfs", "--osd-uuid", osd_id)
        except subprocess.SubprocessError:
            return False
        osd = self.processes.start("osd-out", "ceph-osd", *conf, "-f", "-i", "0")
        rgw = self.start_gateway()
        return await_answer(lambda: http_answers(self.port), (mon, osd, rgw))

    def start_gateway(self):
        self.gateway = self.processes.start("rgw-out", "radosgw", "-c", self.conf, "-f",
                                            "-n", "client.rgw.a")
        return self.gateway

    def restart_gateway(self):
        stop(self.gateway)
        self.processes.running.remove(self.gateway)
        rgw = self.start_gateway()
        assert await_answer(lambda: http_answers(self.port), (rgw,)), self.processes.logs()

    def user(self, name):
        """A client of that name, made when it is asked for first."""
        if name not in self.users:
            access, secret = f"ACCESS{name.upper()}0000", f"secret+/of-{name}-0123456789abcdef"
            self.run("radosgw-admin", "-c", self.conf, "-n", "client.rgw.a", "user", "create",
                     f"--uid={name}", f"--display-name={name}", f"--access-key={access}",
                     f"--secret-key={secret}")
            self.users[name] = S3(self.port, access, secret)
        return self.users[name]

    def url(self, bucket, prefix="repo", host=None, **params):
        endpoint = f"http://{host or f'127.0.0.1:{self.port}'}"
        query = urllib.parse.urlencode({"endpoint": endpoint, **params}, safe=":/")
        return f"s3://{bucket}/{prefix}?{query}"

    def stop(self):
        self.processes.stop()


def start_one(make, attempts=3):
    """A server that came up, and its folder; tried on other ports when it didn't."""
    for attempt in range(attempts):
        folder = tempfile.mkdtemp(prefix="tillfs-server-")
        server = make(folder)
        try:
            if server.start():
                return server, folder
            logs = server.processes.logs()
        except BaseException:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    pytest.fail(f"no start in {attempts} attempts; the last one's logs:\n{logs}")


@pytest.fixture(scope="session")
def ceph(certificates):
    server, folder = start_one(lambda folder: Ceph(folder, certificates))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
