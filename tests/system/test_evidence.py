"""Evidence is checked with sha256sum and openssl alone; a mount proves that it is read-only."""
import base64
import hashlib
import http.server
import json
import os
import subprocess
import threading

import pytest

import harness

DAY = "2025-01-01"
SNAPSHOT = f"{DAY}/till-03.23-00-05Z"


@pytest.fixture
def filled(repo, folder):
    harness.write_files(folder / "src", {"a.txt": "hello\n", "sub/b.bin": os.urandom(300_000), "sub/empty": "",
                                         "sub/odd name%.txt": "odd\n"})
    repo.backup("--time", f"{DAY}T23:00:05Z", "src", cwd=folder)
    return repo


def run(*args, cwd=None, code=0):
    done = subprocess.run([os.fspath(a) for a in args], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == code, f"{args}: {done.stdout}\n{done.stderr}"
    return done.stdout


def signature_holds(folder, name):
    return run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "signer.pem", "-rawin", "-in", name,
               "-sigfile", f"{name}.sig", cwd=folder)


def check_bag(bag):
    """As README.txt says; the statement."""
    run("sha256sum", "-c", "tagmanifest-sha256.txt", cwd=bag)
    assert "Verified Successfully" in signature_holds(bag, "statement.json")
    statement = json.loads((bag / "statement.json").read_text())
    manifest = run("sha256sum", "manifest-sha256.txt", cwd=bag).split()[0]
    assert statement["sha256_of_manifest-sha256.txt"] == manifest
    run("sha256sum", "-c", stdin_lines(statement["provenance"], bag), cwd=bag)
    return statement


def stdin_lines(lines, bag):
    path = bag.parent / "lines"
    path.write_text("".join(line + "\n" for line in lines))
    return path


def test_a_bag_is_checked_without_tillfs(filled, folder):
    bag = folder / "bag"
    log = folder / "access.db"
    filled.tillfs("cat", *filled.access, "latest:src/a.txt", "--audit", log)
    filled.tillfs("evidence", *filled.access, f"{DAY}:src/a.txt", "latest:src/sub", "--to", bag, "--case", "A-17",
                  "--reason", "complaint of\nMonday", "--audit", log)
    statement = check_bag(bag)
    assert statement["case"] == "A-17" and statement["failures"] == [] and statement["files"] == 4
    assert [s["snapshot"] for s in statement["snapshots"]] == [SNAPSHOT] * 2
    assert all(s["signature_ok"] and s["enrolment_ok"] and s["chain_ok"] and s["data_ok"]
               for s in statement["snapshots"])

    assert harness.read_tree(bag / "data" / SNAPSHOT / "src") == harness.read_tree(folder / "src")
    listed = dict(reversed(line.split("  ", 1)) for line in (bag / "manifest-sha256.txt").read_text().splitlines())
    assert len(listed) == 4
    for path, digest in listed.items():
        real = bag / path.replace("%25", "%")
        assert hashlib.sha256(real.read_bytes()).hexdigest() == digest

    assert (bag / "bagit.txt").read_text() == "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    info = (bag / "bag-info.txt").read_text()
    assert "Payload-Oxum: 300010.4\n" in info and "External-Description: complaint of Monday\n" in info
    [snapshot] = (bag / "provenance" / "snapshots").rglob("*-*Z-*")
    assert snapshot.read_bytes() == (filled.store / snapshot.relative_to(bag / "provenance")).read_bytes()
    assert list((bag / "provenance" / "ledger").iterdir())
    entries = json.loads((bag / "provenance" / "access-log.json").read_text())["entries"]
    assert [e["kind"] for e in entries] == ["cat", "evidence", "evidence"]


def test_a_changed_bag_is_found_out(filled, folder):
    bag = folder / "bag"
    filled.tillfs("evidence", *filled.access, "latest:src/a.txt", "--to", bag, "--case", "A-17")
    check_bag(bag)
    (bag / "data" / SNAPSHOT / "src" / "a.txt").write_text("hallo\n")
    run("sha256sum", "-c", "manifest-sha256.txt", cwd=bag, code=1)
    harness.replace(bag / "statement.json", (bag / "statement.json").read_bytes().replace(b"A-17", b"A-18"))
    run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "signer.pem", "-rawin", "-in", "statement.json",
        "-sigfile", "statement.json.sig", cwd=bag, code=1)


def test_the_signer_is_the_identity(filled, folder):
    bag = folder / "bag"
    filled.tillfs("evidence", *filled.access, "latest:src/a.txt", "--to", bag, "--case", "A-17")
    public = [line.split("=", 1)[1].strip() for line in filled.admin.with_suffix(".key.pub").read_text().splitlines()
              if line.startswith("public")][0]
    pem = "".join((bag / "signer.pem").read_text().splitlines()[1:-1])
    assert base64.b64decode(pem)[-32:] == base64.b64decode(public)[32:]


