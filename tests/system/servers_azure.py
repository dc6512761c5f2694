"""Azurite, the emulator of Azure's blob storage, from npm; kept in ~/.cache/tillfs-tests."""
import base64
import datetime
import fcntl
import hashlib
import hmac
import http.client
import os
import pathlib
import shutil
import subprocess
import urllib.parse
import uuid

import pytest

import servers

PACKAGE = "azurite@3"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tillfs-tests"
INSTALL_LIMIT = 900
ACCOUNT = "shopaccount"
KEY = base64.b64encode(b"a key of the tests, of 64 bytes, which is what such keys have..!").decode()
VERSION = "2021-12-02"


def install():
    """The server's program; installed by the first who asks, while others wait."""
    program = CACHE / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "azurite.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            assert shutil.which("npm"), "npm is missing, which brings Azurite: install it"
            done = subprocess.run(["npm", "install", "--prefix", CACHE / "azurite", "--no-audit",
                                   "--no-fund", "--loglevel=error", PACKAGE], text=True,
                                  capture_output=True, timeout=INSTALL_LIMIT)
            assert done.returncode == 0, f"npm install {PACKAGE}:\n{done.stdout}\n{done.stderr}"
    return program


class Azurite:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = servers.Processes(folder)
        self.port = servers.free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def start(self):
        child = self.processes.start(
            "azurite", install(), "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
            "--location", self.folder, "--silent", "--disableTelemetry",
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"})
        return servers.await_answer(lambda: servers.http_answers(self.port), (child,))

    def stop(self):
        self.processes.stop()

    @property
    def env(self):
        return {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY}

    def url(self, container, prefix="repo", **params):
        query = urllib.parse.urlencode({"endpoint": self.endpoint, **params}, safe=":/")
        return f"azure://{ACCOUNT}/{container}/{prefix}?{query}"

    def request(self, method, path, query=(), body=b"", headers=(), code=200):
        """Signed by hand."""
        now = datetime.datetime.utcnow().strftime("%a, %d %b %Y %H:%M:%S GMT")
        sent = {"x-ms-version": VERSION, "x-ms-date": now, **dict(headers)}
        path = f"/{ACCOUNT}/{urllib.parse.quote(path)}"
        ms = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent) if name.startswith("x-ms-"))
        resource = f"/{ACCOUNT}{path}" + "".join(f"\n{k}:{v}" for k, v in sorted(dict(query).items()))
        text = "\n".join((method, "", "", str(len(body) or ""), *[""] * 8, "")) + ms + resource
        mac = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
        sent["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        url = path + ("?" + urllib.parse.urlencode(dict(query)) if query else "")
        connection.request(method, url, body or None, {**sent, "Content-Length": str(len(body))})
        response = connection.getresponse()
        content = response.read()
        assert response.status == code, f"{method} {url}: {response.status} {content[:500]}"
        return content

    def new_container(self):
        name = f"c-{uuid.uuid4().hex[:12]}"
        self.request("PUT", name, query={"restype": "container"}, code=201)
        return name

    def put(self, container, key, body):
        self.request("PUT", f"{container}/{key}", body=body, headers={"x-ms-blob-type": "BlockBlob"},
                     code=201)

    def sas(self, container, permissions):
        """A token for a container: r read, l list, c create, w write, d delete."""
        end = (datetime.datetime.utcnow() + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = "\n".join((permissions, "", end, f"/blob/{ACCOUNT}/{container}", "", "", "", VERSION,
                          "c", *[""] * 7))
        mac = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
        return urllib.parse.urlencode({"sp": permissions, "se": end, "sv": VERSION, "sr": "c",
                                       "sig": base64.b64encode(mac).decode()})


@pytest.fixture(scope="session")
def azurite():
    install()
    server, folder = servers.start_one(Azurite)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
