#!/usr/bin/env python3
"""Counts the instructions that `hello` runs for a delivery and for a resume, and holds them against `baseline.json`.

    tests/instructions/run.py target/release/hello            compares
    tests/instructions/run.py --write target/release/hello    makes the baseline anew

Instructions of the process alone, as callgrind counts them: what the kernel does for it is not among them, and how fast the machine is, or what else it
has to do, doesn't matter. Each figure is the difference of two runs, one that does more of the same, over how much more: so what starting and
connecting takes is in neither. Another compiler may well count otherwise by some percent: hence the margin.
"""

import argparse
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

BASELINE = Path(__file__).with_name("baseline.json")

# By so much a figure may differ from the baseline, either way: one that is better by more belongs into it.
MARGIN = 0.15

FOLLOWERS = 100
MISSED = 20

# In seconds. A server under valgrind takes its time, and CI more.
PATIENCE = 120

SSE = b"GET /sse HTTP/1.1\r\nhost: hello\r\naccept: text/event-stream\r\n%s\r\n"
WS = (
    b"GET /ws%s HTTP/1.1\r\nhost: hello\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Client:
    """Follows the channel over one of the transports, from now on or from behind a cursor."""

    def __init__(self, address: tuple[str, int], transport: str, cursor: str | None = None):
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.read = b""
        if transport == "sse":
            request = SSE % (f"last-event-id: {cursor}\r\n".encode() if cursor else b"")
        else:
            request = WS % (f"?last-event-id={cursor}".encode() if cursor else b"")
        self.socket.sendall(request)
        # The opening, which comes with the head or right behind it.
        self.until(b"heartbeat" if transport == "sse" else b"welcome")

    def until(self, mark: bytes) -> None:
        """Reads until this has come."""
        while mark not in self.read:
            self.hear()

    def hear(self) -> None:
        more = self.socket.recv(1 << 16)
        if not more:
            raise SystemExit("the server closed a connection")
        self.read = (self.read + more)[-(1 << 14) :]


class Streams:
    """Follow the channel over one connection of HTTP/2. Frames are RFC 9113's, and header fields RFC 7541's, none of them compressed."""

    def __init__(self, address: tuple[str, int], count: int):
        self.count = count
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        most = (1 << 31) - 1
        # As much as can be said may come, over each stream and over all.
        settings = (4).to_bytes(2) + most.to_bytes(4)
        room = (most - 65_535).to_bytes(4)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, settings) + frame(8, 0, 0, room))
        # GET, http, and with the names of the static table the path and the authority.
        fields = b"\x82\x86" + b"\x04\x04/sse" + b"\x01\x05hello"
        end_of_stream_and_headers = 0x5
        for stream in range(count):
            self.socket.sendall(frame(1, end_of_stream_and_headers, 2 * stream + 1, fields))
        self.until(b"heartbeat")
        acknowledgement = 0x1
        self.socket.sendall(frame(4, acknowledgement, 0, b""))

    def until(self, mark: bytes) -> None:
        """Reads until this has come on each stream."""
        heard = b""
        while heard.count(mark) < self.count:
            more = self.socket.recv(1 << 16)
            if not more:
                raise SystemExit("the server closed a connection")
            heard += more


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


class Publisher:
    """Publishes over a connection that stays open."""

    def __init__(self, address: tuple[str, int]):
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.count = 0

    def publish(self, count: int) -> bytes:
        """Publishes so many messages of 128 bytes at once, and answers how the last one ends, by which it is known."""
        requests = []
        for _ in range(count):
            self.count += 1
            mark = b"MARK%012d" % self.count
            body = mark.rjust(128, b".")
            requests.append(b"POST /publish HTTP/1.1\r\nhost: hello\r\ncontent-length: 128\r\n\r\n" + body)
        self.socket.sendall(b"".join(requests))
        answers = b""
        while answers.count(b"HTTP/1.1 ") < count:
            answers += self.socket.recv(1 << 16)
        return mark


def deliver(transport: str, in_flight: int, count: int = FOLLOWERS) -> Callable[[tuple[str, int], int], None]:
    """Messages to so many followers, so many in flight. The next ones are published when all have come everywhere."""

    def run(address: tuple[str, int], rounds: int) -> None:
        followers = [Client(address, transport) for _ in range(count)]
        publisher = Publisher(address)
        by_file = {follower.socket.fileno(): follower for follower in followers}
        poll = select.poll()
        for file in by_file:
            poll.register(file, select.POLLIN)
        for _ in range(rounds):
            mark = publisher.publish(in_flight)
            behind = set(by_file)
            while behind:
                for file, _ in poll.poll(PATIENCE * 1_000):
                    by_file[file].hear()
                    if mark in by_file[file].read:
                        behind.discard(file)

    return run


