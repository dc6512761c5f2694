"""Many threads at work at once: what a build with ThreadSanitizer looks at first.

Packs go up over several connections, come back over several, and two mounts with many readers share
one cache.  The way to the server is slow enough for requests to overlap, which is counted.
"""
import concurrent.futures
import os
import random
import threading

import pytest

import harness
from faultproxy import HttpProxy
from servers_dav import nginx  # noqa: F401 - fixture

pytestmark = pytest.mark.races

MIB = 1 << 20
DATE = "2026-11-20"
LIMIT = 60           # seconds; what takes longer hangs
READERS = 6
READS = 200 if harness.FULL else 25


class Overlaps(HttpProxy):
    """Knows how many requests for data were under way together: reads take a moment more, and the
    first pack on its way up waits for the second."""

    def __init__(self, port):
        self.under_way = self.most = 0
        self.changed = threading.Condition()
        super().__init__(port)
        self.fault("slow", match=self.moves_data, seconds=0.2)

    @staticmethod
    def moves_data(request):
        return HttpProxy.is_data(request) or len(request.body) > MIB

    def before(self, fault, request, client):
        with self.changed:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.changed.notify_all()
            if request.body:
                self.changed.wait_for(lambda: self.most > 1, LIMIT)

    def after(self, fault, request, answer, client):
        try:
            super().after(fault, request, answer, client)
        finally:
            with self.changed:
                self.under_way -= 1


@pytest.fixture
def proxy(nginx):
    proxy = Overlaps(nginx.port)
    yield proxy
    proxy.close()


@pytest.fixture
def far(nginx, proxy, tillfs, folder):
    """A snapshot of more than one pack, on a server."""
    tillfs.env.update(nginx.env)
    rng = random.Random(7)
    harness.write_files(folder / "shop", {
        **{f"large/{i:02}": rng.randbytes(6 * MIB) for i in range(8)},
        **{f"small/{i:03}": rng.randbytes(4000) for i in range(100)},
    })
    repo = harness.Repo(tillfs, folder, url=nginx.url(f"/dav/{folder.name}", port=proxy.port))
    repo.backup("shop", "--date", DATE, "--time", f"{DATE}T22:00:00Z", cwd=folder)
    repo.content = harness.read_tree(folder / "shop")
    return repo


def overlapped(proxy):
    """The most requests that were under way together since the last time."""
    most, proxy.most = proxy.most, 0
    return most


def test_packs_go_up_and_come_back_side_by_side(far, proxy, folder):
    assert overlapped(proxy) > 1
    far.restore("latest", folder / "back")
    assert overlapped(proxy) > 1
    assert harness.read_tree(folder / "back" / "shop") == far.content
    far.check("--read-data")
    assert overlapped(proxy) > 1


def test_two_mounts_with_many_readers_and_a_restore_share_a_cache(far, proxy, folder):
    names = sorted(far.content)
    cached = ("--cache", folder / "cache", "--cache-size", "24M")

    def read_at_random(mount, seed):
        rng = random.Random(seed)
        for _ in range(READS):
            name = rng.choice(names)
            begin, length = rng.randrange(len(far.content[name])), rng.choice((1, 5000, 300_000))
            with open(harness.snapshot_folder(mount, DATE) / "shop" / name, "rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                assert os.pread(f.fileno(), length, begin) == \
                    far.content[name][begin:begin + length], f"{name} at {begin}, {length} bytes"

    overlapped(proxy)
    with far.mounted(*cached, "--memory", "16M") as one, far.mounted(*cached) as two:
        with concurrent.futures.ThreadPoolExecutor(READERS) as threads:
            readers = [threads.submit(read_at_random, mount, seed)
                       for seed, mount in enumerate((one, two) * (READERS // 2))]
            far.restore("latest", folder / "back", *cached)
            for reader in readers:
                reader.result()
    assert overlapped(proxy) > 1
    assert harness.read_tree(folder / "back" / "shop") == far.content
