#!/usr/bin/env python3
"""`airlock verify`, against an implementation of receipts that shares no code with it.

What this file knows of receipts is docs/receipt.md, json and hashlib of Python, and the openssl
program. data/receipt.json is what Airlock makes (src/receipt/statement_test.cc sees to that).

    tests/blackbox/verify_test.py
"""

import base64
import copy
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import case
from service import Service

RECEIPT = pathlib.Path(__file__).resolve().parent / "data" / "receipt.json"
TYPE = "application/vnd.in-toto+json"
PKCS8_OF_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
SPKI_OF_ED25519 = bytes.fromhex("302a300506032b6570032100")
NOT_BELIEVED = 1
HELLO, ABC = b"hello\n", b"abc\n"  # the outputs of that receipt


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def encoded(payload_type, payload):
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def openssl(*words, stdin=b""):
    return subprocess.run(["openssl", *map(str, words)], input=stdin, capture_output=True,
                          check=False)


class Key:
    """An Ed25519 key in the files of a folder."""

    def __init__(self, folder, seed, name):
        self.private, self.public = folder / f"{name}.key", folder / f"{name}.pub"
        done = openssl("pkey", "-inform", "DER", "-out", self.private,
                       stdin=PKCS8_OF_ED25519 + seed)
        assert done.returncode == 0, done.stderr
        der = openssl("pkey", "-in", self.private, "-pubout", "-outform", "DER").stdout
        assert der.startswith(SPKI_OF_ED25519), der
        self.raw = der[len(SPKI_OF_ED25519):]
        self.id = sha256(self.raw)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def sign(self, message):
        return self._with_files(message, lambda text, _: openssl(
            "pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", text)).stdout

    def verifies(self, message, signature):
        return self._with_files(message, lambda text, sig: openssl(
            "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", self.public, "-in", text,
            "-sigfile", sig), signature).returncode == 0

    @staticmethod
    def _with_files(message, use, signature=b""):
        with tempfile.NamedTemporaryFile() as text, tempfile.NamedTemporaryFile() as sig:
            text.write(message)
            sig.write(signature)
            text.flush()
            sig.flush()
            return use(text.name, sig.name)


def envelope_of(statement, key):
    payload = canonical(statement)
    return canonical({
        "payload": base64.b64encode(payload).decode(),
        "payloadType": TYPE,
        "signatures": [{"keyid": key.id,
                        "sig": base64.b64encode(key.sign(encoded(TYPE, payload))).decode()}]})


