"""Admins and writers: who reads everything, who reads nothing, and how either ends."""
import base64
import json
import pathlib

import harness
from people import (CLASSES, DATES, Person, add_admin, everything_read, grocer, opened,  # noqa: F401
                    pristine_grocer, reader, trade)


# ---- admins


def test_a_second_admin_reads_everything_old_snapshots_included(grocer, folder):
    second = Person(folder, grocer, "second", kind="identity")
    said = add_admin(grocer, second)
    assert "6 older snapshots" in said
    assert len(second.snapshots()) == 6
    second("check", "--read-data")
    assert {"customers", "general", "sales"} == set.union(*opened(second.second_reader()).values())
    trade(grocer, folder, "till-03", 4, "2025-03-06")
    for path in ("pos/journal/day-1.txt", "pos/journal/day-4.txt", "pos/customers.db", "pos/staff-2/rota"):
        assert "secret" in second("cat", f"latest:{path}").stdout
    # And decides: enrols a till, grants, and is named for it.
    second("writer", "add", "till-07", "--out", folder / "till-07.writer")
    listed = json.loads(second("admin", "list", "--json").stdout)
    assert [a["name"] for a in listed] == ["founder", "second"] and listed[1]["added"]["by"] == "founder"
    # Once more harms nothing, and hands over what it lacked.
    assert "already" in add_admin(grocer, second)
    second("check", "--read-data")


def test_a_removed_admin_gets_nothing_new(grocer, folder):
    second = Person(folder, grocer, "second", kind="identity")
    add_admin(grocer, second)
    said = grocer.tillfs("admin", "remove", "second", *grocer.access).stdout
    assert "could read before" in said
    for till in ("till-03", "till-05"):
        trade(grocer, folder, till, 4, "2025-03-06")
    assert "no admin" in second("snapshots", code=1).stderr
    second("writer", "revoke", "till-03", code=1)
    # With its key and without manners it opens the old ones and no new one.
    cheat = second.second_reader()
    assert {date for _, date in opened(cheat)} == set(DATES)
    assert b"2025-03-06" not in everything_read(cheat)
    listed = json.loads(grocer.tillfs("admin", "list", "--json", *grocer.access).stdout)
    assert [a["is_admin"] for a in listed] == [True, False] and listed[1]["removed"]["by"] == "founder"
    grocer.tillfs("admin", "remove", "founder", *grocer.access, code=1)


def test_the_founder_can_leave_and_the_other_goes_on(grocer, folder):
    second = Person(folder, grocer, "second", kind="identity")
    add_admin(grocer, second)
    second("admin", "remove", "founder")
    trade(grocer, folder, "till-03", 4, "2025-03-06")
    assert "secret" in second("cat", "latest@till-03:pos/journal/day-4.txt").stdout
    grocer.tillfs("snapshots", *grocer.access, code=1)


# ---- writers


def test_a_revoked_writer_makes_no_snapshots_and_keeps_its_old_ones(grocer, folder):
    said = grocer.tillfs("writer", "revoke", "till-03", "--last", f"{DATES[1]}@till-03", *grocer.access).stdout
    assert "up to number 2" in said
    left = [(s["writer"], s["date"]) for s in grocer.snapshots()]
    assert ("till-03", DATES[1]) in left and ("till-03", DATES[2]) not in left
    done = grocer.backup("pos", cwd=folder / "till-03", code=1)
    assert "revoked" in done.stderr
    by_name = {w["name"]: w for w in json.loads(grocer.tillfs("writer", "list", "--json", *grocer.access).stdout)}
    assert by_name["till-03"]["revoked"] and by_name["till-03"]["last_accepted"] == 2
    assert not by_name["till-05"]["revoked"] and by_name["till-05"]["snapshots"] == 3
    grocer.tillfs("writer", "add", "till-03", "--out", folder / "again.writer", *grocer.access, code=1)
    grocer.tillfs("writer", "revoke", "till-99", *grocer.access, code=1)


