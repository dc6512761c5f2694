"""A mount on a distant store while the way there, or the server, misbehaves.

For each fault: what passes by itself costs nothing but time; what lasts is an error within the
deadline, which says why; once it is over the same mount works again, and its cache on disk has
nothing wrong in it.  The servers are real: Ceph's S3 gateway, nginx with WebDAV, sshd.
"""
import contextlib
import errno
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

import harness
from faultproxy import HttpProxy, RandomFaults, TcpProxy
from servers_dav import nginx  # noqa: F401 - fixtures
from servers_sftp import sshd  # noqa: F401

DATE = "2026-11-20"
LIMIT = 90           # seconds after which something hangs
PATIENT = ("--timeout", "60")
HASTY = ("--timeout", "3")
SOAK_SECONDS = int(os.environ.get("TILLFS_SOAK_SECONDS", 1800))


def within(limit, what):
    """Run what may hang; it must not."""
    result = []

    def run():
        try:
            result.append((what(), None))
        except Exception as e:  # pylint: disable=broad-except
            result.append((None, e))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit)
    assert result, f"hangs for more than {limit} s"
    value, failure = result[0]
    if failure is not None:
        raise failure
    return value


class Far:
    """A repository with one snapshot on a server, and a proxy on the way to it."""

    def __init__(self, folder, proxy, url_through, url_direct, env, setup=lambda tillfs: None):
        self.folder, self.proxy, self.url = folder, proxy, url_through
        self.tillfs = harness.Tillfs(folder / "home")
        self.tillfs.env.update(env)
        setup(self.tillfs)
        self.shop = folder / "shop"
        harness.write_files(self.shop, {f"day/{i:02}.db": os.urandom(200_000) for i in range(20)})
        harness.write_files(self.shop, {f"notes/{i:03}.txt": f"note {i}\n" * 50 for i in range(100)})
        self.repo = harness.Repo(self.tillfs, folder, url=url_direct)
        self.repo.backup(self.shop, "--date", DATE, "--time", f"{DATE}T22:00:00Z")
        self.expected = harness.read_tree(self.shop)
        self.caches = 0

    def new_cache(self):
        self.caches += 1
        return self.folder / f"cache-{self.caches}"

    @contextlib.contextmanager
    def mounted(self, *args, env=()):
        """As the tests see it: the folder of the snapshot's shop, and of the mount."""
        with harness.mount_point(self.folder) as mount:
            command = ("mount", self.url, mount, "-i", self.repo.admin, *args)
            # Short time limits on a busy machine; a mount before that is still going away.
            harness.wait_until(lambda: self.tillfs.run(*command, env=env).returncode == 0, LIMIT)
            shop = harness.snapshot_folder(mount, DATE) / self.shop.relative_to("/")
            yield shop, mount

    def read_all(self, shop):
        return within(LIMIT, lambda: harness.read_tree(shop))

    def check_recovery(self, shop, expected=None):
        """What failed works again, by itself, and everything is right."""
        def works():
            try:
                return self.read_all(shop) == (expected or self.expected)
            except OSError:
                return False
        harness.wait_until(works, LIMIT)

    def check_cache(self, cache):
        """Everything is there without the server, and right."""
        self.proxy.down()
        try:
            with self.mounted("--cache", cache, "--offline") as (shop, _):
                assert self.read_all(shop) == self.expected
        finally:
            self.proxy.up()


def log_of(mount):
    return (mount / ".tillfs" / "log").read_text()


@pytest.fixture(scope="module")
def module_folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="tillfs-faults-"))
    yield path
    subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)


@contextlib.contextmanager
def far_store(proxy, folder, name, **how):
    place = folder / name
    place.mkdir()
    try:
        far = Far(place, proxy, **how)
        yield far
        assert far.tillfs.sanitizer_reports() == ""
    finally:
        proxy.close()


@pytest.fixture(scope="module")
def s3_store(ceph, module_folder):
    user = ceph.user("faults")
    bucket = user.new_bucket()
    proxy = HttpProxy(ceph.port)
    with far_store(proxy, module_folder, "s3", env=user.env, url_direct=ceph.url(bucket),
                   url_through=ceph.url(bucket, host=f"127.0.0.1:{proxy.port}")) as far:
        yield far


