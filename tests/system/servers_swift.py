"""OpenStack's Swift with its S3 interface, one of each server: with TILLFS_FULL only."""
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest

import servers

SECRET = "a-secret-of-the-tests"
SERVERS = ("account", "container", "object")
PROGRAMS = [f"swift-{name}-server" for name in (*SERVERS, "proxy")] + ["swift-ring-builder", "memcached"]

HASHES = """
[swift-hash]
swift_hash_path_suffix = tillfs
swift_hash_path_prefix = tests
[storage-policy:0]
name = only
default = yes
"""

SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {etc}
devices = {devices}
mount_check = false
workers = 0
disable_fallocate = true
log_address = {folder}/nowhere
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""

PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {etc}
workers = 0
log_address = {folder}/nowhere
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth bulk symlink slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
error_suppression_limit = 1000000
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_shop_till = {secret} .admin
[filter:bulk]
use = egg:swift#bulk
[filter:symlink]
use = egg:swift#symlink
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
"""


class Swift:
    """Needs a file system with extended attributes for its folder, and no other thing."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = servers.Processes(folder)
        self.port, self.memcached = servers.free_port(), servers.free_port()
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.etc = self.folder / "etc"
        (self.folder / "devices" / "d1").mkdir(parents=True)
        self.etc.mkdir()
        (self.etc / "swift.conf").write_text(HASHES)
        how = {"user": self.user, "etc": self.etc, "folder": folder, "devices": self.folder / "devices"}
        for name in SERVERS:
            port = servers.free_port()
            (self.etc / f"{name}-server.conf").write_text(SERVER.format(name=name, port=port, **how))
            self.make_ring(name, port)
        (self.etc / "proxy-server.conf").write_text(PROXY.format(
            port=self.port, memcached=self.memcached, secret=SECRET, **how))
        self.client = servers.S3(self.port, "shop:till", SECRET)

    def make_ring(self, name, port):
        for step, codes in ((("create", "4", "1", "1"), (0,)),
                            (("add", f"r1z1-127.0.0.1:{port}/d1", "1"), (0,)),
                            (("rebalance",), (0, 1))):      # 1: with a remark
            done = subprocess.run(["swift-ring-builder", f"{name}.builder", *step], cwd=self.etc,
                                  capture_output=True, text=True, timeout=servers.START_LIMIT)
            assert done.returncode in codes, done.stdout + done.stderr

    def start(self):
        children = [self.processes.start("memcached", "memcached", "-u", self.user, "-l", "127.0.0.1",
                                         "-p", str(self.memcached), "-m", "16")]
        for name in (*SERVERS, "proxy"):
            children.append(self.processes.start(name, f"swift-{name}-server",
                                                 self.etc / f"{name}-server.conf",
                                                 env={**os.environ, "SWIFT_DIR": str(self.etc)}))
        return servers.await_answer(self.answers, children)

    def answers(self):
        """All of them: the proxy is up before the others are."""
        if not servers.http_answers(self.port):
            return False
        try:
            self.client.request("GET", "")
            return True
        except (OSError, AssertionError):
            return False

    def stop(self):
        self.processes.stop()

    def url(self, bucket, prefix="repo", **params):
        query = "&".join(f"{k}={v}" for k, v in {"endpoint": f"http://127.0.0.1:{self.port}", **params}.items())
        return f"s3://{bucket}/{prefix}?{query}"


@pytest.fixture(scope="session")
def swift():
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    assert not missing, f"not installed: {missing} (scripts/test --full installs them)"
    server, folder = servers.start_one(Swift)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
