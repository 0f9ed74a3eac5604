"""The egress gateway: what it costs beside a connection without it."""

import json
import subprocess
from pathlib import Path

from tables import Budget

RATIO_MIN = 0.7
CONNECT_US_MAX = 1_000
TIMEOUT_S = 300


def measure_gateway(bin_dir: Path) -> dict:
    done = subprocess.run([str(bin_dir / "bench-gateway")], capture_output=True, check=True,
                          timeout=TIMEOUT_S)
    return json.loads(done.stdout)


def gateway_section(figures: dict) -> str:
    if not figures:
        return "Not measured."
    return "\n".join([
        "| | MiB/s | connect and one byte, p50 us |", "|---|---:|---:|",
        f"| direct | {figures['direct_mib_s']:,.0f} | {figures['direct_connect_us']:.0f} |",
        f"| **through the gateway** | {figures['gateway_mib_s']:,.0f} | "
        f"{figures['gateway_connect_us']:.0f} |"])


def gateway_budgets(figures: dict) -> list[Budget]:
    rate = f"the egress gateway passes at least {RATIO_MIN}x what a direct connection does"
    connect = "connecting through it takes less than 1 ms more (p50)"
    if not figures:
        return [Budget(rate, "not measured", None), Budget(connect, "not measured", None)]
    return [Budget(rate, f"{figures['ratio']:.2f}x", figures["ratio"] >= RATIO_MIN),
            Budget(connect, f"{figures['overhead_us']:.0f} us",
                   figures["overhead_us"] < CONNECT_US_MAX)]
