import collections
import concurrent.futures
import csv
import hashlib
import json
import pathlib
import re
import sys


def squares(part):
    return sum(i * i for i in range(part, 10_001, 4))


rows = list(csv.DictReader(open("data.csv", encoding="utf-8")))
teams = collections.defaultdict(list)
for row in rows:
    teams[row["team"]].append((int(row["score"]), row["name"]))
totals = {team: sum(score for score, _ in members) for team, members in teams.items()}
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    total_of_squares = sum(pool.map(squares, range(4)))

lines = [f"{team} {len(teams[team])} {totals[team]} {max(teams[team])[1]}"
         for team in sorted(teams, key=lambda team: -totals[team])]
lines.append("sha256 " + hashlib.sha256(pathlib.Path("data.csv").read_bytes()).hexdigest())
lines.append(f"squares {total_of_squares}")
lines.append("names " + ",".join(row["name"] for row in rows if re.match("[A-M]", row["name"])))
lines.append("json " + json.dumps(totals, sort_keys=True, separators=(",", ":")))
lines.append("args " + "|".join(sys.argv[1:]))
pathlib.Path("/output/result.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
print("done", sys.stdin.read().strip())