def test_new_keys_under_the_same_name(grocer, folder):
    new = folder / "new.writer"
    grocer.tillfs("writer", "rotate", "till-03", "--out", new, *grocer.access)
    assert "other keys" in grocer.backup("pos", cwd=folder / "till-03", code=1).stderr
    grocer.tillfs("backup", "-r", grocer.url, "-w", new, "--time", "2025-03-06T20:00:00Z", "pos", cwd=folder / "till-03")
    assert [s["sequence"] for s in grocer.snapshots() if s["writer"] == "till-03"] == [1, 2, 3, 4]
    grocer.check("--read-data")
    grocer.tillfs("verify", *grocer.access, "till-03")
    seen = reader.Repository(str(grocer.store), reader.load_identity(grocer.admin))
    assert b"till-03 on 2025-03-05" in everything_read(seen)
    # On a machine of its own: only the public half travels.
    apart = folder / "apart.writer"
    grocer.tillfs("writer", "new", apart)
    card = folder / "card"
    card.write_text(grocer.tillfs("writer", "rotate", "till-03", "--key", f"{apart}.pub", *grocer.access).stdout)
    grocer.tillfs("writer", "import", apart, card)
    grocer.tillfs("backup", "-r", grocer.url, "-w", apart, "--time", "2025-03-07T20:00:00Z", "pos", cwd=folder / "till-03")
    # Keys that made no snapshot can't be replaced; revoking gives the name back.
    grocer.add_writer("till-09")
    assert "revoke" in grocer.tillfs("writer", "rotate", "till-09", "--out", folder / "y", *grocer.access, code=1).stderr
    grocer.tillfs("writer", "revoke", "till-09", *grocer.access)
    grocer.tillfs("writer", "add", "till-09", "--out", folder / "till-09-again.writer", *grocer.access)


def test_a_till_is_blind(grocer, folder):
    """All that a till has on disk and in its environment, and the whole store, open nothing."""
    home = folder / "till-home"
    till = harness.Tillfs(home)
    pathlib.Path(home / ".config/tillfs/tillfs.conf").write_text(
        f"[tillfs]\nstate = {home}/state\nrepository = {grocer.url}\nwriter = {home}/writer\n" + CLASSES)
    (home / "writer").write_bytes(grocer.writer("till-03").read_bytes())
    till("backup", "--time", "2025-03-06T20:00:00Z", "pos", cwd=folder / "till-03")
    assert "identity" in till("snapshots", code=2).stderr, "it holds none"

    haystacks = [p.read_bytes() for p in home.rglob("*") if p.is_file()]
    haystacks += [f"{k}={v}".encode() for k, v in till.env.items()]
    haystacks += [base64.b64decode(line.split(b"=", 1)[1]) for line in (home / "writer").read_bytes().splitlines()
                  if line.startswith((b"secret", b"public", b"roster"))]
    ini = dict(line.split(" = ", 1) for line in (home / "writer").read_text().splitlines() if " = " in line)
    person = reader.Person(base64.b64decode(ini["secret"]))
    roster = person.open_box(base64.b64decode(ini["roster"]))
    assert roster is not None
    seed = base64.b64decode(ini["secret"])
    writer_secret = reader.kdf(seed, "tillfs chunk sec", bytes.fromhex(ini["repository"]))
    derived = [roster, writer_secret] + [reader.kdf(writer_secret, "tillfs hash key", reader.lp(name))
                                         for name in (b"sales", b"customers", b"general")]
    haystacks += [b"".join(derived), person.box_sk.raw, person.sign_sk.raw]

    seen = reader.Repository(str(grocer.store), person, bytes.fromhex(ini["founder"]))
    assert all(s.trees == [] and s.details() is None for s in seen.snapshots())
    wanted, boxes = {}, []
    for s in seen.snapshots():
        for part in [s.clear[9]] + s.clear[10]:
            wanted[part[1]] = s.id
            boxes += part[0]
    for key in grocer.objects("packs/"):
        writer, _, name = key.split("/")[1:]
        for section in reader.Pack(seen, bytes.fromhex(name), bytes.fromhex(writer)).header[5]:
            wanted[section[1]] = name
            boxes += section[0]
    assert len(wanted) > 40 and len(boxes) == len(wanted)

    # No 32 bytes of it, wherever they begin, are a key of anything in the store.
    tried = {h[i:i + 32] for h in haystacks for i in range(len(h) - 31)} | set(derived)
    assert len(tried) > 2000 and any(h.startswith(b"SQLite format 3") for h in haystacks)
    assert not [k for k in tried if reader.Hp("tillfs keyhash", k) in wanted]
    # Nor is what it holds as a key the seed of anybody who can open a box.
    for k in derived + [seed]:
        stranger = reader.Person(k)
        assert not [box for box in boxes if stranger.open_box(box) is not None]
    # What it backed up is not left lying about either.
    assert not [h for h in haystacks if b"secret of till" in h]
    # An admin's key does open all of it: the search above looks in the right place.
    admin = reader.load_identity(grocer.admin)
    assert all(reader.Hp("tillfs keyhash", admin.open_box(box)) in wanted for box in boxes)