def deliver_to_streams(address: tuple[str, int], rounds: int) -> None:
    """As many followers, each a stream of one connection."""
    followers = Streams(address, FOLLOWERS)
    publisher = Publisher(address)
    for _ in range(rounds):
        followers.until(publisher.publish(1))


def resume(transport: str) -> Callable[[tuple[str, int], int], None]:
    """Clients that missed some messages, one after the other."""

    def run(address: tuple[str, int], resumes: int) -> None:
        first = Client(address, "sse")
        publisher = Publisher(address)
        first.until(publisher.publish(1))
        cursor = re.findall(rb"id: ?(\S+)", first.read)[-1].decode()
        mark = publisher.publish(MISSED)
        first.until(mark)
        for _ in range(resumes):
            client = Client(address, transport, cursor)
            client.until(mark)
            client.socket.close()

    return run


# What is done, how much of it in the two runs, and how many of what is counted each of that is.
SCENARIOS = {
    "delivery, SSE, 1 in flight": (deliver("sse", 1), (10, 210), FOLLOWERS),
    "delivery, SSE, 32 in flight": (deliver("sse", 32), (1, 41), 32 * FOLLOWERS),
    "delivery, WebSocket, 1 in flight": (deliver("ws", 1), (10, 210), FOLLOWERS),
    "delivery, WebSocket, 32 in flight": (deliver("ws", 32), (1, 41), 32 * FOLLOWERS),
    "delivery, SSE over HTTP/2": (deliver_to_streams, (10, 110), FOLLOWERS),
    "message with one follower, SSE": (deliver("sse", 1, 1), (10, 410), 1),
    "message with one follower, WebSocket": (deliver("ws", 1, 1), (10, 410), 1),
    f"resume of {MISSED}, SSE": (resume("sse"), (20, 220), 1),
    f"resume of {MISSED}, WebSocket": (resume("ws"), (20, 220), 1),
}


@contextmanager
def counted(hello: Path, directory: Path):
    """The server under callgrind. Yields its address, and a list that has how many instructions it ran once it is over."""
    log = directory / "callgrind.log"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out", f"--log-file={log}", hello]
    # One thread: two would run other instructions each time.
    environment = os.environ | {"ADDR": "127.0.0.1:0", "TOKIO_WORKER_THREADS": "1"}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    counts: list[int] = []
    try:
        told = server.stderr.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+)", told)
        if not port:
            raise SystemExit(f"{hello} said: {told}")
        yield ("127.0.0.1", int(port[1])), counts
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
    finally:
        server.kill()
        server.wait()
    counts.append(int(re.search(r"Collected : (\d+)", log.read_text())[1]))


def count(hello: Path, name: str) -> int:
    run, amounts, each = SCENARIOS[name]
    totals = []
    for amount in amounts:
        with tempfile.TemporaryDirectory() as directory:
            with counted(hello, Path(directory)) as (address, counts):
                run(address, amount)
            totals += counts
    return round((totals[1] - totals[0]) / ((amounts[1] - amounts[0]) * each))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="make the baseline anew")
    parser.add_argument("hello", type=Path, help="the example's binary, as `cargo build --release -p hello` makes it")
    arguments = parser.parse_args()
    found = {name: count(arguments.hello, name) for name in SCENARIOS}
    if arguments.write:
        BASELINE.write_text(json.dumps(found, indent=2) + "\n")
    baseline = json.loads(BASELINE.read_text())
    outside = []
    for name, instructions in found.items():
        change = instructions / baseline[name] - 1
        print(f"{name:36} {instructions:7,} instructions, {change:+7.1%} to the baseline")
        if abs(change) > MARGIN:
            outside.append(name)
    if outside:
        sys.exit(f"more than {MARGIN:.0%} from the baseline: {'; '.join(outside)}. Where that is meant: {sys.argv[0]} --write")
    print(f"{len(found)} counts, all within {MARGIN:.0%} of the baseline.")


if __name__ == "__main__":
    main()
