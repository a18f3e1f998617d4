#!/usr/bin/env python3
"""Puts what `tests/proxies/matrix.mjs` has measured, `proxies.json`, into `docs/proxies.md`, or says by `--check` whether it stands there."""

import json
import sys
from pathlib import Path

from tables import put, table

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "proxies.md"


def main(arguments):
    if arguments not in ([], ["--check"]):
        raise SystemExit(__doc__)
    only_check = bool(arguments)
    measured = json.loads((HERE / "proxies.json").read_text())
    if not put(DOCUMENT, tables(measured), only_check=only_check) and only_check:
        raise SystemExit(f"{DOCUMENT} has other figures than proxies.json: run {Path(__file__).name}")


def tables(measured):
    cells = Cells(measured)
    by_application = {"Dualcast": [], "plain": []}
    for row in measured["sse"]:
        by_application[row["application"]].append(row)
    return {
        "proxies-machine": f"{measured['machine']}; {measured['measured']}.\n",
        "proxies-sse": table(
            ["proxy", "configuration", "head after", "events late by", "silence cut after", "alive by heartbeats", "end told after", "a page's POST"],
            [
                [*cells.names(row), cells.head(row), cells.events(row), cells.cut(row), cells.alive(row), cells.told(row), row["postStatus"]]
                for row in by_application["Dualcast"]
            ],
        ),
        "proxies-plain": table(
            ["proxy", "configuration", "head after", "events late by", "silence cut after", "end told after", "a second client gets"],
            [
                [*cells.names(row), cells.head(row), cells.events(row), cells.cut(row), cells.told(row), cells.second(row)]
                for row in by_application["plain"]
            ],
        ),
        "proxies-websocket": table(
            ["proxy", "configuration", "a page gets", "messages late by", "silence cut after", "alive by heartbeats", "end told after"],
            [
                [*cells.names(row), row["pageStatus"], cells.events(row), cells.cut(row), cells.alive(row), cells.told(row)]
                for row in measured["websocket"]
            ],
        ),
    }


class Cells:
    """What a row says in each column. Where something was not measured, or there was nothing to measure, it says nothing."""

    def __init__(self, measured):
        self.versions = measured["versions"]
        self.patience = f"not in {measured['patienceSeconds']:g} s"
        self.count = measured["events"]["count"]

    def names(self, row):
        if row["proxy"] == "none":
            return ["none", ""]
        return [f"{row['proxy']} {self.versions[row['proxy']]}", row["configuration"]]

    def head(self, row):
        if row["headMs"] is None:
            return "none"
        encoding = f", {row['encoding']}" if row["encoding"] else ""
        return f"{row['headMs']:.0f} ms{encoding}"

    def events(self, row):
        if "arrived" not in row:
            return ""
        if not row["arrived"]:
            return "none"
        late = f"{row['lateMs']:.1f}" if row["lateMs"] < 10 else f"{row['lateMs']:.0f}"
        return f"{row['arrived']} of {self.count}, {late} ms" if row["arrived"] < self.count else f"{late} ms"

    def cut(self, row):
        return self._after(row, "cutSeconds")

    def told(self, row):
        return self._after(row, "toldSeconds")

    def _after(self, row, key):
        if key not in row:
            return ""
        seconds = row[key]
        if seconds is None:
            return self.patience
        # It is asked every quarter of a second.
        return "at once" if seconds < 0.5 else f"{seconds:.0f} s"

    def alive(self, row):
        return {True: "yes", False: "no", None: ""}[row.get("livesByHeartbeats")]

    def second(self, row):
        return "its own" if row["isOwn"] else "the first one's"


if __name__ == "__main__":
    main(sys.argv[1:])
