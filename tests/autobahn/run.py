#!/usr/bin/env python3
"""Runs Autobahn's fuzzing client against examples/raw-echo, and against tokio-tungstenite's own echo for comparison.

    tests/autobahn/run.py WSTEST          every case but those of sections 9, 12 and 13
    tests/autobahn/run.py WSTEST 9.*      these cases instead

Sections 12 and 13 are about compression, which tungstenite doesn't have; section 9 sends messages of megabytes and measures
throughput. The suite's exit code is 0 even where cases fail, so its report is read.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVERS = {
    "Dualcast": ["cargo", "run", "--quiet", "--locked", "-p", "raw-echo"],
    "tungstenite": ["cargo", "run", "--quiet", "--locked", "-p", "dualcast-tests", "--bin", "tungstenite-echo"],
}
# From best to worst.
RANKS = ["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED"]
TIMEOUT_SECONDS = 600


def main():
    wstest, *cases = sys.argv[1:]
    cases = cases or ["*"]
    excluded = [] if cases != ["*"] else ["9.*", "12.*", "13.*"]
    reports = {name: report(wstest, name, command, cases, excluded) for name, command in SERVERS.items()}
    for name, results in reports.items():
        counts = Counter(result["behavior"] for result in results.values())
        print(f"{name}: {len(results)} cases:", ", ".join(f"{n} {behavior}" for behavior, n in counts.most_common()))

    ours, theirs = reports["Dualcast"], reports["tungstenite"]
    assert ours and ours.keys() == theirs.keys(), "both servers ran the same cases"
    passed = [case for case in ours if is_good_enough(ours[case], theirs[case])]
    for case in sorted(ours.keys() - set(passed)):
        print(f"case {case}: {ours[case]}, and tungstenite {theirs[case]}")
    failed = len(ours) - len(passed)
    print(f"{len(passed)} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def is_good_enough(ours, theirs):
    """OK, or no worse than tungstenite: in what was said, and in how the connection was closed."""
    return all(
        RANKS.index(ours[aspect]) <= max(RANKS.index(theirs[aspect]), RANKS.index("OK"))
        for aspect in ("behavior", "behaviorClose")
    )


def report(wstest, name, command, cases, excluded):
    """What Autobahn says of a server, by case."""
    with tempfile.TemporaryDirectory() as folder, running(command) as url:
        spec = {
            "outdir": folder,
            "servers": [{"agent": name, "url": url}],
            "cases": cases,
            "exclude-cases": excluded,
            "exclude-agent-cases": {},
        }
        spec_file = Path(folder, "spec.json")
        spec_file.write_text(json.dumps(spec))
        done = subprocess.run(
            [wstest, "--mode", "fuzzingclient", "--spec", str(spec_file)],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=TIMEOUT_SECONDS,
        )
        index = Path(folder, "index.json")
        if done.returncode or not index.exists():
            sys.exit(f"Autobahn failed:\n{done.stdout}\n{done.stderr}")
        return json.loads(index.read_text())[name]


@contextmanager
def running(command):
    """A server on a port of its own, which ends with the block."""
    environment = {**os.environ, "ADDR": "127.0.0.1:0"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        urls = (re.search(r"ws://\S+", line) for line in process.stderr)
        url = next(filter(None, urls), None) or sys.exit(f"{command} does not listen")
        yield url.group()
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
