"""What the tables of docs/performance.md are made with."""

from dataclasses import dataclass

from measure import Series


@dataclass
class Budget:
    text: str
    found: str
    holds: bool | None  # None: not measured


def ms(us: float) -> str:
    return f"{us / 1000:.2f}" if us < 100_000 else f"{us / 1000:.0f}"


def ratio(series: Series, base: Series | None) -> str:
    if base is None or not base.samples_us:
        return ""
    value = series.p50 / base.p50
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def samples_text(series: Series, stopped: str = "") -> str:
    """How many there are; how many of them failed, and why there are no more."""
    failed = f", {series.failed} failed" if series.failed else ""
    return f"{len(series)}{failed}" + (f"; stopped: {stopped}" if stopped else "")


def compare(row: dict[str, Series], left: str, right: str) -> float | None:
    if left not in row or right not in row:
        return None
    return row[left].p50 / row[right].p50


def at_most(text: str, value: float | None, bound: float) -> Budget:
    return Budget(text, "not measured" if value is None else f"{value:.2f}x",
                  None if value is None else value <= bound)


def budget_table(budgets: list[Budget]) -> str:
    words = {True: "holds", False: "**does not hold**", None: "not measured"}
    lines = ["| budget | found | |", "|---|---:|---|"]
    lines += [f"| {budget.text} | {budget.found} | {words[budget.holds]} |" for budget in budgets]
    return "\n".join(lines)
