"""A tree of everything that file systems can hold, and the means to compare two such trees.

`build` makes it (root needed), `scan` describes a tree as {path: Entry}, going down by openat()
since some paths are longer than PATH_MAX, and `differences` says in words what isn't the same.
"""
import collections
import dataclasses
import hashlib
import os
import socket
import stat
import struct

KIB, MIB, TIB = 1 << 10, 1 << 20, 1 << 40

# Second and nanosecond where ext4's range of times begins and ends: 1901 and 2446.
OLDEST_NS = -(1 << 31) * 10**9
NEWEST_NS = ((3 << 32) + (1 << 31) - 1) * 10**9 + 999_999_999

BLOCK = 4096    # the granularity of holes


# ---- building


def build(root, wide=20_000):
    """Make the tree below the new folder @root, with one directory of @wide names."""
    os.mkdir(root)
    for make in (make_types, make_modes, make_owners, make_names, make_symlinks, make_hard_links,
                 make_holes, make_xattrs, make_deep, make_long_path, make_times):
        folder = os.path.join(root, make.__name__[len("make_"):])
        os.mkdir(folder)
        make(folder)
    make_wide(os.path.join(root, "wide"), wide)


def write(path, content=b"x"):
    with open(path, "wb") as f:
        f.write(content)
    return path


