"""Puts what a benchmark printed into README, between its markers: `python -m bench.results NAME <output`."""

import re
import sys
from pathlib import Path

README = Path(__file__).with_name("README.md")


def put(page: str, name: str, said: str) -> str:
    """The page with the results of `name` replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in page or end not in page:
        raise SystemExit(f"bench: {README} has no markers {begin} … {end}")
    return re.sub(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{said.strip()}\n{end}", page, flags=re.S
    )


if __name__ == "__main__":
    printed = sys.stdin.read()
    if "|" not in printed:
        raise SystemExit(f"bench: {sys.argv[1]} brought no table; README stays as it was")
    README.write_text(put(README.read_text(), sys.argv[1], printed))
