"""What comes out is what was there: a tree of everything odd, through the mount and `restore`."""
import ctypes
import errno
import os
import random
import subprocess
import time

import pytest

import harness
import oddtree

pytestmark = pytest.mark.root

DATE = "2025-06-30"
WIDE = 100_000 if harness.FULL else 8_000


class OddRepo:
    """A repository that holds one snapshot of the odd tree."""

    def __init__(self, folder):
        self.tillfs = harness.Tillfs(folder / "home")
        self.repo = harness.Repo(self.tillfs, folder)
        self.tree = folder / "odd"
        oddtree.build(self.tree, WIDE)
        self.source = oddtree.scan(self.tree)
        begin = time.monotonic()
        self.repo.backup("--date", DATE, "odd", cwd=folder)
        self.backup_seconds = time.monotonic() - begin


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fidelity")
    yield OddRepo(folder)
    # Python's own rmtree() can't go below PATH_MAX.
    subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


@pytest.fixture(scope="module")
def mount(odd):
    with odd.repo.mounted() as folder:
        yield folder
    assert odd.tillfs.sanitizer_reports() == ""


@pytest.fixture(scope="module")
def view(mount):
    """The odd tree as the mount shows it."""
    return harness.snapshot_folder(mount, DATE) / "odd"


def copy_without_long_path(tree, to):
    """`cp -a` of all that cp can reach."""
    to.mkdir()
    for part in sorted(os.listdir(tree)):
        if part != "long_path":
            subprocess.run(["cp", "-a", "--", tree / part, to], check=True, timeout=300)
    found = oddtree.scan(to)
    del found[b""]     # the folder copied into: its times are the copy's own
    return found


def test_the_mount_shows_everything(odd, view):
    assert oddtree.differences(odd.source, oddtree.scan(view)) == []


def test_cp_from_the_mount_equals_cp_from_the_source(odd, view, folder):
    expected = copy_without_long_path(odd.tree, folder / "from-source")
    actual = copy_without_long_path(view, folder / "from-mount")
    assert oddtree.differences(expected, actual) == []


def test_restore_brings_everything_back(odd, folder):
    odd.repo.restore(f"{DATE}:odd", folder / "back", "--verify", timeout=300)
    [back] = (path for path in (folder / "back", folder / "back" / "odd")
              if (path / "types").exists())
    assert oddtree.differences(odd.source, oddtree.scan(back)) == []


