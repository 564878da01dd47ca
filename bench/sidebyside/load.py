"""The load: runs of popbox-loadtest, and what they report."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import servers

# Beyond what a run is to take: for connecting, filling queues, settling and waiting for the last answers.
SECONDS_SPARE = 300


# Of one address it would be most of its ports, and nobody else on the machine would get one.
SOURCES = "127.0.1.1-127.0.1.16"


class Failed(Exception):
    """A run that failed, or found a fault of the server."""


def variable(name, default):
    """A number from the environment."""
    return int(os.environ.get(name, default))


def variables(name, default):
    """Numbers from the environment, with commas between them."""
    return [int(number) for number in os.environ.get(name, default).split(",")]


def allow_open_files():
    """As many as there may be, for this process and those it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Run:
    """A run that has been begun."""

    def __init__(self, server, command, seconds, *arguments):
        self._ends_at = time.monotonic() + seconds + SECONDS_SPARE
        self._folder = tempfile.TemporaryDirectory()
        self._said = Path(self._folder.name) / "said"
        self._json = Path(self._folder.name) / "report.json"
        line = [servers.executable("popbox-loadtest"), command, "--target", server.url, *server.pids()]
        line += ["--duration", f"{seconds}s", "--from", SOURCES, "--json", str(self._json)]
        with open(self._said, "wb") as said:
            self._process = subprocess.Popen([*line, *map(str, arguments)], stdout=said, stderr=said)

    def await_load(self):
        """Waits until all its connections are open."""
        while self._process.poll() is None and b" s  " not in self._said.read_bytes():
            if time.monotonic() > self._ends_at:
                break
            time.sleep(0.1)

    def end(self):
        """Ends it, if it has not ended by itself."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def report(self):
        """Waits for what came of it."""
        try:
            code = self._process.wait(max(0, self._ends_at - time.monotonic()))
            if code != 0:
                raise Failed(self._said.read_text(errors="replace")[-2000:])
            return Report(json.loads(self._json.read_text()))
        except subprocess.TimeoutExpired:
            raise Failed("it did not end in time") from None
        finally:
            self.end()


def run(server, command, seconds, *arguments):
    """A run from beginning to end: its report."""
    return Run(server, command, seconds, *arguments).report()


class Report:
    """What the load generator reports."""

    def __init__(self, facts):
        self._facts = facts

    def __getitem__(self, key):
        return [self._facts[key]]

    def of_processes(self, kind):
        """A fact of each kind of process: those of one name added up."""
        sums = {}
        for key, value in self._facts.items():
            process, found, rest = key.partition(f"_{kind}")
            if found and not rest and "." in process:
                name = process.split(".")[0]
                sums[name] = sums.get(name, 0) + value
        return list(sums.values())


def say(line):
    """Tells people how far it is."""
    print(line, file=sys.stderr, flush=True)
