#!/usr/bin/env python3
"""Puts what `tests/browser/compare.mjs` has measured in browsers into docs/comparison.md, or says whether it stands there: `--check`."""

import json
import statistics
import sys
from pathlib import Path

from tables import put, table

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "comparison.md"


def yes(is_so):
    return "yes" if is_so else "no"


def seconds(milliseconds):
    """The median of these, and their range where it can be seen."""
    low, middle, high = (f"{each / 1000:.2f}" for each in (min(milliseconds), statistics.median(milliseconds), max(milliseconds)))
    return middle if low == high else f"{middle} ({low}–{high})"


def later(told):
    """How much later than it was told a stream was asked for, in milliseconds."""
    late = [each["waited"] - each["told"] for each in told]
    return f"{statistics.median(late):.0f} ({min(late)}–{max(late)})"


def attempts(away):
    if away["hasGivenUp"]:
        return f"gives up at attempt {len(away['apart'])}"
    return f"every {seconds(away['apart'])} s"


def rows(browsers, cells):
    """A row for each question: its words, and what each browser says to it."""
    return [[words, *(answer(browser) for browser in browsers)] for words, answer in cells]


def connections(browsers):
    def of(*names):
        def answer(browser):
            found = browser["connections"]
            for name in names:
                found = found[name]
            return found

        return answer

    def said(*names):
        return lambda browser: yes(of(*names)(browser))

    return rows(
        browsers,
        [
            ("**HTTP/1.1**: of 10 event streams that a page asks for, open", of("page", "open")),
            ("of 5 in each of two tabs, open", lambda browser: sum(of("tabs", "open")(browser))),
            ("beside six of them a `fetch` is answered", said("page", "isAnswered")),
            ("beside six of them a WebSocket opens", said("page", "webSocketOpens")),
            ("beside six of them another tab of the site loads", said("page", "tabLoads")),
            ("once one is closed, open again", of("page", "openAfterOneClosed")),
            ("of 300 WebSockets that a page asks for, open", of("webSockets", "open")),
            ("refused at once by the browser itself", of("webSockets", "refused")),
            ("**HTTP/2**: of 100 event streams that a page asks for, open", of("http2", "open")),
            ("beside a hundred of them a `fetch` is answered", said("http2", "isAnswered")),
            ("most streams at once, the page's WebSocket among them", of("http2", "most")),
            ("beside so many a `fetch` is answered", said("http2", "isAnsweredAtMost")),
        ],
    )


def comebacks(browsers):
    def of(answer):
        return lambda browser: answer(browser["comebacks"])

    def socket(found):
        return f"{found['comebacks']} times in {found['waited'] / 1000:.0f} s" if found["comebacks"] else f"not in {found['waited'] / 1000:.0f} s"

    return rows(
        browsers,
        [
            ("`EventSource`, cut, told no `retry`: comes back after, s", of(lambda found: seconds(found["cut"]))),
            ("the same, ended in good order, s", of(lambda found: seconds(found["ended"]))),
            ("the same, cut while its tab is hidden, s", of(lambda found: seconds(found["hidden"]["cut"]))),
            ("told Dualcast's `retry`, cut: later than that by, ms", of(lambda found: later(found["told"]))),
            ("the same, while its tab is hidden, ms", of(lambda found: later(found["hidden"]["told"]))),
            ("nobody listens, `retry: 1000`: tries again", lambda browser: attempts(browser["away"]["ownOrigin"])),
            ("the same, a stream of another origin", lambda browser: attempts(browser["away"]["otherOrigin"])),
            (
                "`Last-Event-ID` after a cut before any message, from Dualcast",
                of(lambda found: "the heartbeat's" if found["lastEventId"]["isThatOfTheHeartbeat"] else "another"),
            ),
            ("from a server without ids", of(lambda found: found["lastEventId"]["withoutIds"] or "none")),
            (
                "behind an event with `id: 1` and a block of `id: 2` alone",
                of(lambda found: found["lastEventId"]["behindAnIdAlone"] or "none"),
            ),
            ("`WebSocket`, cut: comes back by itself", of(lambda found: socket(found["webSocket"]))),
            ("its `close` event says", of(lambda found: found["webSocket"]["code"])),
        ],
    )


def losses(browsers):
    def of(client):
        def answer(browser):
            found = next(each for each in browser["losses"] if each["client"] == client)
            return f"{found['lost']:,} of {found['published']:,}" + (f", {found['doubled']:,} twice" if found["doubled"] else "")

        return answer

    return rows(
        browsers,
        [
            ("native `EventSource`", of("event-source")),
            ("bare `WebSocket`, and another a second after it has closed", of("web-socket")),
            ("[Dualcast's client](client.md), SSE", of("dualcast-sse")),
            ("the same, WebSocket", of("dualcast-ws")),
        ],
    )


def main(only_check):
    browsers = json.loads((HERE / "browsers.json").read_text())["browsers"]
    head = ["", *(f"{browser['name']} {browser['version']}" for browser in browsers)]
    tables = {
        "browsers-connections": table(head, connections(browsers)),
        "browsers-reconnect": table(head, comebacks(browsers)),
        "browsers-losses": table(head, losses(browsers)),
    }
    if not put(DOCUMENT, tables, only_check=only_check) and only_check:
        raise SystemExit(f"{DOCUMENT} has other tables than browsers.json: run docs/comparison/browsers.py")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