def make_types(d):
    write(f"{d}/file", b"content")
    write(f"{d}/empty", b"")
    os.mkdir(f"{d}/directory")
    os.symlink("file", f"{d}/symlink")
    os.mkfifo(f"{d}/fifo")
    here = os.open(d, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"/proc/self/fd/{here}/socket")     # sun_path is short, the test's folder may not be
    os.close(here)
    os.mknod(f"{d}/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(f"{d}/disk", stat.S_IFBLK | 0o660, os.makedev(4095, 1048575))
    os.mknod(f"{d}/overlay-whiteout", stat.S_IFCHR, os.makedev(0, 0))


def make_modes(d):
    for mode in (0o0000, 0o0001, 0o0444, 0o0777, 0o1755, 0o2755, 0o4755, 0o6711, 0o7777):
        os.chmod(write(f"{d}/file-{mode:04o}"), mode)
        os.mkdir(f"{d}/directory-{mode:04o}")
        os.chmod(f"{d}/directory-{mode:04o}", mode)


def make_owners(d):
    for owner in (0, 1, 65534, 65536, 2**31, 2**32 - 2):
        os.chown(write(f"{d}/user-{owner}"), owner, 0)
        os.chown(write(f"{d}/group-{owner}"), 0, owner)
        os.symlink("x", f"{d}/link-{owner}")
        os.chown(f"{d}/link-{owner}", owner, owner, follow_symlinks=False)


def make_names(d):
    d = os.fsencode(d)
    for byte in set(range(1, 256)) - set(b"/."):
        write(d + b"/" + bytes([byte]), bytes([byte]))
    for name in (b"...", b"..x", b"-rf", b" ", b"a\nb", b"\\", b"*?[", b"\xff" * 255, b"n" * 255,
                 "Käse.txt".encode(), b"K\xe4se.txt", b"\xed\xa0\x80"):
        if not os.path.exists(d + b"/" + name):
            write(d + b"/" + name, name)


def make_symlinks(d):
    for name, target in (("longest", "t" * 4095), ("dangling", "nowhere"), ("up", "../types/file"),
                         ("absolute", "/etc/hostname"), ("self", "self"), ("bytes", b"\xff\xfe\n")):
        os.symlink(target, os.fsencode(f"{d}/{name}") if isinstance(target, bytes) else f"{d}/{name}")


def make_hard_links(d):
    os.makedirs(f"{d}/a/b")
    os.mkdir(f"{d}/c")
    write(f"{d}/a/file", b"shared" * 1000)
    os.symlink("file", f"{d}/a/symlink")
    os.mkfifo(f"{d}/a/fifo")
    os.mknod(f"{d}/a/device", stat.S_IFCHR, os.makedev(1, 5))
    for name in ("file", "symlink", "fifo", "device"):
        for other in (f"{d}/a/b/{name}-2", f"{d}/c/{name}-3"):
            os.link(f"{d}/a/{name}", other, follow_symlinks=False)
    write(f"{d}/alone", b"shared" * 1000)      # the same content, but not linked


def make_holes(d):
    page = os.urandom(BLOCK)
    for name, size, pieces in (
            ("leading", 3 * BLOCK, [(2 * BLOCK, page)]),
            ("trailing", 64 * KIB, [(0, page)]),
            ("middle", 3 * MIB + 5, [(0, page), (3 * MIB, b"tail!")]),
            ("nothing-but-hole", 10 * MIB + 1, []),
            ("every-other-block", 64 * BLOCK, [(i * BLOCK, page) for i in range(0, 64, 2)]),
            ("zeros-are-data", 256 * KIB, [(0, bytes(256 * KIB))]),
            ("zeros-beside-hole", 128 * KIB, [(BLOCK, bytes(BLOCK)), (64 * KIB, page)]),
            ("unaligned", 5 * BLOCK + 77, [(100, b"p"), (4 * BLOCK + 9, b"q")]),
            ("one-tebibyte", TIB, [(0, page), (TIB // 2 + 3 * BLOCK, page), (TIB - 5, b"tail!")])):
        with open(f"{d}/{name}", "wb") as f:
            for offset, data in pieces:
                os.pwrite(f.fileno(), data, offset)
            os.ftruncate(f.fileno(), size)


def make_xattrs(d):
    write(f"{d}/file")
    os.mkdir(f"{d}/directory")
    os.symlink("file", f"{d}/symlink")
    os.mkfifo(f"{d}/fifo")
    for name in ("file", "directory", "symlink", "fifo"):
        os.setxattr(f"{d}/{name}", "trusted.overlay.opaque", b"y", follow_symlinks=False)
    os.setxattr(f"{d}/file", "user.empty", b"")
    os.setxattr(f"{d}/file", "user.bytes", bytes(range(256)))
    os.setxattr(f"{d}/file", "user." + "n" * 250, b"long name")
    os.setxattr(write(f"{d}/big"), "user.big", os.urandom(3000))
    # cap_net_bind_service, effective and permitted: VFS_CAP_REVISION_2.
    os.setxattr(write(f"{d}/capable"), "security.capability",
                struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
    os.setxattr(write(f"{d}/acl"), "system.posix_acl_access", acl(user=1234))
    os.setxattr(f"{d}/directory", "system.posix_acl_default", acl(user=4321))


def acl(user):
    """rwx for the owner, rw- for one more user, r-x for the group, masked to r--."""
    entries = [(0x01, 7, 2**32 - 1), (0x02, 6, user), (0x04, 5, 2**32 - 1), (0x10, 4, 2**32 - 1),
               (0x20, 0, 2**32 - 1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def make_deep(d, levels=300):
    at = os.open(d, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=at)
        at, above = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(above)
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def make_long_path(d, levels=30):
    at = os.open(d, os.O_RDONLY)
    for level in range(levels):
        name = f"{level:03d}" + "p" * 200
        os.mkdir(name, dir_fd=at)
        at, above = os.open(name, os.O_RDONLY, dir_fd=at), at
        os.close(above)
    f = os.open("beyond-path-max", os.O_CREAT | os.O_WRONLY, dir_fd=at)
    os.write(f, b"reached")
    os.close(f)
    os.symlink("beyond-path-max", "link", dir_fd=at)
    os.close(at)


def make_times(d):
    for name, ns in (("oldest", OLDEST_NS), ("before-1970", -1), ("epoch", 0), ("ns", 123456789),
                     ("after-2038", 2**31 * 10**9 + 1), ("newest", NEWEST_NS)):
        write(f"{d}/{name}")
        os.symlink("x", f"{d}/{name}-link")
        os.mkdir(f"{d}/{name}-directory")
        for kind in ("", "-link", "-directory"):
            os.utime(f"{d}/{name}{kind}", ns=(ns, ns), follow_symlinks=False)


def make_wide(d, count):
    os.mkdir(d)
    for i in range(count):
        os.close(os.open(f"{d}/receipt-{i * 7919 % count:06d}.txt", os.O_CREAT | os.O_WRONLY))


# ---- describing


@dataclasses.dataclass
class Entry:
    kind: int
    mode: int
    uid: int
    gid: int
    nlink: int
    mtime_ns: int
    rdev: int
    size: int = None        # of what isn't a directory
    target: bytes = None
    data: list = None       # [(begin, end)] between the holes
    digest: str = None
    xattrs: dict = None
    linked: tuple = ()      # all paths of this inode


def scan(root):
    """{path below @root as bytes: Entry}, @root itself being b""."""
    found, inodes = {}, collections.defaultdict(list)
    root = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    describe(root, ".", b"", found, inodes)
    os.close(root)
    for paths in inodes.values():
        for path in paths:
            found[path].linked = tuple(sorted(paths))
    return found


def describe(parent, name, path, found, inodes):
    st = os.lstat(name, dir_fd=parent)
    entry = Entry(stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid,
                  st.st_nlink, st.st_mtime_ns, st.st_rdev)
    found[path] = entry
    entry.xattrs = read_xattrs(f"/proc/self/fd/{parent}/{name}")
    if entry.kind == stat.S_IFDIR:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        for child in os.listdir(fd):
            describe(fd, child, os.path.join(path, os.fsencode(child)), found, inodes)
        os.close(fd)
        return
    entry.size = st.st_size
    if st.st_nlink > 1:
        inodes[st.st_dev, st.st_ino].append(path)
    if entry.kind == stat.S_IFLNK:
        entry.target = os.fsencode(os.readlink(name, dir_fd=parent))
    elif entry.kind == stat.S_IFREG:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
        entry.data = list(data_ranges(fd, st.st_size))
        entry.digest = digest(fd, entry.data)
        os.close(fd)


def read_xattrs(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)}


def data_ranges(fd, size):
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:             # ENXIO: nothing but hole from here on
            return
        end = os.lseek(fd, begin, os.SEEK_HOLE)
        yield begin, end


def digest(fd, ranges):
    content = hashlib.sha256()
    for begin, end in ranges:
        while begin < end:
            piece = os.pread(fd, min(end - begin, MIB), begin)
            if not piece:
                raise OSError(f"file ends at {begin}, its data should end at {end}")
            content.update(piece)
            begin += len(piece)
    return content.hexdigest()


def differences(expected, actual, ignore=()):
    """What isn't the same, a sentence each, the first fifty."""
    words = [f"{short(path)} is missing" for path in sorted(expected.keys() - actual.keys())]
    words += [f"{short(path)} is too much" for path in sorted(actual.keys() - expected.keys())]
    for path in sorted(expected.keys() & actual.keys()):
        for field in dataclasses.fields(Entry):
            want, got = getattr(expected[path], field.name), getattr(actual[path], field.name)
            if want != got and field.name not in ignore:
                words.append(f"{short(path)}: {field.name} is {short(got)}, not {short(want)}")
    return words[:50]


def short(value):
    words = repr(value)
    return words if len(words) <= 200 else f"{words[:100]}…{words[-95:]}"
