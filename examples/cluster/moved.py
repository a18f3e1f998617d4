#!/usr/bin/env python3
"""A client that is moved from node to node while others publish, over each transport, and holds what it saw to what was published.

    examples/cluster/moved.py                  by the balancer on port 3000
    examples/cluster/moved.py URL...           by these in turn: the nodes themselves, say

Every so many messages it hangs up without a word, and comes back with the last id that it saw. It knows no more than the protocol.
"""

import base64
import json
import os
import random
import socket
import struct
import sys
import threading
import time
import urllib.request
from urllib.parse import urlsplit

MESSAGES = 1_000
PATIENCE = 30


def main():
    urls = sys.argv[1:] or ["http://127.0.0.1:3000"]
    clients = [Client(name, read, urls) for name, read in (("sse", event_stream), ("ws", web_socket))]
    for client in clients:
        client.start()
    for client in clients:
        if not client.follows.wait(PATIENCE):
            sys.exit(f"{client.name}: it could not connect: {client.trouble}")
    published = [str(number) for number in range(1, MESSAGES + 1)]
    # Each in its place: a node answers when the message stands in the log.
    for index, text in enumerate(published):
        request = urllib.request.Request(f"{urls[index % len(urls)]}/publish", text.encode(), method="POST")
        urllib.request.urlopen(request, timeout=PATIENCE).read()
    for client in clients:
        client.join(PATIENCE)
    if not all([client.report(published) for client in clients]):
        sys.exit(1)


class Client(threading.Thread):
    """Follows, is cut, and comes back elsewhere, until it has seen the last message."""

    def __init__(self, name, read, urls):
        super().__init__(name=name, daemon=True)
        self.read = read
        self.urls = urls
        self.follows = threading.Event()
        self.last_id = None
        self.stays = []  # One for each connection: at which node, and what it saw there.
        self.gaps = []
        self.trouble = None

    def run(self):
        while not self.is_done():
            try:
                self.stay(self.urls[len(self.stays) % len(self.urls)])
            except OSError as error:
                self.trouble = error
                time.sleep(0.1)

    def stay(self, url):
        enough = random.randint(20, 60)
        with connect(url) as connection:
            node, messages = self.read(connection, url, self.last_id)
            seen = []
            self.stays.append((node, seen))
            for kind, last_id, text in messages:
                self.last_id = last_id or self.last_id
                self.follows.set()
                if kind == "gap":
                    self.gaps.append(text)
                elif kind == "message":
                    seen.append((self.last_id, text))
                if self.is_done() or len(seen) >= enough:
                    # Cut, not closed: a reset, as when a machine is gone.
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return

    def is_done(self):
        return bool(self.stays) and any(text == str(MESSAGES) for _, text in self.stays[-1][1])

    def report(self, published):
        for node, seen in self.stays:
            if seen:
                (first_id, first), (last_id, last) = seen[0], seen[-1]
                print(f"{self.name:3} at {node}: {first:>4} to {last:>4}, ids {first_id} to {last_id}")
        seen = [text for _, seen in self.stays for _, text in seen]
        nodes = {node for node, _ in self.stays}
        missing, twice = len(set(published) - set(seen)), len(seen) - len(set(seen))
        is_in_order = [int(text) for text in seen] == sorted(int(text) for text in seen)
        print(
            f"{self.name:3}: {len(seen)} messages from {len(nodes)} nodes in {len(self.stays)} connections: "
            f"missing {missing}, twice {twice}, gaps {len(self.gaps)}, {'in order' if is_in_order else 'OUT OF ORDER'}",
            flush=True,
        )
        return seen == published and not self.gaps and len(nodes) > 1


def connect(url):
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(connection, url, target, headers):
    """Sends a GET, and answers which node answered, and what reads the rest."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    reader = connection.makefile("rb")
    status = reader.readline().decode()
    if not status.startswith(("HTTP/1.1 200", "HTTP/1.1 101")):
        raise OSError(f"answered {status.strip()}")
    head = {}
    for line in iter(reader.readline, b"\r\n"):
        if not line:
            raise OSError("it was cut in its head")
        name, value = line.decode().split(":", 1)
        head[name.lower()] = value.strip()
    return head["node"], reader


def event_stream(connection, url, last_id):
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
    node, reader = request(connection, url, "/sse", headers)

    def messages():
        event, current, data = "message", None, []
        for line in lines(chunks(reader)):
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "id":
                current = value
            elif name == "data":
                data.append(value)
            elif not line and data:
                yield event.removeprefix("dualcast:"), current, "\n".join(data)
                event, data = "message", []

    return node, messages()


def chunks(reader):
    """The pieces of a chunked body (RFC 9112 section 7.1)."""
    while size := int(reader.readline() or b"0", 16):
        yield reader.read(size)
        reader.readline()


def lines(pieces):
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode() for line in whole)


def web_socket(connection, url, last_id):
    target = f"/ws?last-event-id={last_id}" if last_id else "/ws"
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    node, reader = request(connection, url, target, headers)

    def messages():
        while head := reader.read(2):
            # From a server nothing is masked, and nothing here is fragmented (RFC 6455 section 5.2).
            opcode, length = head[0] & 0x0F, head[1]
            if length > 125:
                length = int.from_bytes(reader.read(2 if length == 126 else 8), "big")
            payload = reader.read(length)
            if opcode == 9:
                # A pong, whose mask is none.
                connection.sendall(bytes([0x8A, 0x80 | length, 0, 0, 0, 0]) + payload)
            if opcode == 1:
                said = json.loads(payload)
                yield said.get("control", "message"), said.get("id"), said.get("data", payload.decode())

    return node, messages()


if __name__ == "__main__":
    main()
