"""Puts tables into the documents between marks that bear their names, so that no figure is copied by hand:

    <!-- table: bytes -->
    <!-- end of table -->
"""

import re
from pathlib import Path


def table(head, rows):
    """A table of these cells. The first column is words, the others are figures."""
    marks = ["---"] + ["--:"] * (len(head) - 1)
    return "".join("| " + " | ".join(map(str, cells)) + " |\n" for cells in [head, marks, *rows])


def put(document: Path, tables: dict[str, str], *, only_check=False):
    """Puts these tables, by name, into a document, or, if told so, says whether they stand there already.

    A table without a mark is an error: one of them has another name by now. Other marks are another program's.
    """
    before = document.read_text()
    missing = set(tables)

    def filled(mark):
        name = mark["name"]
        if name not in tables:
            return mark[0]
        missing.discard(name)
        return f"{mark['begin']}{tables[name]}{mark['end']}"

    marks = re.compile(r"(?P<begin><!-- table: (?P<name>[\w-]+) -->\n)(?:.*?)(?P<end><!-- end of table -->)", re.DOTALL)
    after = marks.sub(filled, before)
    if missing:
        raise SystemExit(f"{document} has no place for: {', '.join(sorted(missing))}")
    if not only_check:
        document.write_text(after)
    return before == after
