"""Tables of medians, and their place in docs/performance.md.

Between the marks `<!-- NAME: begin -->` and `<!-- NAME: end -->` there is a part for each work, after a mark of its
own: `<!-- NAME: WORK -->`. A run replaces the parts of its works and leaves the others alone.
"""

import os
import re
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path("docs/performance.md")

NONE = "–"


def number(value):
    """With three digits that count, or all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


@dataclass
class Row:
    """What was measured of one server: of each column the figures of each round.

    A figure has a part for each kind of process, where it is of processes: popbox and its Redis.
    """

    label: str
    rounds: dict[str, list[list[float]]] = field(default_factory=dict)
    # The row that this one is compared with.
    beside: "Row | None" = None

    def add(self, figures):
        """What a round came to."""
        for column, figure in figures.items():
            self.rounds.setdefault(column, []).append(figure)

    def median(self, column):
        """The median of each part; none if it was not measured."""
        rounds = self.rounds.get(column, [])
        return [statistics.median(part) for part in zip(*rounds)]

    def cell(self, column):
        """As it stands in the table."""
        median = self.median(column)
        if not median:
            return NONE
        text = " + ".join(map(number, median))
        other = sum(self.beside.median(column)) if self.beside else 0
        return f"{text} ({number(sum(median) / other)})" if other > 0 else text


def markdown(title, rows):
    """A table with these rows."""
    columns = list(dict.fromkeys(column for row in rows for column in row.rounds))
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {row.label} | " + " | ".join(map(row.cell, columns)) + " |" for row in rows]
    return "\n".join(lines)


def output(*command):
    """What a command says; nothing if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def origin(command, names):
    """What was measured, how and where: for a line below a table."""
    commit = output("git", "rev-parse", "--short", "HEAD") or "unknown"
    # The page itself is what is written here.
    if output("git", "status", "--porcelain", "--", "src", "loadtest", "bench", "Cargo.lock"):
        commit += " with changes"
    given = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    line = " ".join([*given, command])
    kernel = os.uname().release.split("-")[0]
    return f"`{line}` at commit {commit}; Linux {kernel}, {os.cpu_count()} cores."


def place(name, work, text):
    """Puts the part of this work to its place on the page."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, _, rest = page.partition(begin)
    parts, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{PAGE} has no {begin.strip()} with {end} after it")
    split = re.split(rf"<!-- {name}: (\S+) -->\n", parts)
    texts = dict(zip(split[1::2], split[2::2]))
    texts[work] = f"\n{text}\n\n"
    parts = "".join(f"<!-- {name}: {it} -->\n{text}" for it, text in texts.items())
    PAGE.write_text(before + begin + parts + end + after)
