"""The servers: each on a free port and in a folder of its own, ended by the ids of its processes.

Each of the functions is a context: the server runs within it, and is gone with its files after it.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS_MAX = 20
END_SECONDS_MAX = 20

# Below those that the kernel and the load generator take for connections.
PORTS = range(21_000, 32_000)

# Of the files that a process may have open, those that a server needs for other things than connections.
OPEN_FILES_SPARE = 100


class NotStarted(Exception):
    """A server that did not come up, with what it said last."""


@dataclass
class Server:
    """A running server."""

    url: str
    # What they are called, and their ids; those of one name are added up.
    processes: list[tuple[str, int]]

    def pids(self):
        """What the load generator is told of them."""
        return [f"--pid={name}.{place}={pid}" for place, (name, pid) in enumerate(self.processes)]


def executable(name):
    """The binary of this project with this name."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"
    return os.environ.get(name.upper().replace("-", "_"), str(folder / name))


def missing(programs):
    """The first of them that is not installed: a name, or the path of a file."""
    for program in programs:
        if not (shutil.which(program) or Path(program).exists()):
            return program
    return None


def free_port():
    start = os.getpid() % len(PORTS)
    for port in [*PORTS[start:], *PORTS[:start]]:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise NotStarted("there is no free port")


@contextmanager
def folder():
    # On a disk: /tmp may be memory, and what is synced is to reach what is synced in earnest.
    parent = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "bench"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent.resolve()) as name:
        yield Path(name)


@contextmanager
def process(command, said):
    """A process, which writes to the file `said`."""
    with open(said, "wb") as out:
        running = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def await_start(running, said, is_up):
    """Waits until the server is up."""
    end = time.monotonic() + START_SECONDS_MAX
    while not is_up():
        if running.poll() is not None or time.monotonic() > end:
            last = said.read_text(errors="replace")[-1000:]
            raise NotStarted(f"{running.args[0]} did not start:\n{last}")
        time.sleep(0.05)


def listens(port):
    def is_up():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    return is_up


def open_files_max():
    return os.sysconf("SC_OPEN_MAX") - OPEN_FILES_SPARE


@contextmanager
def redis(synced=False):
    """A Redis, in memory only or with every write synced before it is answered."""
    keeping = ["--appendonly", "yes", "--appendfsync", "always"] if synced else ["--appendonly", "no"]
    with folder() as home:
        port, said = free_port(), home / "said"
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", *keeping]
        # It listens on loopback only, and takes other addresses than 127.0.0.1 for somebody from elsewhere.
        command += ["--protected-mode", "no", "--maxclients", str(open_files_max()), "--dir", str(home)]
        with process(command, said) as running:
            await_start(running, said, listens(port))
            yield Server(f"redis://127.0.0.1:{port}", [("redis", running.pid)])


@contextmanager
def popbox(*settings):
    """A popbox with these settings."""
    with folder() as home:
        said = home / "said"
        command = [executable("popbox"), "serve"]
        own = ["server.listen=127.0.0.1:0", f"store.path={home / 'store'}", f"offload.spool={home / 'spool'}"]
        for setting in [*own, *settings]:
            command += ["--set", setting]
        with process(command, said) as running:

            def ready():
                return re.search(r"^popbox ready on (\S+)", said.read_text(errors="replace"), re.MULTILINE)

            await_start(running, said, ready)
            yield Server(ready()[1], [("popbox", running.pid)])


@contextmanager
def popbox_on_redis(*settings):
    """A popbox that keeps its messages in a Redis of its own, which is in memory only."""
    with redis() as store:
        with popbox("store.kind=redis", f'redis.queues=["{store.url}/0"]', *settings) as server:
            yield Server(server.url, server.processes + store.processes)


NCHAN_MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"


def children(pid):
    return [int(it) for it in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def nginx(workers, locations, modules="", settings=""):
    """An nginx with these locations."""
    with folder() as home:
        port, said = free_port(), home / "said"
        temporary = "".join(
            f"{kind}_temp_path {home}/{kind};\n" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        )
        (home / "nginx.conf").write_text(
            f"""{modules}
            daemon off;
            pid {home}/pid;
            error_log stderr;
            worker_processes {workers};
            events {{ worker_connections {open_files_max()}; }}
            http {{
                access_log off;
                keepalive_requests 1000000000;
                keepalive_timeout 1h;
                {temporary} {settings}
                server {{ listen 127.0.0.1:{port} backlog=4096; {locations} }}
            }}"""
        )
        command = ["nginx", "-e", "stderr", "-p", str(home), "-c", str(home / "nginx.conf")]
        with process(command, said) as running:
            await_start(running, said, listens(port))
            pids = [running.pid, *children(running.pid)]
            yield Server(f"http://127.0.0.1:{port}", [("nginx", pid) for pid in pids])


@contextmanager
def nchan():
    """An nginx with the module nchan: a channel a queue, of which a subscriber waits for the next message.

    A channel keeps what was published, for as long as here, and a subscriber says how far it has read.
    """
    locations = """
        location = / { return 200; }
        location ~ ^/pub/(.+)$ {
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 1000000;
            nchan_message_timeout 1h;
        }
        location ~ ^/sub/(.+)$ {
            nchan_subscriber longpoll;
            nchan_channel_id $1;
            nchan_subscriber_first_message oldest;
            nchan_subscriber_timeout 0;
        }"""
    memory = "nchan_shared_memory_size 2048M;"
    with nginx("auto", locations, f"load_module {NCHAN_MODULE};", memory) as server:
        yield Server(server.url.replace("http", "nchan"), server.processes)


@contextmanager
def beanstalkd():
    """A beanstalkd, in memory only."""
    with folder() as home:
        port, said = free_port(), home / "said"
        with process(["beanstalkd", "-l", "127.0.0.1", "-p", str(port)], said) as running:
            await_start(running, said, listens(port))
            yield Server(f"beanstalk://127.0.0.1:{port}", [("beanstalkd", running.pid)])


@contextmanager
def webdis():
    """A webdis, in front of a Redis that is in memory only."""
    with redis() as store, folder() as home:
        port, said = free_port(), home / "said"
        settings = {
            "redis_host": "127.0.0.1",
            "redis_port": int(store.url.rsplit(":", 1)[1]),
            "http_host": "127.0.0.1",
            "http_port": port,
            "threads": 2,
            "daemonize": False,
            "database": 0,
            "verbosity": 0,
            "logfile": str(home / "log"),
        }
        (home / "webdis.json").write_text(json.dumps(settings))
        with process(["webdis", str(home / "webdis.json")], said) as running:
            await_start(running, said, listens(port))
            yield Server(f"webdis://127.0.0.1:{port}", [("webdis", running.pid), *store.processes])