class Verify(case.Case):
    def setUp(self):
        super().setUp()
        self.key = Key(self.folder, b"k" * 32, "runner")
        self.other = Key(self.folder, b"x" * 32, "other")
        self.envelope = json.loads(RECEIPT.read_bytes())
        self.statement = json.loads(base64.b64decode(self.envelope["payload"]))

    def verify(self, *words):
        done = self.airlock("verify", *words)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def judged(self, *words):
        code, out, _ = self.verify("--json", *words)
        return code, json.loads(out)

    def make(self, name, key=None, **changes):
        """A receipt with other members in its predicate."""
        key = key or self.key
        statement = copy.deepcopy(self.statement)
        statement["predicate"].update(changes)
        statement["predicate"]["runner"] |= {"key_id": key.id,
                                             "public_key": base64.b64encode(key.raw).decode()}
        manifest = canonical(statement["predicate"]["manifest"])
        statement["subject"][0]["digest"]["sha256"] = sha256(manifest)
        path = self.folder / name
        path.write_bytes(envelope_of(statement, key))
        return path

    def test_what_airlock_makes_is_what_its_documentation_says(self):
        text = RECEIPT.read_bytes().removesuffix(b"\n")
        self.assertEqual(canonical(self.envelope), text)
        payload = base64.b64decode(self.envelope["payload"], validate=True)
        self.assertEqual(canonical(self.statement), payload)
        signature, = self.envelope["signatures"]
        self.assertEqual(signature["keyid"], self.key.id)
        self.assertTrue(self.key.verifies(encoded(TYPE, payload),
                                          base64.b64decode(signature["sig"])))
        self.assertFalse(self.other.verifies(encoded(TYPE, payload),
                                             base64.b64decode(signature["sig"])))
        predicate = self.statement["predicate"]
        self.assertEqual(self.statement["subject"], [{
            "name": "airlock-manifest.json",
            "digest": {"sha256": sha256(canonical(predicate["manifest"]))}}])
        self.assertEqual(base64.b64decode(predicate["runner"]["public_key"]), self.key.raw)
        self.assertEqual([(file["path"], file["size"], file["sha256"])
                          for file in predicate["manifest"]["outputs"]],
                         [("a.txt", 4, sha256(ABC)), ("z/b.txt", 6, sha256(HELLO))])
        hashes = predicate["contract_hashes"]
        self.assertEqual(hashes["logs_hash"], sha256(b"done\n"))
        self.assertEqual(hashes["execution_hash"], sha256(json.dumps({
            "jobId": hashes["job_id"], "logs": "done\n", "timestamp": hashes["timestamp"],
            "result": {"exitCode": hashes["exit_code"], "status": hashes["status"]}},
            sort_keys=True).encode()))

    def test_a_receipt_by_this_file_is_believed_by_airlock(self):
        path = self.make("own.json", previous=None)
        code, answer = self.judged(path, "--key", self.key.public)
        self.assertEqual((code, answer["valid"]), (0, True), answer)
        file, = answer["files"]
        self.assertEqual((file["pinned"], file["key_id"]), (True, self.key.id))
        self.assertEqual(file["digest"], sha256(path.read_bytes()))
        self.assertEqual(file["receipt"]["source"], self.statement["predicate"]["source"])

    def test_a_person_reads_what_ran_and_what_it_reached(self):
        code, out, err = self.verify(RECEIPT, "--key", self.key.public)
        self.assertEqual((code, err), (0, ""))
        for text in ("job_0123456789ab: completed", "https://github.com/example/solver at ccc",
                     "python3 inference.py --phase inference", "network none",
                     "2 processes killed, 1 connection closed", "huggingface.co:443",
                     "not in the allow-list", self.key.id):
            self.assertIn(text, out)
        self.assertNotIn("FAILED", out)

    def test_without_a_key_the_signer_is_said_to_be_unknown(self):
        code, out, err = self.verify(RECEIPT)
        self.assertEqual(code, 0)
        self.assertIn("not pinned", out)
        self.assertIn("not pinned", err)
        self.assertIs(self.judged(RECEIPT)[1]["files"][0]["pinned"], False)

    def test_another_signer_is_not_believed(self):
        code, out, _ = self.verify(RECEIPT, "--key", self.other.public)
        self.assertEqual(code, NOT_BELIEVED)
        self.assertIn("signed by another key", out)
        # Who changes a receipt can sign it with a key of their own, and no other.
        forged = self.make("forged.json", self.other, egress=[])
        self.assertEqual(self.verify(forged, "--key", self.key.public)[0], NOT_BELIEVED)
        envelope = json.loads(forged.read_bytes())
        envelope["signatures"][0]["keyid"] = self.key.id
        forged.write_bytes(canonical(envelope))
        self.assertEqual(self.verify(forged, "--key", self.key.public)[0], NOT_BELIEVED)

    def test_any_change_fails(self):
        good = RECEIPT.read_bytes().removesuffix(b"\n")
        signature = self.envelope["signatures"][0]
        changed = [
            good[:200] + bytes([good[200] ^ 1]) + good[201:], good + b" ", good + b"\n\n",
            json.dumps(self.envelope).encode(), good[:-1] + b',"x":1}',
            canonical(self.envelope | {"signatures": [signature, signature]}),
            canonical(self.envelope | {"payloadType": "application/json"}),
            good.replace(b'"payload":', b'"payload":"e30=","payload":'), b"", b"{}", b"\xff" * 9]
        for number, text in enumerate(changed):
            path = self.folder / f"changed{number}.json"
            path.write_bytes(text)
            self.assertEqual(self.verify(path)[0], NOT_BELIEVED, text[:300])

    def test_the_challenge_must_be_the_one_that_was_sent(self):
        self.assertEqual(self.verify(RECEIPT, "--challenge", "nonce-42")[0], 0)
        code, out, _ = self.verify(RECEIPT, "--challenge", "nonce-43")
        self.assertEqual(code, NOT_BELIEVED)
        self.assertIn('FAILED challenge', out)

    def test_outputs_are_compared_with_the_receipt(self):
        outputs = self.folder / "outputs"
        (outputs / "z").mkdir(parents=True)
        (outputs / "a.txt").write_bytes(ABC)
        (outputs / "z" / "b.txt").write_bytes(HELLO)
        inside = outputs / "receipt.json"
        inside.write_bytes(RECEIPT.read_bytes())
        self.assertEqual(self.verify(inside, "--outputs", outputs)[0], 0)
        (outputs / "a.txt").write_bytes(b"abd\n")
        (outputs / "more").write_bytes(b"")
        code, out, _ = self.verify(inside, "--outputs", outputs)
        self.assertEqual(code, NOT_BELIEVED)
        self.assertIn("a.txt: other content", out)
        self.assertIn("more: not in the receipt", out)

    def test_the_contract_hashes_are_computed_again(self):
        self.assertEqual(self.verify(RECEIPT, "--logs", self.write("good", "done\n"))[0], 0)
        self.assertEqual(self.verify(RECEIPT, "--logs", self.write("bad", "more\n"))[0],
                         NOT_BELIEVED)

    def test_a_chain_is_found_and_its_gaps_and_forks_are_told(self):
        first = self.make("1.json", previous=None)
        second = self.make("2.json", previous=sha256(first.read_bytes()))
        third = self.make("3.json", previous=sha256(second.read_bytes()))
        code, out, _ = self.verify(third, first, second, "--chain", "--key", self.key.public)
        self.assertEqual(code, 0, out)
        self.assertIn("3 in a row, from the runner's first", out)
        _, out, _ = self.verify(first, second, first, third, second, "--chain")
        self.assertIn("3 in a row", out)
        self.assertEqual(self.verify(first, third)[0], 0)
        self.assertEqual(self.verify(first, third, "--chain")[0], NOT_BELIEVED)
        fork = self.make("4.json", previous=sha256(first.read_bytes()), output_uri="s3://b/x")
        code, out, _ = self.verify(first, second, fork)
        self.assertEqual(code, NOT_BELIEVED)
        self.assertIn("two histories", out)

    def test_texts_of_a_stranger_do_nothing_to_the_terminal(self):
        source = self.statement["predicate"]["source"] | {"url": "https://x/\x1b]0;owned\x07"}
        path = self.make("evil.json", self.other, source=source, phases=[1, {"name": []}],
                         egress={"a": 1}, seal=None)
        code, out, err = self.verify(path)
        self.assertEqual(code, 0)
        self.assertNotIn("\x1b", out + err)
        self.assertIn(r"\x1b", out)
        self.assertIn("NOT SEALED", out)

    def test_what_cannot_be_used_is_a_usage_error(self):
        self.assert_refused(self.airlock("verify"), "FILE")
        self.assert_refused(self.airlock("verify", "/nowhere.json"), "/nowhere.json")
        self.assert_refused(self.airlock("verify", RECEIPT, "--key", self.key.private),
                            "private key")
        self.assert_refused(self.airlock("verify", RECEIPT, "--key", RECEIPT), "public key in PEM")
        self.assert_refused(self.airlock("verify", RECEIPT, "--kei", RECEIPT), "--kei")
        self.assert_refused(self.airlock("verify", RECEIPT, RECEIPT, "--outputs", "."),
                            "one receipt")


class RunnerKey(case.Case):
    """What lies in the keys' folder of a service."""

    def setUp(self):
        super().setUp()
        self.private = self.folder / "state/service/keys/receipt.key"
        self.public = self.private.with_suffix(".pub")

    def served_key(self):
        with Service("--state-dir", str(self.folder / "state")) as service:
            status, _, text = service.ask("GET", "/v1/receipts/key")
            self.assertEqual(status, 200)
            return text

    def test_it_is_a_key_of_openssl_byte_for_byte(self):
        served = self.served_key()
        self.assertEqual(served, self.public.read_bytes())
        self.assertEqual(openssl("pkey", "-in", self.private).stdout, self.private.read_bytes())
        self.assertEqual(openssl("pkey", "-in", self.private, "-pubout").stdout, served)

    def test_a_key_that_openssl_made_is_used_and_left_as_it_is(self):
        self.served_key()
        made = openssl("genpkey", "-algorithm", "ed25519").stdout
        self.private.write_bytes(made)  # of the same owner and mode
        served = self.served_key()
        self.assertEqual(served, openssl("pkey", "-pubout", stdin=made).stdout)
        self.assertEqual(served, self.public.read_bytes())
        self.assertEqual(self.private.read_bytes(), made)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