@pytest.fixture(scope="module")
def dav_store(nginx, module_folder):
    proxy = HttpProxy(nginx.port, wait=60)
    with far_store(proxy, module_folder, "dav", env=nginx.env, url_direct=nginx.url("/dav/faults"),
                   url_through=nginx.url("/dav/faults", port=proxy.port)) as far:
        yield far


@pytest.fixture(scope="module")
def sftp_store(sshd, module_folder):
    proxy = TcpProxy(sshd.port)
    path = module_folder / "sftp-stored"
    how = {"hostkey": sshd.fingerprint(), "key": sshd.key}
    # libcurl 7.88 forgets the name of the home folder of a connection that it closes in vain; and a
    # file that excuses this leak alone can't be read in the mount's sandbox.
    env = {"LSAN_OPTIONS": "detect_leaks=0"}
    with far_store(proxy, module_folder, "sftp", env=env, url_direct=sshd.url(path, **how),
                   url_through=sshd.url(path, port=proxy.port, **how)) as far:
        yield far


@pytest.fixture(params=["s3", "dav"])
def far(request):
    """Where the server makes a difference, both that speak HTTP."""
    store = request.getfixturevalue(f"{request.param}_store")
    yield store
    store.proxy.clear()


@pytest.fixture
def s3(s3_store):
    yield s3_store
    s3_store.proxy.clear()


# ---- what passes

