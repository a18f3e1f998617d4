#!/usr/bin/env python3
"""Puts what `just compare` has measured into docs/comparison.md.

    docs/comparison/figures.py            from figures.json, beside this
    docs/comparison/figures.py FILE       from another file
    docs/comparison/figures.py --check    says whether the document has what the JSON says
    docs/comparison/figures.py --show     prints the tables, and changes nothing
"""

import argparse
import json
import statistics
import sys
from email.utils import parsedate_to_datetime
from pathlib import Path

from tables import put, table

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "comparison.md"
FIGURES = HERE / "figures.json"

TRANSPORTS = {"sse": "SSE", "sse-http2": "SSE over HTTP/2", "ws": "WebSocket"}
SENDING = {"sse": "POST over HTTP/1.1", "sse-http2": "POST over HTTP/2", "ws": "WebSocket message"}
CLIENTS = {
    "event-source": "`EventSource`, and the server goes by its id",
    "event-source-without-memory": "`EventSource`, and the server ignores it",
    "web-socket": "bare WebSocket",
    "web-socket-without-memory": "bare WebSocket, server by hand",
    "web-socket-with-cursor": "WebSocket with a cursor",
    "over-both-with-cursor": "one cursor, over the other transport each time",
}


class Report:
    """What was measured."""

    def __init__(self, path):
        self.all = json.loads(path.read_text())

    def rows(self, question, **wanted):
        """The rows of a question that have these values."""
        rows = self.all["questions"][question]["rows"]
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    def figure(self, question, name, **wanted):
        """A figure of that row, or the median of several, which are rounds; None where one of them was refused."""
        rows = self.rows(question, **wanted)
        if not rows or any("refused" in row for row in rows):
            return None
        # One that was measured: of two the lower.
        return statistics.median_low(name(row) if callable(name) else row[name] for row in rows)

    def cells(self, question, names, **wanted):
        """Those figures, as they stand in a table."""
        figures = [self.figure(question, name, **wanted) for name in names]
        return ["refused" if figure is None else rounded(figure) for figure in figures]

    def refused(self, question):
        """What stands below a table for rows that have no figures."""
        reasons = [row["refused"] for row in self.rows(question) if "refused" in row]
        return "".join(f"\nRefused: {reason}.\n" for reason in dict.fromkeys(reasons))


def rounded(value):
    """Three digits, as many as can be believed; of counts all."""
    size = abs(value)
    if value == int(value) or size >= 99.5:
        return f"{value:,.0f}"
    digits = 1 if size >= 9.95 else 2 if size >= 0.095 else 3
    return f"{value:.{digits}f}"


def ways():
    """Each transport, plain and with TLS, and what it is called."""
    for tls in (False, True):
        for transport, name in TRANSPORTS.items():
            yield {"transport": transport, "tls": tls}, name + (", TLS" if tls else "")


def in_order(rows, name):
    """The values that rows have, each once."""
    return list(dict.fromkeys(row[name] for row in rows))


def machine(report):
    machine, versions = report.all["machine"], report.all["versions"]
    last = max(parsedate_to_datetime(answer["at"]) for answer in report.all["questions"].values())
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("hyper", "h2", "rustls", "tokio") if name in versions)
    lines = f"{machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}; {libraries}; {last.day} {last:%B %Y}.\n"
    if report.all["is_quick"]:
        lines += "\nMeasured with `--quick`: it says that it runs, and nothing else.\n"
    return lines


def bytes_on_the_wire(report):
    sizes = in_order(report.rows("bytes"), "payload")
    head = ["payload, bytes", *(name for _, name in ways())]
    rows = [
        [f"{size:,}", *(cell for way, _ in ways() for cell in report.cells("bytes", ["received"], payload=size, **way))]
        for size in sizes
    ]
    return table(head, rows)


