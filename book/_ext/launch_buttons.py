"""Sphinx extension: chapters can be opened on Binder, Colab and Kaggle, from wherever they live.

Who publishes the book says where, in the environment variable BOOK_REPOSITORY ("owner/name" on
GitHub): a fork's buttons lead to the fork. Without it there are none.

The branch ``notebooks`` of that repository holds the copies that run by themselves, as the
workflow of publishing writes them.
"""

from __future__ import annotations

import os
import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SERVICES = {
    "Binder": "https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/notebooks/{notebook}",
    "Colab": "https://colab.research.google.com/github/{repository}/blob/notebooks/{notebook}",
    "Kaggle": "https://www.kaggle.com/kernels/welcome?src="
    "https://github.com/{repository}/blob/notebooks/{notebook}",
}


def repository() -> str:
    """Return the repository that the book is published from; empty if nobody says."""
    name = os.environ.get("BOOK_REPOSITORY", "")
    if name and not re.fullmatch(r"[\w-]+/[\w.-]+", name):
        raise ExtensionError(f"BOOK_REPOSITORY: expected owner/name, got {name!r}")
    return name


def add_buttons(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the theme's menu "launch" to the pages that are notebooks."""
    published = repository()
    if not published or context.get("page_source_suffix") != ".ipynb":
        return
    notebook = page.rpartition("/")[2] + ".ipynb"
    buttons = [
        {
            "type": "link",
            "text": service,
            "tooltip": f"Open this chapter on {service}, another site",
            "icon": "fas fa-rocket",
            "url": address.format(repository=published, notebook=notebook),
            "label": f"launch-{service.lower()}-button",
        }
        for service, address in SERVICES.items()
    ]
    context["header_buttons"].append(
        {
            "type": "group",
            "tooltip": "Run this chapter",
            "icon": "fas fa-rocket",
            "buttons": buttons,
            "label": "launch-buttons",
        }
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", lambda app, config: repository())  # a wrong name stops the build
    app.connect("html-page-context", add_buttons, priority=502)  # after the theme's own buttons
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
