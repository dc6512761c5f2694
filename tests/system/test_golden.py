"""Repositories that released versions wrote are read for ever."""
import hashlib
import json
import os
import shutil

import harness

GOLDEN = harness.TOP / "tests" / "golden" / "v1"


def test_golden_v1_is_intact_and_comes_out_as_it_went_in(tillfs, folder):
    store = folder / "repository"
    shutil.copytree(GOLDEN / "repository", store)
    url = f"file://{store}"
    tillfs("check", "-r", url, "-i", GOLDEN / "admin.key", "--read-data")
    expected = json.loads((GOLDEN / "expected.json").read_text())
    for snapshot, entries in expected.items():
        out = folder / snapshot.replace("/", "-")
        tillfs("restore", "-r", url, "-i", GOLDEN / "admin.key", snapshot.split("/")[0], "--to", out)
        for path, (kind, mode, size, sec, nsec, *rest) in entries.items():
            st = os.lstat(out / path)
            assert (st.st_mode & 0o7777 == mode or kind == 3) and st.st_mtime_ns == sec * 10**9 + nsec, path
            if kind == 1:
                assert st.st_size == size
                assert hashlib.sha256((out / path).read_bytes()).hexdigest() == rest[0], path
            elif kind == 3:
                assert os.readlink(out / path) == rest[0]
