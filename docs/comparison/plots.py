#!/usr/bin/env python3
"""Draws what `just compare` has measured: bytes.svg, latency.svg, cpu.svg and upstream.svg.

    .tools/matplotlib-VERSION/bin/python docs/comparison/plots.py              from figures.json, beside this, to here
    .tools/matplotlib-VERSION/bin/python docs/comparison/plots.py FILE PLACE   from another file to another directory

The same figures give the same bytes. Words stay words, in the reader's own colour: GitHub shows a drawing on white or on black.
"""

import io
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot  # noqa: E402: the backend is chosen before.

from figures import CPU, FIGURES, IN_FLIGHT, SENDING, TRANSPORTS, Report, in_order, of_suite  # noqa: E402

# Told apart by those who see no red or green, and readable on white and on black.
COLORS = {"sse": "#2f81f7", "sse-http2": "#8957e5", "ws": "#db6d28"}
MARKERS = {"sse": "o", "sse-http2": "s", "ws": "^"}

# Stands for the reader's own colour until the drawing is written. No series has it.
INK = "#010203"
# As GitHub has them.
STYLE = "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"

matplotlib.rcParams.update(
    {
        "svg.hashsalt": "dualcast",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "savefig.transparent": True,
    }
)


def write(figure, path):
    """Writes a drawing, without what would differ the next time."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    pyplot.close(figure)
    text = drawn.getvalue().replace(INK, "currentColor")
    head, rest = text.split("<defs>", 1)
    lines = (f"{head}{STYLE}\n <defs>{rest}").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")


def bars(axes, groups, values, names=TRANSPORTS):
    """Groups of bars, one for each transport, with what they stand for above them. `values`: by transport, one a group."""
    width = 0.8 / len(names)
    for at, (transport, name) in enumerate(names.items()):
        places = [group + (at - (len(names) - 1) / 2) * width for group in range(len(groups))]
        heights = [value or 0 for value in values[transport]]
        drawn = axes.bar(places, heights, width * 0.92, color=COLORS[transport], label=name)
        labels = ["refused" if value is None else short(value) for value in values[transport]]
        axes.bar_label(drawn, labels, fontsize=7, padding=1)
    axes.set_xticks(range(len(groups)), groups)
    axes.margins(y=0.12)


def short(value):
    if value >= 99.5 or (value > 1 and abs(value - round(value)) < 0.01):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def draw_bytes(report):
    """What stands around a payload: next to nothing changes with its size, so the payload itself is left out."""
    sizes = in_order(report.rows("bytes"), "payload")
    figure, all_axes = pyplot.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for axes, tls in zip(all_axes, (False, True)):
        around = {
            transport: [
                report.figure("bytes", lambda row, size=size: row["received"] - size, payload=size, transport=transport, tls=tls)
                for size in sizes
            ]
            for transport in TRANSPORTS
        }
        bars(axes, [f"{size:,}" for size in sizes], around)
        axes.set_title("with TLS 1.3" if tls else "plain")
        axes.set_xlabel("payload, bytes")
    all_axes[0].set_ylabel("bytes around a message's payload")
    all_axes[0].legend(loc="upper left", ncols=1, fontsize=8, bbox_to_anchor=(0, 1.02))
    all_axes[0].set_ylim(top=all_axes[0].get_ylim()[1] * 1.35)
    return figure


def draw_latency(report):
    rates = in_order(report.rows("latency"), "rate")
    figure, all_axes = pyplot.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for axes, quantile in zip(all_axes, ("p50", "p99")):
        for transport, name in TRANSPORTS.items():
            values = [report.figure("latency", quantile, transport=transport, rate=rate) for rate in rates]
            known = [(rate, value) for rate, value in zip(rates, values) if value is not None]
            axes.plot(*zip(*known), color=COLORS[transport], marker=MARKERS[transport], label=name) if known else None
        axes.set_xscale("log")
        axes.set_xticks(rates, [f"{rate:,}" for rate in rates])
        axes.minorticks_off()
        axes.set_title(quantile)
        axes.set_xlabel("messages a second, each to all connections")
    all_axes[0].set_ylabel("latency, ms")
    all_axes[0].set_ylim(bottom=0)
    all_axes[0].legend(fontsize=8)
    return figure


def draw_cpu(report):
    figure, axes = pyplot.subplots(figsize=(7, 3.2))
    values = {
        transport: [report.figure("cpu", of_suite(case, CPU), transport=transport) for case in IN_FLIGHT]
        for transport in TRANSPORTS
    }
    bars(axes, IN_FLIGHT, values)
    axes.set_ylabel(CPU)
    axes.legend(fontsize=8)
    return figure


def draw_upstream(report):
    counts = in_order(report.rows("upstream"), "in_flight")
    figure, (times, sizes) = pyplot.subplots(1, 2, figsize=(9, 3.2))
    tls = {"tls": True}
    values = {
        transport: [report.figure("upstream", "p50", transport=transport, in_flight=count, headers="bare", **tls) for count in counts]
        for transport in SENDING
    }
    bars(times, [f"{count} in flight" for count in counts], values, SENDING)
    times.set_ylabel("until the answer, p50, ms")
    times.legend(fontsize=8, loc="upper left")
    times.set_ylim(top=times.get_ylim()[1] * 1.35)

    def sent(transport, manners):
        manners = "bare" if transport == "ws" else manners
        return report.figure("upstream", "sent", transport=transport, in_flight=1, headers=manners, **tls)

    values = {transport: [sent(transport, manners) for manners in ("bare", "browser")] for transport in SENDING}
    bars(sizes, ["bare", "a browser's headers"], values, SENDING)
    sizes.set_ylabel("bytes to the server a message")
    figure.suptitle("128 bytes from a client, with TLS", fontsize=10)
    figure.subplots_adjust(wspace=0.25)
    return figure


def main():
    file, place = map(Path, sys.argv[1:]) if len(sys.argv) == 3 else (FIGURES, FIGURES.parent)
    report = Report(file)
    place.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        write(draw(report), place / name)


DRAWINGS = {
    "bytes.svg": draw_bytes,
    "latency.svg": draw_latency,
    "cpu.svg": draw_cpu,
    "upstream.svg": draw_upstream,
}


if __name__ == "__main__":
    main()
