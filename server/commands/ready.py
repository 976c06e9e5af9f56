"""`python -m server.commands.ready`: what a container asks itself, whether its server can be searched."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 5.0


def main() -> int:
    """0 where /readyz says 200; else 1, and why."""
    port = int(os.environ.get("CINEDEX_PORT") or 8000)
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        said = answer.read(1000).decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        sys.stdout.write(f"port {port} does not answer: {error}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(f"{answer.status} {said}\n")
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
