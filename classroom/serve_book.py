"""Serve the built book as a service of the hub, under the path that the hub gives to it."""

import asyncio
import contextlib
import os
from pathlib import Path
from urllib.parse import urlparse

from tornado.web import Application, RedirectHandler, StaticFileHandler

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"


def application(prefix: str, site: Path) -> Application:
    """Return a web application that serves a folder's files below a prefix, such as /book/."""
    index = {"path": str(site), "default_filename": "index.html"}
    return Application(
        [
            (prefix.rstrip("/"), RedirectHandler, {"url": prefix}),
            (f"{prefix}(.*)", StaticFileHandler, index),
        ]
    )


async def main() -> None:
    """Serve until ended."""
    address = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
    prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
    application(prefix, SITE).listen(address.port, address.hostname)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
