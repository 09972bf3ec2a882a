"""Serve the built book on a local port and open it: ``python tools/serve.py _build/html 8000``."""

from __future__ import annotations

import argparse
import functools
import http.server
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path


def port_number(text: str) -> int:
    """Read a port number; 0 is any free one."""
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"expected a port number from 0 to 65535, got {text!r}")
    return int(text)


def bind(site: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Listen on the port of this machine, or, said so, on a free one if it is taken."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:  # also: ports below 1024, which not everybody may open
        print(f"Port {port} cannot be used ({error.strerror}): taking a free one.")
        return http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a folder on 127.0.0.1 until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0] if __doc__ else None)
    parser.add_argument("site", type=Path, help="the folder with the built book")
    parser.add_argument("port", type=port_number, help="from 0 to 65535; 0 is any free one")
    options = parser.parse_args(arguments)
    if not (options.site / "index.html").exists():
        sys.exit(f"{options.site}/index.html is not there: run 'make book' first")
    server = bind(options.site, options.port)
    url = f"http://127.0.0.1:{server.server_port}/"
    print(f"The book is at {url} — stop with Ctrl+C", flush=True)
    webbrowser.open(url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
