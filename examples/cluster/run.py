#!/usr/bin/env python3
"""Starts a server of NATS, two nodes and a balancer, and ends all of them when it is ended itself (Ctrl-C).

    examples/cluster/run.py                    the balancer on port 3000, the nodes on 3001 and 3002
    examples/cluster/run.py PORT NODE NODE     on these; 0 is one that is free

The server of NATS is the one that `tests/run nats-server` has put into `.tools/`, or else the one on the PATH. The balancer is HAProxy; where
there is none the nodes run without it.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PATIENCE = 30


def main():
    ports = [free_port() if port == "0" else int(port) for port in sys.argv[1:] or ("3000", "3001", "3002")]
    balancer, *nodes = [f"127.0.0.1:{port}" for port in ports]
    server = nats_server()
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "cluster"], cwd=ROOT, check=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with ExitStack() as stack:
        try:
            run(stack, server, balancer, nodes)
        except KeyboardInterrupt:
            pass


def run(stack, server, balancer, nodes):
    children = []

    def start(name, command, ends_at=signal.SIGTERM, **environment):
        # In a session of its own: Ctrl-C is for us, and we end them one after the other.
        child = subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True)
        children.append((name, child))
        stack.callback(end, child, ends_at)
        return child

    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="dualcast-cluster-"))
    command = [server, "-js", "-sd", f"{directory}/store", "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", directory]
    command += ["-l", f"{directory}/log"]
    nats = start("NATS", command)
    ports = Path(directory, f"{Path(server).name}_{nats.pid}.ports")
    until("NATS listens", ports.exists, children)
    url = until("NATS says where", lambda: read_ports(ports), children)
    print(f"NATS:     {url}", flush=True)

    for number, address in enumerate(nodes, 1):
        start(f"node {number}", [str(binary())], ends_at=signal.SIGINT, ADDR=address, NATS_URL=url)
    for number, address in enumerate(nodes, 1):
        until(f"node {number} is ready", lambda: answers(f"http://{address}/health/ready"), children)
        print(f"node {number}:   http://{address}", flush=True)

    if haproxy := find("haproxy"):
        where = {"BALANCER": balancer, "NODE_1": nodes[0], "NODE_2": nodes[1]}
        start("HAProxy", [haproxy, "-db", "-f", str(HERE / "haproxy.cfg")], **where)
        until("HAProxy listens", lambda: answers(f"http://{balancer}/health/ready"), children)
        print(f"balancer: http://{balancer}", flush=True)
    else:
        print("there is no HAProxy (Debian: `apt-get install haproxy`): the nodes run without a balancer", flush=True)
    print("all of it runs; Ctrl-C ends it. A client that is moved: examples/cluster/moved.py", flush=True)

    while True:
        check(children)
        time.sleep(0.5)


def nats_server():
    installed = sorted(ROOT.glob(".tools/nats-server-*/bin/nats-server"))
    found = os.environ.get("NATS_SERVER") or (str(installed[-1]) if installed else shutil.which("nats-server"))
    if not found:
        sys.exit("there is no nats-server: `tests/run nats-server` puts one into .tools/; one on the PATH serves as well")
    return found


def find(name):
    """A program. Debian has some where only root looks."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def binary():
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    return Path(json.loads(metadata.stdout)["target_directory"], "debug/cluster")


def read_ports(path):
    try:
        return json.loads(path.read_text())["nats"][0]
    except ValueError:
        # It is being written.
        return None


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=1).status == 200
    except OSError:
        return False


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, holds, children):
    end = time.monotonic() + PATIENCE
    while not (result := holds()):
        check(children)
        if time.monotonic() > end:
            sys.exit(f"not so within {PATIENCE} seconds: {what}")
        time.sleep(0.02)
    return result


def check(children):
    for name, child in children:
        if child.poll() is not None:
            sys.exit(f"{name} has ended ({child.returncode})")


def end(child, how):
    """In good order, or by force. A child that has ended and was seen to is no process any more, and nobody else is hit."""
    if child.poll() is not None:
        return
    child.send_signal(how)
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()