PASSING = {
    "reset": {},
    "truncate": {},
    "no HTTP": {},
    "corrupt": {"times": 1},          # what arrives damaged is asked for once more
    "wrong range": {},
    "another range": {"times": 1},
    "500": {"kind": "status", "code": 500},
    "503": {"kind": "status", "code": 503, "headers": {"Retry-After": "1"}},
    "429": {"kind": "status", "code": 429, "headers": {"Retry-After": "1"}},
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_is_not_noticed(s3, name):
    how = dict(PASSING[name])
    cache = s3.new_cache()
    with s3.mounted(*PATIENT, "--cache", cache) as (shop, _):
        fault = s3.proxy.fault(how.pop("kind", name), times=how.pop("times", 2), match=is_pack, **how)
        assert s3.read_all(shop) == s3.expected
        assert fault.met > 0
    s3.check_cache(cache)


def is_pack(request):
    return HttpProxy.is_data(request) and "/packs/" in request.words[1]


def test_the_whole_object_in_place_of_a_range(far):
    """Servers may ignore a range.  That costs traffic, and is no reason to fail."""
    with far.mounted(*PATIENT) as (shop, _):
        fault = far.proxy.fault("whole", match=is_pack)
        assert far.read_all(shop) == far.expected
        assert fault.met > 0


def test_a_pause_in_the_middle(s3):
    """Silence ends an attempt, early enough for another one."""
    with s3.mounted("--timeout", "12") as (shop, _):
        fault = s3.proxy.fault("stall", times=1, match=is_pack)
        s3.check_recovery(shop)
        assert fault.met > 0


# ---- what lasts

LASTING = {
    "stall": ({}, "nothing has come|no answer within"),
    "silence": ({}, "nothing has come|no answer within"),
    "reset": ({}, "reset|closed|no answer within"),
    "corrupt": ({}, "hash"),
    "busy": ({"kind": "status", "code": 503, "headers": {"Retry-After": "3600"}}, "left alone|no answer within"),
    "expired": ({"kind": "status", "code": 403,
                 "body": "<Error><Code>ExpiredToken</Code><Message>It has expired.</Message></Error>"},
                "ExpiredToken"),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_is_told_and_gone_when_it_is_over(s3, name):
    how, told = LASTING[name]
    how, cache = dict(how), s3.new_cache()
    with s3.mounted(*HASTY, "--cache", cache) as (shop, mount):
        fault = s3.proxy.fault(how.pop("kind", name), match=is_pack, **how)
        with pytest.raises(OSError) as failure:
            s3.read_all(shop)
        assert failure.value.errno in (errno.ETIMEDOUT, errno.EIO, errno.EACCES)
        assert fault.met > 0
        assert re.search(told, log_of(mount)), log_of(mount)
        s3.proxy.clear()
        s3.check_recovery(shop)
    s3.check_cache(cache)


def test_a_server_that_is_away(far):
    cache = far.new_cache()
    with far.mounted(*HASTY, "--cache", cache) as (shop, mount):
        one = shop / "notes" / "000.txt"
        assert one.read_bytes() == far.expected["notes/000.txt"]
        far.proxy.down()
        with pytest.raises(OSError):
            far.read_all(shop)
        assert "connect" in log_of(mount)
        assert one.read_bytes() == far.expected["notes/000.txt"]   # what it has, it serves
        far.proxy.up()
        far.check_recovery(shop)
    far.check_cache(cache)


def test_who_waits_for_a_silent_server_keeps_nobody_and_can_be_killed(s3):
    """More of them than a mount has threads at first.  The kernel lets who looks a name up go only
    when there is an answer, whatever he is killed with."""
    with s3.mounted("--timeout", "60") as (shop, mount):
        fault = s3.proxy.fault("silence", match=lambda request: True)
        waiting = [subprocess.Popen(["stat", mount / "history" / "till-03" / f"{number}"],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
                   for number in range(30)]
        try:
            harness.wait_until(lambda: fault.met > 0)
            within(LIMIT / 3, (mount / ".tillfs" / "status.json").read_text)
            assert all(process.poll() is None for process in waiting)
            for number, process in enumerate(waiting):
                process.send_signal((signal.SIGKILL, signal.SIGINT)[number % 2])
            for process in waiting:
                assert process.wait(LIMIT / 3) < 0
        finally:
            s3.proxy.clear()
            for process in waiting:
                process.kill()
                process.wait()
        s3.check_recovery(shop)


@pytest.mark.parametrize("how", ["SIGTERM", "umount"])
def test_a_mount_ends_soon_while_its_server_is_silent(s3, how):
    with s3.mounted("--timeout", str(2 * LIMIT)) as (shop, mount):
        [serving, *_] = harness.serving(mount)
        fault = s3.proxy.fault("silence")
        reader = subprocess.Popen(["cat", shop / "notes" / "001.txt", shop / "day" / "00.db"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            harness.wait_until(lambda: fault.met > 0)
            if how == "SIGTERM":
                os.kill(serving, signal.SIGTERM)
            else:
                s3.tillfs("umount", "--lazy", mount)
                reader.kill()               # an open file keeps it
            harness.wait_until(lambda: not harness.serving(mount), LIMIT / 2)
            assert not os.path.ismount(mount)
            assert reader.wait(LIMIT / 2) != 0
        finally:
            s3.proxy.clear()
            reader.kill()
            reader.wait()


def test_commands_say_that_a_server_is_away(far):
    far.proxy.down()
    try:
        done = far.tillfs("snapshots", "-r", far.url, "-i", far.repo.admin, *HASTY, code=1)
    finally:
        far.proxy.up()
    assert "connect" in done.stderr


def test_the_budget_counts_what_came_and_was_of_no_use(far):
    """Answers that break off use up the link as others do."""
    with far.mounted("--timeout", "20", "--budget", "2M") as (shop, mount):
        paths = sorted((shop / "day").iterdir())
        far.proxy.fault("truncate", match=HttpProxy.is_data)

        def refused():
            for path in paths:
                with contextlib.suppress(TimeoutError):
                    try:
                        path.read_bytes()
                    except OSError as e:
                        if e.errno == errno.EDQUOT:
                            return True
            return False

        harness.wait_until(refused, LIMIT)
        far.proxy.clear()
        [store] = json.loads((mount / ".tillfs" / "status.json").read_text())["stores"]
        assert 1 << 20 < store["bytes_fetched"] <= (2 << 20) + 100_000, store
        harness.wait_until(refused, LIMIT)      # the hour isn't over
        assert log_of(mount).count("budget: 2.0 MiB have been read from") == 1


def test_what_is_counted_is_what_came(far):
    before = far.proxy.answered
    with far.mounted(*PATIENT, "--refresh", "0") as (shop, mount):
        assert far.read_all(shop) == far.expected
        [store] = json.loads((mount / ".tillfs" / "status.json").read_text())["stores"]
        # The mount itself is a part of it; another one may have been tried before.
        came = far.proxy.answered - before
        assert 0.9 * came <= store["bytes_fetched"] <= came


# ---- restarts


def test_a_server_restarted_in_the_middle_of_a_copy(dav_store, nginx, folder):
    far = dav_store
    with far.mounted(*PATIENT) as (shop, _):
        slow = far.proxy.fault("slow", seconds=0.1)
        copy = subprocess.Popen(["cp", "-a", shop, folder / "copy"])
        try:
            harness.wait_until(lambda: slow.met > 1, LIMIT)
            nginx.restart()
            assert copy.wait(LIMIT) == 0
        finally:
            copy.kill()
            copy.wait()
    assert harness.read_tree(folder / "copy") == far.expected


def test_a_backup_goes_on_through_resets(s3, folder):
    """Each upload is broken twice before it gets through; what is stored is whole."""
    far, shop = s3, folder / "shop"
    harness.write_files(shop, {f"{i}.bin": os.urandom(100_000) for i in range(5)})
    fault = far.proxy.fault("reset", times=2, match=lambda r: r.words[0] == "PUT")
    far.tillfs("backup", "-r", far.url, "-w", far.repo.writer("till-03"), shop, "--date",
               "2026-11-21", "--time", "2026-11-21T22:00:00Z", *PATIENT)
    assert fault.met == 2
    far.repo.restore("latest", folder / "back")
    assert harness.read_tree(folder / "back" / shop.relative_to("/")) == harness.read_tree(shop)


# ---- names and certificates


def context(certificates):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates.pem, certificates.key)
    return made


def test_a_certificate_that_turns_wrong(dav_store, nginx, certificates, folder):
    """Somebody with a certificate of his own steps in between: nothing of his is read."""
    from servers import Certificates
    far, other = dav_store, folder / "other"
    other.mkdir()
    proxy = HttpProxy(nginx.port, tls=context(certificates))
    direct, far.url = far.url, nginx.url("/dav/faults", tls=True, port=proxy.port)
    try:
        with far.mounted(*HASTY, "--cacert", certificates.ca) as (shop, mount):
            proxy.tls = context(Certificates(other))
            proxy.cut()
            asked = proxy.requests
            with pytest.raises(OSError):
                far.read_all(shop)
            assert "not to be trusted" in log_of(mount)
            assert proxy.requests == asked
            proxy.tls = context(certificates)
            far.check_recovery(shop)
    finally:
        far.url = direct
        proxy.close()


@pytest.mark.root
def test_a_name_that_cannot_be_resolved(dav_store, nginx, folder):
    """In a mount name space of its own, /etc/hosts knows the server, and then no more."""
    far, hosts = dav_store, folder / "hosts"
    name = "store.tillfs-test.invalid"
    hosts.write_text(f"127.0.0.1 localhost {name}\n")
    url = nginx.url("/dav/faults", host=name, port=far.proxy.port)
    inside = ("unshare", "-m", "sh", "-c", f'mount --bind "{hosts}" /etc/hosts && exec "$@"', "-")

    def cat(code):
        return far.tillfs("cat", "-r", url, "-i", far.repo.admin, *HASTY,
                          f"{DATE}:{far.shop}/notes/000.txt", prefix=inside, text=False, code=code)

    harness.wait_until(lambda: cat((0, 1)).stdout == far.expected["notes/000.txt"], LIMIT)
    hosts.write_text("127.0.0.1 localhost\n")
    assert b"resolve" in cat(1).stderr
    hosts.write_text(f"127.0.0.1 localhost {name}\n")
    harness.wait_until(lambda: cat((0, 1)).stdout == far.expected["notes/000.txt"], LIMIT)


# ---- SFTP, of which a proxy sees only bytes


@pytest.mark.parametrize("kind", ["reset", "corrupt"])
def test_sftp_a_broken_connection_is_made_anew(sftp_store, kind):
    far = sftp_store
    with far.mounted(*PATIENT) as (shop, _):
        far.proxy.cut()
        fault = far.proxy.fault(kind, times=3, at=30_000)
        assert far.read_all(shop) == far.expected
        assert fault.met > 0
        far.proxy.clear()


def test_sftp_a_stalled_connection_is_given_up(sftp_store):
    far = sftp_store
    with far.mounted(*HASTY) as (shop, _):
        far.proxy.cut()
        fault = far.proxy.fault("stall", at=30_000)
        with pytest.raises(OSError):
            far.read_all(shop)
        assert fault.met > 0
        far.proxy.clear()
        far.check_recovery(shop)


def test_sftp_a_server_that_is_away(sftp_store):
    far = sftp_store
    with far.mounted(*HASTY) as (shop, mount):
        far.proxy.down()
        try:
            with pytest.raises(OSError):
                far.read_all(shop)
            assert "connect" in log_of(mount)
        finally:
            far.proxy.up()
        far.check_recovery(shop)


# ---- clocks

CLOCK = r"""
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret);

	if (r == 0 && clock == CLOCK_REALTIME)
		ret->tv_sec += AHEAD;
	return r;
}
"""


def clock_library(folder, ahead):
    """What makes a process believe in another time.  (libfaketime hangs below ASan.)"""
    (folder / "clock.c").write_text(CLOCK)
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-shared", "-fPIC", f"-DAHEAD={ahead}",
                    "-o", folder / "clock.so", folder / "clock.c"], check=True)
    return folder / "clock.so"


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_off_by_a_day(s3, folder, days):
    """The server's time counts then, for all requests that were on their way too."""
    wrong = {"LD_PRELOAD": os.fspath(clock_library(folder, days * 86400))}
    harness.write_files(folder / "shop", {f"{i}.bin": os.urandom(100_000) for i in range(5)})
    far = (*s3.repo.access, *PATIENT)
    name = f"{DATE}:{s3.shop}/notes/000.txt"
    assert "000.txt" in s3.tillfs("ls", *far, f"{DATE}:{s3.shop}/notes", env=wrong).stdout
    done = s3.tillfs("cat", "-v", *far, name, text=False, env=wrong)
    assert done.stdout == s3.expected["notes/000.txt"]
    assert b"clock" in done.stderr
    s3.tillfs("backup", "-r", s3.url, "-w", s3.repo.writer("till-03"), folder / "shop", "--date",
              "2026-11-23", *PATIENT, env=wrong)
    s3.repo.restore("2026-11-23", folder / "back")
    assert harness.read_tree(folder / "back" / (folder / "shop").relative_to("/")) == \
        harness.read_tree(folder / "shop")
    with s3.mounted(*PATIENT, env=wrong) as (shop, mount):
        assert s3.read_all(shop) == s3.expected
        assert "clock" in log_of(mount)


# ---- long


@pytest.mark.skipif(not harness.FULL, reason="a soak, for --full")
def test_soak(s3, folder, capsys):
    """Random readers under random faults: every byte that is read is compared.

    What they read is more than the cache holds, and the kernel forgets it, so that it is asked for
    again and again.
    """
    date = "2026-11-22"
    harness.write_files(folder / "large", {f"{i:02}.db": os.urandom(1_500_000) for i in range(20)})
    s3.repo.backup(folder / "large", "--date", date, "--time", f"{date}T22:00:00Z")
    expected = harness.read_tree(folder / "large")
    seed = random.randrange(1 << 32)
    print("seed", seed)
    end = time.monotonic() + SOAK_SECONDS
    names, counts, wrong = sorted(expected), {"right": 0, "bytes": 0, "failed": 0}, []
    counting = threading.Lock()

    def reader(number, large):
        rnd = random.Random(seed + number)
        while time.monotonic() < end and not wrong:
            name = rnd.choice(names)
            try:
                with open(large / name, "rb") as f:
                    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    start = rnd.randrange(len(expected[name]))
                    length = rnd.choice((1, 4096, 100_000, 1 << 30))
                    f.seek(start)
                    data = f.read(length)
            except OSError:
                with counting:
                    counts["failed"] += 1
                continue
            if data != expected[name][start:start + length]:
                wrong.append((name, start, length))
                continue
            with counting:
                counts["right"] += 1
                counts["bytes"] += len(data)

    while time.monotonic() < end and not wrong:
        cache = s3.new_cache()
        with s3.mounted("--timeout", "10", "--cache", cache, "--cache-size", "16M",
                        "--memory", "16M") as (_, mount):
            large = harness.snapshot_folder(mount, date) / (folder / "large").relative_to("/")
            faults = RandomFaults(s3.proxy, 0.2, seed)
            try:
                readers = [threading.Thread(target=reader, args=(n, large)) for n in range(6)]
                for thread in readers:
                    thread.start()
                for thread in readers:
                    thread.join(SOAK_SECONDS + LIMIT)
                    assert not thread.is_alive(), "a reader hangs"
            finally:
                faults.end()
                with capsys.disabled():
                    print(f"soak of {SOAK_SECONDS} s: {counts}, faults met: {faults.met}")
            s3.check_recovery(large, expected)
        shutil.rmtree(cache)
    assert wrong == [] and faults.met > 0 and counts["right"] > 0
