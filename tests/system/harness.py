"""Runs the real binary ($TILLFS, or build/tillfs): commands, repositories, mounts.

Whatever a sanitizer finds, in a command or in a mount's background process, fails the test: its
exit status is one that no test expects, and the `tillfs` fixture looks for its reports.
"""
import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TILLFS", str(TOP / "build" / "tillfs"))
POSGEN = str(TOP / "scripts" / "posgen")
FULL = bool(os.environ.get("TILLFS_FULL"))

TIME_LIMIT = 120     # seconds; a command that takes longer hangs
SANITIZER_EXIT = 99


class Tillfs:
    """The command line of one user, whose home and state lie in the test's own folder."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.state = self.home / "state"
        config = self.home / ".config" / "tillfs" / "tillfs.conf"
        config.parent.mkdir(parents=True)
        config.write_text(f"[tillfs]\nstate = {self.state}\n")
        reports = f"exitcode={SANITIZER_EXIT}:log_path={self.home}/sanitizer:halt_on_error=1"
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "ASAN_OPTIONS": reports, "TSAN_OPTIONS": reports,
            "UBSAN_OPTIONS": reports + ":print_stacktrace=1",
        }

    def __call__(self, *args, code=0, **how):
        """Run a command to its end; its exit status must be @code (or one of several)."""
        done = self.run(*args, **how)
        codes = code if isinstance(code, tuple) else (code,)
        assert done.returncode in codes, (
            f"exit status {done.returncode}, wanted {code}\nrepro: {shlex.join(done.args)}\n"
            f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done

    def run(self, *args, env=(), timeout=TIME_LIMIT, text=True, prefix=(), **how):
        how.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([*prefix, BINARY, *map(os.fspath, args)], env={**self.env, **dict(env)},
                              capture_output=True, text=text, timeout=timeout, **how)

    def start(self, *args, **how):
        how.setdefault("stdin", subprocess.DEVNULL)
        # A shell's background job, as a test run may be, ignores Ctrl-C, and its children with it.
        how.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        return subprocess.Popen([BINARY, *map(os.fspath, args)], env=self.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)

    def sanitizer_reports(self):
        return "\n".join(path.read_text(errors="replace") for path in self.home.glob("sanitizer.*"))


class Repo:
    """A repository in a folder, or at a URL; its admin and its enrolled writers."""

    def __init__(self, tillfs, folder, writers=("till-03",), url=None):
        self._place(tillfs, folder, url)
        tillfs("identity", "new", self.admin, "--no-passphrase")
        tillfs("init", self.url, "-i", self.admin)
        for name in writers:
            self.add_writer(name)

    @classmethod
    def at(cls, tillfs, folder):
        """One that is there already: a copy."""
        repo = cls.__new__(cls)
        repo._place(tillfs, folder)
        return repo

    def _place(self, tillfs, folder, url=None):
        self.tillfs = tillfs
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.store = self.folder / "store"
        self.url = url or f"file://{self.store}"
        self.admin = self.folder / "admin.key"
        self.access = ("-r", self.url, "-i", self.admin)

    def add_writer(self, name):
        self.tillfs("writer", "add", name, "--out", self.writer(name), *self.access)

    def writer(self, name):
        return self.folder / f"{name}.writer"

    def backup_arguments(self, *args, writer="till-03"):
        return ("backup", "-r", self.url, "-w", self.writer(writer), *args)

    def backup(self, *args, writer="till-03", **how):
        return self.tillfs(*self.backup_arguments(*args, writer=writer), **how)

    def snapshots(self):
        """As `snapshots --json` lists them, oldest first."""
        return json.loads(self.tillfs("snapshots", "--json", *self.access).stdout)

    def ls(self, *args, **how):
        return self.tillfs("ls", *self.access, *args, **how)

    def cat(self, what, **how):
        return self.tillfs("cat", *self.access, what, text=False, **how).stdout

    def restore(self, what, to, *args, **how):
        return self.tillfs("restore", *self.access, what, "--to", to, *args, **how)

    def check(self, *args, **how):
        return self.tillfs("check", *self.access, *args, **how)

    def objects(self, prefix=""):
        """Keys of all objects that begin with @prefix, in order."""
        keys = (str(p.relative_to(self.store)) for p in self.store.rglob("*") if p.is_file())
        return sorted(key for key in keys if key.startswith(prefix))

    @contextlib.contextmanager
    def mounted(self, *args):
        """The mount's folder; unmounted at the end whatever happens."""
        with mount_point(self.folder) as folder:
            self.tillfs("mount", self.url, folder, "-i", self.admin, *args)
            assert os.path.ismount(folder), "mount returned before the mount was there"
            yield folder


@contextlib.contextmanager
def mount_point(parent):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mnt-", dir=parent))
    try:
        yield folder
    finally:
        if is_in_mount_table(folder):
            subprocess.run(["fusermount3", "-u", "-z", folder], check=False)
        wait_until(lambda: not serving(folder))     # it may still write to its logs
        folder.rmdir()


def is_in_mount_table(folder):
    """Also when its server was killed, which os.path.ismount() takes for no mount."""
    return f" {folder} " in pathlib.Path("/proc/self/mounts").read_text()


def serving(mount):
    """Processes that were started for a mount."""
    def arguments(pid):
        try:
            return pathlib.Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
        except OSError:         # it has just ended
            return []
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and os.fsencode(mount) in arguments(pid)]


def snapshot_folder(mount, date):
    """The folder of the only snapshot of a date."""
    [folder] = (mount / "by-date" / date).iterdir()
    return folder


def wait_until(condition, seconds=30):
    """Poll a condition that another process makes true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"did not become true in {seconds} s"
        time.sleep(0.01)


def open_files(pid):
    """What a process has open now; descriptors come and go meanwhile."""
    folder, found = f"/proc/{pid}/fd", []
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"{folder}/{fd}"))
    return found


def write_files(folder, files):
    """Write {name: text or bytes} below a folder."""
    for name, content in files.items():
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def replace(path, content):
    """Put other bytes in place of a stored object's."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def flip_bit(path, offset, bit=0):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    replace(path, content)


def trade(folder, day, days=1, receipts=60, scans=2):
    """Add days of trade to a shop's folder."""
    subprocess.run([POSGEN, folder, "--from-day", str(day), "--days", str(days),
                    "--receipts", str(receipts), "--scans", str(scans)], check=True)


def read_tree(folder):
    """{relative path: content} of all regular files below a folder."""
    folder = pathlib.Path(folder)
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()}
