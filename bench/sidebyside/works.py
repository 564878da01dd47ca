"""Works: what each subject is given in turn, as often as there are rounds, and the table of it."""

import argparse
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Callable

from . import load, servers, tables

ROUNDS = load.variable("ROUNDS", 3)

# What failed: it has no place in the tables, but does not keep others out of them.
failures = []


@dataclass
class Subject:
    """Who is measured: a server, and what it is given."""

    label: str
    # The server, as a context.
    start: Callable
    # Given the running server, a figure for each column; none if this work makes no sense for it.
    measure: Callable | None
    # What has to be installed.
    programs: list[str] = field(default_factory=list)
    # The label of the one that it is compared with.
    beside: str | None = None


@contextmanager
def forgiven(subject):
    """Notes that this one failed, and goes on."""
    try:
        yield
    except (load.Failed, servers.NotStarted) as failure:
        load.say(f"  FAILED: {subject.label}: {failure}")
        failures.append(subject.label)


def in_turn(subjects, rows):
    """Measures one after the other, and then all of them again."""
    for number in range(1, ROUNDS + 1):
        for subject in subjects:
            load.say(f"  round {number} of {ROUNDS}: {subject.label}")
            with forgiven(subject), subject.start() as server:
                rows[subject.label].add(subject.measure(server))


@dataclass
class Table:
    """A table of subjects, and how they are measured."""

    title: str
    subjects: list[Subject]
    measure_all: Callable = in_turn

    def measured(self):
        """In Markdown."""
        load.say(f" {self.title}")
        rows = {subject.label: tables.Row(subject.label) for subject in self.subjects}
        able = []
        for subject in self.subjects:
            rows[subject.label].beside = rows.get(subject.beside)
            lacking = servers.missing(subject.programs)
            if subject.measure and lacking:
                load.say(f"  left out: {subject.label}, as there is no {lacking}")
            elif subject.measure:
                able.append(subject)
        self.measure_all(able, rows)
        return tables.markdown(self.title, list(rows.values()))


def main(name, description, works, variables):
    """Measures the works that are named on the command line, or all, each of some tables."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"{', '.join(works)}; all if left out")
    parser.add_argument("--print", action="store_true", help="leave docs/performance.md as it is")
    given = parser.parse_args()
    unknown = [work for work in given.works if work not in works]
    if unknown:
        parser.error(f"no work is called {unknown[0]}")
    unbuilt = servers.missing(map(servers.executable, ["popbox", "popbox-loadtest"]))
    if unbuilt:
        sys.exit(f"there is no {unbuilt}: cargo build --release --workspace")
    # So that servers are ended by whatever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    load.allow_open_files()
    for work in given.works or works:
        load.say(work)
        parts = [table.measured() for table in works[work]]
        parts.append(tables.origin(f"bench/{name}/run {work}", ["ROUNDS", *variables]))
        text = "\n\n".join(parts)
        print(f"{text}\n", flush=True)
        if not given.print:
            tables.place(name, work, text)
    if failures:
        sys.exit(f"failed: {', '.join(failures)}")