def test_a_sparse_tebibyte_takes_seconds(odd, view):
    assert odd.backup_seconds < 60
    begin = time.monotonic()
    with open(view / "holes" / "one-tebibyte", "rb") as f:
        assert list(oddtree.data_ranges(f.fileno(), oddtree.TIB)) == \
            odd.source[b"holes/one-tebibyte"].data
        f.seek(oddtree.TIB - 5)
        assert f.read() == b"tail!"
        assert os.pread(f.fileno(), 100, oddtree.TIB // 3) == bytes(100)
    assert time.monotonic() - begin < 5
    assert os.stat(view / "holes" / "one-tebibyte").st_blocks * 512 < oddtree.MIB


MODIFYING_CALLS = {
    "open for writing": lambda v: os.open(v / "types/file", os.O_WRONLY),
    "open for both": lambda v: os.open(v / "types/file", os.O_RDWR),
    "open to truncate": lambda v: os.open(v / "types/file", os.O_RDONLY | os.O_TRUNC),
    "create": lambda v: os.open(v / "new", os.O_CREAT | os.O_WRONLY),
    "truncate": lambda v: os.truncate(v / "types/file", 0),
    "mkdir": lambda v: os.mkdir(v / "new"),
    "rmdir": lambda v: os.rmdir(v / "types/directory"),
    "unlink": lambda v: os.unlink(v / "types/file"),
    "rename": lambda v: os.rename(v / "types/file", v / "types/new"),
    "link": lambda v: os.link(v / "types/file", v / "types/new"),
    "symlink": lambda v: os.symlink("x", v / "new"),
    "mkfifo": lambda v: os.mkfifo(v / "new"),
    "mknod": lambda v: os.mknod(v / "new", 0o600),
    "chmod": lambda v: os.chmod(v / "types/file", 0o600),
    "chown": lambda v: os.chown(v / "types/file", 1, 1),
    "utime": lambda v: os.utime(v / "types/file", (0, 0)),
    "setxattr": lambda v: os.setxattr(v / "types/file", "user.new", b"x"),
    "removexattr": lambda v: os.removexattr(v / "xattrs/file", "user.bytes"),
}


@pytest.mark.parametrize("call", MODIFYING_CALLS)
def test_every_modifying_call_gives_erofs(view, call):
    with pytest.raises(OSError) as caught:
        MODIFYING_CALLS[call](view)
    assert errno.errorcode[caught.value.errno] == "EROFS"


@pytest.mark.parametrize("where", ["names", "wide", ".", ".."])
def test_a_name_of_256_bytes_is_too_long(view, where):
    with pytest.raises(OSError) as caught:
        os.lstat(view / where / ("n" * 256))
    assert errno.errorcode[caught.value.errno] == "ENAMETOOLONG"


def test_an_unknown_name_is_not_there(view):
    with pytest.raises(FileNotFoundError):
        os.lstat(view / "wide" / "receipt-nobody-wrote")


def test_statfs_tells_sensible_figures(view):
    st = os.statvfs(view)
    assert st.f_namemax == 255
    assert st.f_bsize >= 512 and st.f_frsize >= 512
    assert st.f_blocks > 0 and st.f_files > 0
    assert st.f_bfree == st.f_bavail == 0
    assert st.f_flag & os.ST_RDONLY and st.f_flag & os.ST_NOSUID and st.f_flag & os.ST_NODEV


class Directory:
    """opendir() and its kin, which Python's os module hides."""

    class Dirent(ctypes.Structure):
        _fields_ = [("ino", ctypes.c_ulong), ("off", ctypes.c_long), ("reclen", ctypes.c_ushort),
                    ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]

    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.POINTER(Dirent)
    libc.telldir.restype = ctypes.c_long

    def __init__(self, path):
        self.stream = ctypes.c_void_p(self.libc.opendir(os.fsencode(path)))
        assert self.stream.value, f"opendir {path}"

    def tell(self):
        return self.libc.telldir(self.stream)

    def seek(self, position):
        self.libc.seekdir(self.stream, ctypes.c_long(position))

    def next_name(self):
        entry = self.libc.readdir(self.stream)
        return entry.contents.name if entry else None

    def positions(self):
        """[(position, name that is read there)] from here to the end."""
        found = []
        while True:
            position, name = self.tell(), self.next_name()
            if name is None:
                return found
            found.append((position, name))

    def close(self):
        self.libc.closedir(self.stream)


@pytest.mark.parametrize("where", ["wide", "names"])
def test_directory_order_and_seekdir_are_stable(odd, view, where):
    first, second = Directory(view / where), Directory(view / where)
    positions = first.positions()
    assert second.positions() == positions
    names = [name for _, name in positions]
    assert len(set(names)) == len(names)
    assert len(names) == len(os.listdir(odd.tree / where)) + 2       # and . and ..
    for position, name in random.Random(1).sample(positions, min(200, len(positions))):
        first.seek(position)
        assert first.next_name() == name
    first.close()
    second.close()


def test_inode_numbers_are_unique_and_the_same_at_every_mount(odd, view):
    def inodes(tree):
        return {path: path.lstat().st_ino
                for part in ("types", "hard_links", "names") for path in (tree / part).rglob("*")}

    first = inodes(view)
    with odd.repo.mounted() as other_mount:
        other = harness.snapshot_folder(other_mount, DATE) / "odd"
        second = {view / path.relative_to(other): ino for path, ino in inodes(other).items()}
    assert first == second
    alone = [ino for path, ino in first.items() if path.is_dir() or path.lstat().st_nlink == 1]
    assert len(set(alone)) == len(alone)


def test_an_unchanged_odd_tree_costs_next_to_nothing_again(odd, folder):
    before = sum((odd.repo.store / key).stat().st_size for key in odd.repo.objects())
    odd.repo.backup("--date", "2025-07-01", "odd", cwd=odd.tree.parent)
    after = sum((odd.repo.store / key).stat().st_size for key in odd.repo.objects())
    assert after - before < 64 * oddtree.KIB
    odd.repo.restore("2025-07-01:odd", folder / "back", timeout=300)
    [back] = (path for path in (folder / "back", folder / "back" / "odd")
              if (path / "types").exists())
    assert oddtree.differences(odd.source, oddtree.scan(back)) == []