def opening(report):
    head = [
        "bytes",
        "request",
        "with a browser's headers",
        "answer",
        "TLS handshake, to the server",
        "to the client",
        "an hour's silence, to the client",
        "to the server",
    ]
    rows = []
    for way, name in ways():
        bare = report.cells("opening", ["sent", "received"], headers="bare", **way)
        browser = report.cells("opening", ["sent"], headers="browser", **way)
        handshake = report.cells("opening", ["handshake_sent", "handshake_received"], headers="bare", **way)
        silence = report.cells("silence", ["received_an_hour", "sent_an_hour"], **way)
        rows.append([name, bare[0], *browser, bare[1], *(handshake if way["tls"] else ["", ""]), *silence])
    return table(head, rows) + report.refused("silence")


def first_message(report):
    head = ["ms", "p50", "p95", "with TLS, p50", "p95"]
    rows = [
        [
            name,
            *report.cells("first-message", ["p50", "p95"], transport=transport, tls=False),
            *report.cells("first-message", ["p50", "p95"], transport=transport, tls=True),
        ]
        for transport, name in TRANSPORTS.items()
    ]
    return table(head, rows)


def latency(report):
    head = ["messages a second", "", "p50, ms", "p95, ms", "p99, ms", "server CPU, µs a delivery"]
    rows = [
        [f"{rate:,}", name, *report.cells("latency", ["p50", "p95", "p99", "server_cpu"], rate=rate, transport=transport)]
        for rate in in_order(report.rows("latency"), "rate")
        for transport, name in TRANSPORTS.items()
    ]
    return table(head, rows)


def of_suite(case, metric):
    """A figure of the suite's fan-out."""

    def figure(row):
        [value] = [
            figure["value"] for figure in row["figures"] if (figure["case"], figure["metric"]["name"]) == (case, metric)
        ]
        return value

    return figure


IN_FLIGHT = [f"{count} in flight" for count in (1, 4, 32)]
CPU = "server CPU, µs a delivery"
DELIVERIES = "1,000 deliveries a second"


def cpu(report):
    metrics = [of_suite(case, metric) for metric in (CPU, DELIVERIES) for case in IN_FLIGHT]
    head = ["", f"{CPU}: {IN_FLIGHT[0]}", *IN_FLIGHT[1:], f"{DELIVERIES}: {IN_FLIGHT[0]}", *IN_FLIGHT[1:]]
    rows = [[name, *report.cells("cpu", metrics, transport=transport)] for transport, name in TRANSPORTS.items()]
    return table(head, rows)


def memory(report):
    head = ["KiB a stream", "never used", "after a message"]
    rows = [
        [
            TRANSPORTS[row["transport"]] + (f", {row['streams_a_connection']} a connection" if row["transport"] == "sse-http2" else ""),
            *report.cells(
                "memory",
                ["never_used", "after_a_message"],
                transport=row["transport"],
                streams_a_connection=row["streams_a_connection"],
            ),
        ]
        for row in report.rows("memory")
    ]
    return table(head, rows)


def burst(report):
    head = ["ms", "until all have all, p50", "the longest", "a message, p50", "p99"]
    rows = [
        [name, *report.cells("burst", ["all_p50", "all_most", "p50", "p99"], transport=transport)]
        for transport, name in TRANSPORTS.items()
    ]
    return table(head, rows)


def slow(report):
    head = [
        "messages a second",
        "",
        "the others, all links fast: p99, ms",
        "beside the slow one: p99, ms",
        "server grew, all links fast: KiB",
        "beside the slow one: KiB",
        "slow one: behind at the end",
        "received",
        "missing, and told so",
        "missing in silence",
    ]
    measured = ["all_fast_p99", "beside_p99", "all_fast_grown", "beside_grown"]
    # Of one round: together they are all that was published.
    counted = ["behind", "received", "lost_and_told", "lost_in_silence"]
    rows = [
        [
            f"{rate:,}",
            name,
            *report.cells("slow", measured, rate=rate, transport=transport),
            *report.cells("slow", counted, rate=rate, transport=transport, round=0),
        ]
        for rate in in_order(report.rows("slow"), "rate")
        for transport, name in TRANSPORTS.items()
    ]
    return table(head, rows)


