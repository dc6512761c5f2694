"""A backup to a distant server that is broken off in the middle, and run again.

Packs that the server has whole are sent once, also those whose answer never came: three are under
way at the moment of the break.
"""
import os
import pathlib
import signal
import time

import pytest

import harness
from faultproxy import HttpProxy
from servers_dav import nginx  # noqa: F401 - a fixture

LIMIT = 120          # seconds after which something hangs
PACK = 16 << 20
ARRIVED, UNDERWAY = 3, 3
SLACK = 8 << 20      # directories, padding, and what a snapshot takes: less than a pack
STUCK = 15           # seconds without a further request
HASTY = ("--timeout", "4")


class Uploads:
    """What a backup sends through a proxy to a server, which all has its end at the pack's name."""

    def __init__(self, server_port, env, url, sizes, finishing):
        self.proxy = HttpProxy(server_port, wait=60)
        self.env, self.sizes, self.finishing = env, sizes, finishing
        self.url = url(self.proxy.port)
        self.sent = 0           # bytes, whatever became of them
        self.finished = 0       # requests that give a pack its name
        self.last = time.monotonic()

    def see(self, request):
        """Of each request: whether it is one to be held."""
        if request.words[0] == "PUT":
            self.sent += len(request.body)
        if request.words[0] == self.finishing and "/packs/" in request.words[1] + request.header("destination", ""):
            self.finished += 1
            self.last = time.monotonic()
            return self.finished > ARRIVED
        return False

    def held(self, fault, backup):
        """Whether all that can be are under way.  Who overtook a pack that is held waits for it, so
        that there may be fewer.
        """
        return (fault.met >= UNDERWAY or backup.poll() is not None
                or (fault.met > 0 and time.monotonic() > self.last + STUCK))


@pytest.fixture(params=["s3", "dav"])
def uploads(request, folder):
    if request.param == "s3":
        ceph = request.getfixturevalue("ceph")
        user = ceph.user("resume")
        bucket = user.new_bucket()
        made = Uploads(ceph.port, user.env, lambda port: ceph.url(bucket, host=f"127.0.0.1:{port}"),
                       lambda: user.sizes(bucket, "repo/packs/"), "PUT")
    else:
        server = request.getfixturevalue("nginx")
        root = server.root / folder.name / "packs"
        made = Uploads(server.port, server.env, lambda port: server.url(f"/dav/{folder.name}", port=port),
                       lambda: [path.stat().st_size for path in root.rglob("*") if path.is_file()], "MOVE")
    yield made
    made.proxy.close()


@pytest.fixture
def repo(tillfs, folder, uploads):
    tillfs.env.update(uploads.env)
    return harness.Repo(tillfs, folder, url=uploads.url)


@pytest.fixture
def shop(folder):
    """What fills six packs and a little: three arrive, three are on their way."""
    data = os.urandom((ARRIVED + UNDERWAY) * PACK + PACK // 2)
    third = len(data) // 3
    harness.write_files(folder / "shop", {f"{i}.bin": data[i * third:(i + 1) * third] for i in range(3)})
    return folder / "shop"


def start(repo, shop, *args):
    return repo.tillfs.start(*repo.backup_arguments(shop, *args))


def check_second_run(repo, uploads, shop):
    """It sends what the server hasn't got, and that alone; everything is there once."""
    uploads.proxy.clear()
    size = sum(path.stat().st_size for path in shop.iterdir())
    there, uploads.sent = sum(uploads.sizes()), 0
    done = repo.backup(shop)
    assert "gone from the store" not in done.stderr
    assert uploads.sent <= size - there + SLACK
    assert sum(uploads.sizes()) <= size + SLACK
    repo.restore("latest", repo.folder / "back")
    assert harness.read_tree(repo.folder / "back" / shop.relative_to("/")) == harness.read_tree(shop)
    repo.check("--read-data")
    # Broken off, it left nothing that a third run would send, or read again.
    uploads.sent = 0
    repo.backup(shop)
    assert uploads.sent <= SLACK


@pytest.mark.parametrize("kind", ["deaf", "silence"] if harness.FULL else ["deaf"])
def test_killed_with_three_packs_under_way(repo, uploads, shop, kind):
    fault = uploads.proxy.fault(kind, match=uploads.see)
    backup = start(repo, shop, "--timeout", "600")
    try:
        harness.wait_until(lambda: uploads.held(fault, backup), LIMIT)
        arrived = uploads.finished - (fault.met if kind == "silence" else 0)
        # The server has a pack a little after it was asked.
        harness.wait_until(lambda: len(uploads.sizes()) == arrived, LIMIT)
    finally:
        backup.kill()
        backup.communicate(timeout=LIMIT)
    assert backup.returncode == -signal.SIGKILL
    assert repo_is_empty(uploads, repo)
    check_second_run(repo, uploads, shop)


def repo_is_empty(uploads, repo):
    uploads.proxy.clear()
    return repo.snapshots() == []


def test_the_link_breaks_for_longer_than_the_timeout(repo, uploads, shop):
    fault = uploads.proxy.fault("deaf", match=uploads.see)
    backup = start(repo, shop, *HASTY)
    try:
        harness.wait_until(lambda: uploads.held(fault, backup), LIMIT)
        harness.wait_until(lambda: len(uploads.sizes()) == uploads.finished, LIMIT)
        uploads.proxy.down()
        _, told = backup.communicate(timeout=LIMIT)
    finally:
        backup.kill()
        backup.wait()
        uploads.proxy.clear()
        uploads.proxy.up()
    assert backup.returncode == 1 and "connect" in told, told
    check_second_run(repo, uploads, shop)
