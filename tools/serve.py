"""Serve the built book on a local port and open it: ``python tools/serve.py _build/html 8000``."""

from __future__ import annotations

import functools
import http.server
import sys
import webbrowser
from pathlib import Path


def main(site: str, port: str) -> None:
    """Serve ``site`` on 127.0.0.1 until interrupted; take any free port if ``port`` is taken."""
    if not Path(site, "index.html").exists():
        sys.exit(f"{site}/index.html is not there: run 'make book' first")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler)
    except OSError:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://127.0.0.1:{server.server_port}/"
    print(f"The book is at {url} — stop with Ctrl+C")
    webbrowser.open(url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])
