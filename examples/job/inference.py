"""A job in two phases: prep fetches a model while it may, inference computes while nobody listens.

prep: downloads the model's coefficients from an allowed host and tries one that is not allowed.
inference: has no network, reads the input, and leaves an estimate of each job's energy.
"""

import argparse
import csv
import json
import os
import pathlib
import socket
import time
import urllib.error
import urllib.request

MODEL = pathlib.Path("/workspace/model.json")  # what prep leaves here is there in inference


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def prep(_arguments):
    print("prep: fetching the model", flush=True)
    MODEL.write_bytes(fetch(os.environ["MODEL_URL"]))
    print("prep: the model is", MODEL.read_text().strip(), flush=True)
    try:
        fetch(os.environ["FORBIDDEN_URL"])
        raise SystemExit("prep: a host that is not in the allow-list was reached")
    except urllib.error.HTTPError as refused:
        print("prep: refused, as it should be:", refused.read().decode().strip(), flush=True)


def is_sealed():
    """Nothing leads out: no route, no name server, no gateway of the phase before."""
    for host, port in (("127.0.0.1", 3128), ("93.184.216.34", 443), ("1.1.1.1", 53)):
        try:
            socket.create_connection((host, port), timeout=2).close()
            return False
        except OSError:
            pass
    return True


def inference(arguments):
    model = json.loads(MODEL.read_text())
    if not is_sealed():
        raise SystemExit("inference: something can be reached")
    print("inference: sealed; reading", arguments.input, flush=True)
    watts, jobs, joules = model["watts_per_gpu"], 0, 0
    with open(pathlib.Path(arguments.input) / "input_data", encoding="utf8") as lines:
        for row in csv.DictReader(lines):
            jobs += 1
            joules += int(row["gpus"]) * int(row["duration_seconds"]) * watts
            if jobs % 2_000 == 0:
                print(f"inference: {jobs} jobs", flush=True)
                time.sleep(float(os.environ.get("PAUSE", "0")))
    result = {"jobs": jobs, "kwh": round(joules / 3.6e6, 1)}
    output = pathlib.Path(arguments.output)
    (output / "result.json").write_text(json.dumps(result) + "\n")
    (output / "metrics.json").write_text(json.dumps({"total_problems": jobs}) + "\n")
    print("inference:", json.dumps(result), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--phase", choices=("prep", "inference"), required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    {"prep": prep, "inference": inference}[arguments.phase](arguments)


if __name__ == "__main__":
    main()
