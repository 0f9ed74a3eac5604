const fs = require("fs");
const crypto = require("crypto");
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");

function squares(part) {
  let sum = 0;
  for (let i = part; i <= 10000; i += 4) sum += i * i;
  return sum;
}

async function main() {
  const text = fs.readFileSync("data.csv", "utf8");
  const rows = text.trim().split("\n").slice(1).map((line) => {
    const [name, team, score] = line.split(",");
    return { name, team, score: Number(score) };
  });
  const teams = new Map();
  for (const row of rows) teams.set(row.team, [...(teams.get(row.team) ?? []), row]);
  const total = (team) => teams.get(team).reduce((sum, row) => sum + row.score, 0);
  const best = (team) => teams.get(team).reduce((a, b) => (b.score > a.score ? b : a)).name;
  const parts = await Promise.all([0, 1, 2, 3].map((part) => new Promise((resolve, reject) => {
    new Worker(__filename, { workerData: part }).on("message", resolve).on("error", reject);
  })));

  const lines = [...teams.keys()].sort((a, b) => total(b) - total(a))
    .map((team) => `${team} ${teams.get(team).length} ${total(team)} ${best(team)}`);
  lines.push("sha256 " + crypto.createHash("sha256").update(text).digest("hex"));
  lines.push("squares " + parts.reduce((a, b) => a + b));
  lines.push("names " + rows.map((row) => row.name).filter((name) => /^[A-M]/.test(name)).join(","));
  lines.push("json " + JSON.stringify(Object.fromEntries(
    [...teams.keys()].sort().map((team) => [team, total(team)]))));
  lines.push("args " + process.argv.slice(2).join("|"));
  fs.writeFileSync("/output/result.txt", lines.join("\n") + "\n");
  console.log("done", fs.readFileSync(0, "utf8").trim());
}

if (isMainThread) main();
else parentPort.postMessage(squares(workerData));
