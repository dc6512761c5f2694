"""The format document is enough: a reader written from it alone reads what tillfs writes.

The golden repositories of released formats are read for ever, byte for byte.
"""
import hashlib
import json
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import reader  # noqa: E402

GOLDEN = HERE.parent / "golden" / "v1"


def describe(snapshot):
    """What a snapshot holds, as plain data: path -> [type, mode, size, mtime, hash or target]."""
    out = {}
    for path, entry, content in snapshot.walk():
        shown = [entry[1], entry[2], entry.get(7, 0), entry.get(8), entry.get(9, 0)]
        if entry[1] == 1:
            shown.append(hashlib.sha256(content()).hexdigest())
        elif entry[1] == 3:
            shown.append(entry[18].decode())
        if path and not entry.get(23, False):
            out[os.fsdecode(path)] = shown
    return out


def test_golden_repository_is_read_byte_for_byte():
    repo = reader.Repository(str(GOLDEN / "repository"), reader.load_identity(GOLDEN / "admin.key"))
    expected = json.loads((GOLDEN / "expected.json").read_text())
    found = {f"{s.date}/{s.seq}": describe(s) for s in repo.snapshots()}
    assert found == expected


@pytest.mark.parametrize("flipped", ["config", "ledger", "snapshots", "packs"])
def test_a_flipped_bit_is_refused(flipped, tmp_path):
    import shutil
    copy = tmp_path / "repository"
    shutil.copytree(GOLDEN / "repository", copy)
    victim = sorted(p for p in (copy / flipped).rglob("*") if p.is_file())[0] if flipped != "config" else copy / "config"
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 4
    victim.chmod(0o600)
    victim.write_bytes(raw)
    with pytest.raises(reader.Refused):
        repo = reader.Repository(str(copy), reader.load_identity(GOLDEN / "admin.key"))
        for snapshot in repo.snapshots():
            describe(snapshot)