def upstream(report):
    head = ["", "in flight", "p50, ms", "p99, ms", "bytes to the server", "with a browser's headers", "bytes to the client"]
    rows = []
    for way, _ in ways():
        for count in in_order(report.rows("upstream"), "in_flight"):
            bare = report.cells("upstream", ["p50", "p99", "sent", "received"], in_flight=count, headers="bare", **way)
            # A message on a WebSocket has no headers.
            manners = "bare" if way["transport"] == "ws" else "browser"
            browser = report.cells("upstream", ["sent"], in_flight=count, headers=manners, **way)
            name = SENDING[way["transport"]] + (", TLS" if way["tls"] else "")
            rows.append([name, count, *bare[:3], *browser, bare[3]])
    return table(head, rows)


def binary(report):
    head = ["payload, bytes", "", "bytes on the wire", "more than the payload, %", "server CPU, µs a delivery", "client CPU, µs"]
    rows = []
    for size in in_order(report.rows("binary"), "payload"):
        more = lambda row, size=size: 100 * (row["received"] - size) / size
        for transport, name in TRANSPORTS.items():
            names = ["received", more, "server_cpu", "client_cpu"]
            rows.append([f"{size:,}", name, *report.cells("binary", names, payload=size, transport=transport)])
    return table(head, rows)


def cut(report):
    head = ["client", "away each time, s", "published", "received", "lost in silence", "lost, and told so", "doubled"]
    each = lambda row: row["away_seconds"] / row["cuts"]
    names = [each, "published", "received", "lost_in_silence", "lost_and_told", "doubled"]
    rows = [[name, *report.cells("cut", names, client=client)] for client, name in CLIENTS.items()]
    return table(head, rows)


def compression(report):
    head = ["", "plain, bytes", "compressed", "%", "compressing, µs", "decompressing, µs"]
    share = lambda row: 100 * row["compressed"] / row["plain"]
    what = {"prices": "prices", "chat": "chat"}
    how = {
        ("sse", "shared"): "SSE, the stream",
        ("ws", "shared"): "WebSocket, context kept",
        ("ws", "alone"): "WebSocket, each message alone",
    }
    rows = [
        [
            f"{name}: {form}",
            *report.cells(
                "compression",
                ["plain", "compressed", share, "compressing", "decompressing"],
                corpus=corpus,
                transport=transport,
                context=context,
            ),
        ]
        for corpus, name in what.items()
        for (transport, context), form in how.items()
    ]
    return table(head, rows)


TABLES = {
    "machine": (machine, None),
    "bytes": (bytes_on_the_wire, "bytes"),
    "opening": (opening, "opening"),
    "first-message": (first_message, "first-message"),
    "latency": (latency, "latency"),
    "cpu": (cpu, "cpu"),
    "memory": (memory, "memory"),
    "burst": (burst, "burst"),
    "slow": (slow, "slow"),
    "upstream": (upstream, "upstream"),
    "binary": (binary, "binary"),
    "cut": (cut, "cut"),
    "compression": (compression, "compression"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=FIGURES)
    parser.add_argument("--check", action="store_true", help="say whether the document has what the JSON says, and change nothing")
    parser.add_argument("--show", action="store_true", help="print the tables, and change nothing")
    options = parser.parse_args()
    report = Report(options.file)
    tables = {name: show(report) + (report.refused(question) if question else "") for name, (show, question) in TABLES.items()}
    if options.show:
        print("\n".join(f"{name}\n\n{text}" for name, text in tables.items()))
        return
    is_same = put(DOCUMENT, tables, only_check=options.check)
    if options.check and not is_same:
        sys.exit(f"{DOCUMENT} has other figures than {options.file}: docs/comparison/figures.py puts them in")


if __name__ == "__main__":
    main()