def test_what_does_not_verify_is_said_in_the_bag(filled, folder):
    harness.write_files(folder / "src", {"second.txt": "2\n"})
    filled.backup("--time", "2025-01-02T23:00:05Z", "src", cwd=folder)
    harness.write_files(folder / "src", {"third.txt": "3\n"})
    filled.backup("--time", "2025-01-03T23:00:05Z", "src", cwd=folder)
    [lost] = filled.objects(f"snapshots/{os.path.basename(os.path.dirname(os.path.dirname(filled.objects('snapshots/')[0])))}/2025-01-02/")
    (filled.store / lost).unlink()
    bag = folder / "bag"
    filled.tillfs("evidence", *filled.access, "2025-01-03:src/third.txt", "--to", bag, "--case", "A-17", code=4)
    statement = check_bag(bag)
    assert statement["failures"] and "NOT" in statement["statement"]


def test_a_folder_with_something_in_it_is_left_alone(filled, folder):
    harness.write_files(folder / "full", {"mine": "mine"})
    done = filled.tillfs("evidence", *filled.access, "latest:src", "--to", folder / "full", "--case", "A-17", code=1)
    assert "full" in done.stderr and os.listdir(folder / "full") == ["mine"]
    filled.tillfs("evidence", *filled.access, "latest:src", "--to", folder / "bag", code=2)


# ---- time stamps


CONFIG = """
[tsa]
default_tsa = local
[local]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:true
[stamps]
extendedKeyUsage = critical,timeStamping
"""


@pytest.fixture
def authority(folder):
    """`openssl ts` behind a small HTTP server."""
    home = folder / "tsa"
    home.mkdir()
    (home / "tsa.cnf").write_text(CONFIG.format(folder=home))
    (home / "serial").write_text("01\n")

    def openssl(*args):
        return run("openssl", *args, cwd=home)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=test CA", "-config", "tsa.cnf", "-extensions", "ca")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tsa.key", "-out",
            "tsa.csr", "-subj", "/CN=test stamps", "-config", "tsa.cnf")
    openssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            "tsa.pem", "-extfile", "tsa.cnf", "-extensions", "stamps")

    class Stamps(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            query = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            answer = self.server.answer(query)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    def stamp(query):
        (home / "query").write_bytes(query)
        openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key",
                "-out", "answer")
        return (home / "answer").read_bytes()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stamps)
    server.answer = stamp
    server.ca = home / "ca.pem"
    server.url = f"http://127.0.0.1:{server.server_port}/tsa"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_time_stamp_is_checked_with_openssl(filled, folder, authority):
    bag = folder / "bag"
    filled.tillfs("evidence", *filled.access, "latest:src/a.txt", "--to", bag, "--case", "A-17", "--timestamp-url",
                  authority.url)
    check_bag(bag)
    (bag.parent / "untrusted.pem").write_bytes((authority.ca.parent / "tsa.pem").read_bytes())
    assert "OK" in run("openssl", "ts", "-verify", "-in", "statement.json.tsr", "-data", "statement.json", "-CAfile",
                       authority.ca, cwd=bag)


@pytest.mark.parametrize("answer, words", [
    (lambda query, stamp, other: b"", "refused"),
    (lambda query, stamp, other: b"<html>not here</html>", "refused"),
    (lambda query, stamp, other: bytes.fromhex("300530030201" "02"), "refused"),
    (lambda query, stamp, other: stamp(other), "something else"),
])
def test_an_answer_that_is_no_stamp_of_this_is_refused(filled, folder, authority, answer, words):
    stamp, seen = authority.answer, []

    def lie(query):
        seen.append(query)
        other = query[:24] + hashlib.sha256(b"other").digest() + query[56:]
        return answer(query, stamp, other)
    authority.answer = lie
    done = filled.tillfs("evidence", *filled.access, "latest:src/a.txt", "--to", folder / "bag", "--case", "A-17",
                         "--timestamp-url", authority.url, code=1)
    assert words in done.stderr and seen
    assert not (folder / "bag" / "tagmanifest-sha256.txt").exists()


# ---- read-only mounts


def test_a_mount_proves_that_it_is_read_only(filled, folder):
    proof = folder / "proof"
    with filled.mounted() as mount:
        done = filled.tillfs("doctor", "--prove-read-only", mount, "-i", filled.admin, "--to", proof)
        assert "is read-only" in done.stdout
        told = json.loads(filled.tillfs("doctor", "--prove-read-only", mount, "-i", filled.admin, "--json").stdout)
    assert "Verified Successfully" in signature_holds(proof, "read-only.json")
    statement = json.loads((proof / "read-only.json").read_text())
    assert statement["read_only"] and statement["unchanged"] and statement["flags"] == "ro,nosuid,nodev,noexec"
    attempts = {a["call"]: a for a in statement["attempts"]}
    assert len(attempts) >= 35 and all(a["refused"] for a in attempts.values())
    assert attempts["unlink"]["error"] == attempts["setxattr"]["error"] == "EROFS"

    assert json.loads(told["statement"])["read_only"]
    (proof / "again.json").write_text(told["statement"])
    (proof / "again.json.sig").write_bytes(base64.b64decode(told["signature"]))
    (proof / "signer.pem").write_text(told["public_key"])
    assert "Verified Successfully" in signature_holds(proof, "again.json")


def test_what_is_no_mount_is_not_touched(filled, folder):
    before = harness.read_tree(folder / "src")
    filled.tillfs("doctor", "--prove-read-only", folder / "src", "-i", filled.admin, code=1)
    assert harness.read_tree(folder / "src") == before
    filled.tillfs("doctor", code=2)
