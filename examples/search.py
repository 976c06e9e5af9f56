"""Ask a running server, from any program: `python examples/search.py "a red thing" [http://127.0.0.1:8000]`."""

from __future__ import annotations

import sys

from cinedex_client import DEFAULT_URL, Client, ClientError


def main(query: str, url: str = DEFAULT_URL) -> int:
    """A line a moment: when, how well it fits, where."""
    try:
        with Client(url) as cinedex:
            answer = cinedex.search(query, limit=5)
    except ClientError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for moment in answer.moments:
        sys.stdout.write(f"{moment.start:8.2f}–{moment.end:.2f} s  {moment.score:.3f}  {moment.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
