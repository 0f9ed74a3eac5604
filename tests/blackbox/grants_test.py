#!/usr/bin/env python3
"""Folders and devices that `airlock serve` is configured with: found, checked, and nobody's yet.

    tests/blackbox/grants_test.py
"""

import json
import sys

import case
from service import Service

SPEC = {
    "cdiVersion": "0.6.0",
    "kind": "test.org/gpu",
    "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/true"}]},
    "devices": [
        {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/zero", "hostPath":
                                                          "/dev/zero"}]}},
        {"name": "1", "containerEdits": {"deviceNodes": [{"path": "/dev/test1", "hostPath":
                                                          "/dev/full", "major": 1, "minor": 7}]}},
        {"name": "2", "containerEdits": {"deviceNodes": [{"path": "/dev/test2", "hostPath":
                                                          "/dev/full", "minor": 8}]}},
        {"name": "3", "containerEdits": {"deviceNodes": [{"path": "/dev/test3"}]}},
    ],
}


class Grants(case.Case):
    def test_the_service_says_what_it_found_and_what_not(self):
        models = self.folder / "models"
        models.mkdir()
        (models / "weights").write_text("secret of the models")
        specs = self.folder / "cdi"
        specs.mkdir(mode=0o755)
        (specs / "test.json").write_text(json.dumps(SPEC))
        (specs / "broken.yaml").write_text("{")
        with Service("--folder", f"models={models}", "--cdi-dir", str(specs)) as service:
            self.assertEqual(service.wait_for("serve.devices")["names"], ["test.org/gpu=1"])
            reasons = "\n".join(line["reason"] for line in service.log
                                if line.get("event") == "serve.cdi")
            for part in ("test.json: hooks are never run", "broken.yaml:1:",
                         "minor number of /dev/full is 7", "/dev/test3 is no character device",
                         "test.org/gpu=0 is left out: "):
                self.assertIn(part, reasons)
            code = ("import os, glob; print(sorted(os.listdir('/models')), glob.glob('/dev/test*'),"
                    " os.listdir('/build'))")
            status, result = service.run(language="python", code=code)
            self.assertEqual(status, 200, result)
            self.assertEqual(result["stdout"], "[] [] []\n", "nobody asked for them")

    def test_what_cannot_be_given_is_refused_at_the_start(self):
        self.assert_refused(self.airlock("serve", "--folder", "etc=/etc"), "--folder", "/etc is")
        self.assert_refused(self.airlock("serve", "--folder", "models=here"), "models=here")


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
