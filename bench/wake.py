#!/usr/bin/env python3
"""Long polls under a steady rate of pushes, seen from outside: how long from a push to the waiter's answer.

Holds WAITERS blocked pops, one queue each, then pushes RATE messages a second to queues taken in turn. The pushes are
due at times fixed ahead, so a stall of the server is charged to the server. A waiter that is answered waits again.
Prints the latency from the moment a push was due to the moment its waiter has the whole answer, and what the server
(--pid) takes in memory and processor time. Standard library only; its own share of a latency is about 0.1 ms.

    bench/wake.py --url http://127.0.0.1:3001 --pid $(pidof popbox) --waiters 10000 --rate 1000 --seconds 20
"""

import argparse
import json
import os
import select
import socket
import time
from urllib.parse import urlsplit


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(path, body):
    text = json.dumps(body)
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(text)}\r\n\r\n{text}"
    ).encode()


class Connection:
    """A connection on which one answer at a time is awaited."""

    def __init__(self, address, source):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((source, 0))
        self.socket.connect(address)
        self.socket.setblocking(False)
        self.buffer = b""

    def ask(self, bytes_):
        self.socket.sendall(bytes_)

    def answers(self):
        """The bodies of the answers that have come in whole."""
        received = self.socket.recv(65536)
        if not received:
            raise ConnectionError("the server closed a connection")
        self.buffer += received
        bodies = []
        while True:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return bodies
            if not head.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(head.decode(errors="replace"))
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            if len(rest) < length:
                return bodies
            bodies.append(rest[:length])
            self.buffer = rest[length:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:3001")
    parser.add_argument("--pid", type=int, required=True, help="of the server")
    parser.add_argument("--waiters", type=int, default=10000)
    parser.add_argument("--rate", type=int, default=1000, help="pushes a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--idle", type=int, default=10, help="seconds of mere waiting before the pushes")
    parser.add_argument("--payload", type=int, default=200, help="bytes")
    given = parser.parse_args()
    where = urlsplit(given.url)
    address = (where.hostname, where.port or 80)

    before = resident_bytes(given.pid)
    pops = [request(f"/queue/wake-{n}/pop", {"timeout": 300}) for n in range(given.waiters)]
    poll = select.epoll()
    waiters = {}
    for number, pop in enumerate(pops):
        waiter = Connection(address, f"127.0.0.{1 + number // 20000}")
        waiter.ask(pop)
        waiter.number = number
        waiters[waiter.socket.fileno()] = waiter
        poll.register(waiter.socket, select.EPOLLIN)
    time.sleep(2)
    held = resident_bytes(given.pid)
    print(f"{given.waiters} waiters: {(held - before) / given.waiters:.0f} resident bytes each")

    idle_from = processor_seconds(given.pid)
    time.sleep(given.idle)
    idle = processor_seconds(given.pid) - idle_from
    print(f"idle for {given.idle} s: {100 * idle / given.idle:.2f} % of a core")

    pushers = [Connection(address, "127.0.0.1") for _ in range(16)]
    for pusher in pushers:
        poll.register(pusher.socket, select.EPOLLIN)
    by_descriptor = {pusher.socket.fileno(): pusher for pusher in pushers}
    free = list(pushers)
    payload = "x" * given.payload
    total = given.rate * given.seconds
    latencies, due_at = [], {}
    start, sent, answered = time.perf_counter() + 0.1, 0, 0
    busy_from = processor_seconds(given.pid)
    while len(latencies) < total and time.perf_counter() < start + given.seconds + 10:
        now = time.perf_counter()
        while free and sent < total and start + sent / given.rate <= now:
            number = (sent * 7919) % given.waiters
            due_at.setdefault(number, []).append(start + sent / given.rate)
            push = {"payload": payload, "priority": "H", "queue": [{"id": f"wake-{number}"}]}
            free.pop().ask(request("/trans", push))
            sent += 1
        pause = max(0.0, start + sent / given.rate - time.perf_counter()) if free else 1.0
        for descriptor, _ in poll.poll(min(pause, 1.0)):
            waiter = waiters.get(descriptor)
            if waiter is None:
                for _ in by_descriptor[descriptor].answers():
                    answered += 1
                    free.append(by_descriptor[descriptor])
                continue
            for body in waiter.answers():
                now = time.perf_counter()
                for _ in range(body.count(b'"' + payload.encode() + b'"')):
                    latencies.append(now - due_at[waiter.number].pop(0))
                waiter.ask(pops[waiter.number])
    busy = processor_seconds(given.pid) - busy_from
    latencies.sort()
    if len(latencies) < total:
        print(f"LOST OR LATE: {total - len(latencies)} of {total}")

    def at(share):
        return 1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))]

    print(
        f"{sent} pushes at {given.rate}/s, push to answer in ms: "
        f"p50 {at(0.5):.2f}  p90 {at(0.9):.2f}  p99 {at(0.99):.2f}  p99.9 {at(0.999):.2f}  max {at(1):.2f}"
    )
    print(f"processor: {1e6 * busy / max(1, sent):.0f} us a message")


if __name__ == "__main__":
    main()
