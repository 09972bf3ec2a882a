"""Sphinx extension: the book's widgets, alive in the static page.

MyST-NB stores the state of a notebook's widgets in the page. This extension

* keeps only what ``static/live/host.js`` needs of it;
* writes each widget's front end into ``_static/live``, once for all pages, and from the package as
  it is *now* — the stored state holds the code of the day the notebook was last executed, so a
  cached page would be stale;
* writes the files that readers may ask for beside it, in pieces;
* puts the widget's still picture beside it, for readers without JavaScript.
"""

from __future__ import annotations

import base64
import html
import importlib
import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform

from attn_utils.widgets.on_demand import name_of

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
PIECE = 192 * 1024  # bytes of a file in one script


def class_now(qualified_class: str) -> Any:
    """Return a widget class from the installed package."""
    module, _, name = qualified_class.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ExtensionError(
            f"the widget {qualified_class} of a notebook is not in the package: {error}"
        ) from error


def front_end_script(widget_class: str) -> tuple[str, str]:
    """Return the name and the text of the script that hands a widget's front end to the host.

    A classic script and not a module: browsers load no modules from a file on disk. The name holds
    a hash of the text, so that a browser may keep the file as long as it likes.
    """
    kind = class_now(widget_class)
    module, exports = re.subn(r"^export default ", "return ", kind._esm, flags=re.MULTILINE)
    if exports != 1:
        raise ExtensionError(f"{widget_class}: expected one export default, got {exports}")
    style = json.dumps(kind._css, ensure_ascii=False)
    name = name_of((module + style).encode())
    return name, (
        f'liveParts["{name}"] = {{ style: {style}, define() {{ "use strict";\n{module}}} }};\n'
    )


def file_scripts(widget_class: str) -> tuple[list[list[Any]], dict[str, str]]:
    """Return the files of a widget as the host finds them, and the scripts that hold them.

    Scripts again, with pieces of the file as base64: they load from a disk too, where ``fetch`` is
    refused, and a compressing host sends hardly more than the bytes themselves.
    """
    listing: list[list[Any]] = []
    scripts = {}
    for name, read in class_now(widget_class).files.items():
        try:
            data = read()
        except OSError as error:
            raise ExtensionError(f"{widget_class}: cannot read {name}: {error}") from error
        content = name_of(data)
        pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        for k, piece in enumerate(pieces):
            text = base64.b64encode(piece).decode()
            scripts[f"{content}-{k}"] = f'liveParts["{content}-{k}"] = "{text}";\n'
        listing.append([name, len(data), content, len(pieces)])
    return listing, scripts


def slim_state(text: str, shown: set[str]) -> tuple[str, dict[str, str]]:
    """Keep the own state of the widgets that the page shows.

    Cells make more of them, to assert something; their tensors would travel for nothing. So would
    the results, which the front end computes before it draws: buffers whose name does not begin
    with an underscore. A front end that needs a file for this shows them until it is there.
    Returns the state, and the scripts that it refers to, by name.
    """
    page = json.loads(text)
    scripts: dict[str, str] = {}
    models: dict[str, Any] = {}
    for model_id, model in page["state"].items():
        state = model["state"]
        if "_anywidget_id" not in state or model_id not in shown:
            continue  # layouts and styles of ipywidgets, widgets without a view
        kept = {
            name: value
            for name, value in state.items()
            if value is not None
            and not name.startswith(("_model_", "_view_", "_dom_", "_anywidget_id"))
            and name not in ("layout", "tabbable", "tooltip", "_esm", "_css", "_files")
        }
        kept["_front_end"], script = front_end_script(state["_anywidget_id"])
        scripts[kept["_front_end"]] = script
        files, pieces = file_scripts(state["_anywidget_id"])
        if files:
            kept["_files"] = files
        scripts |= pieces
        buffers = model.get("buffers", [])
        buffers = [b for b in buffers if files or b["path"][0].startswith("_")]
        models[model_id] = {"state": kept, "buffers": buffers}
    return json.dumps({"state": models}, separators=(",", ":")).replace("</", "<\\/"), scripts


def rewrite_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Replace the stored widget state of a page; add the host where there is a widget."""
    scripts = context.get("script_files", [])
    for index, script in enumerate(list(scripts)):
        attributes = getattr(script, "attributes", {})
        if attributes.get("type") != STATE:
            continue
        shown = set(re.findall(r'"model_id":\s*"([^"]+)"', html.unescape(context["body"])))
        state, front_ends = slim_state(attributes["body"].replace("<\\/", "</"), shown)
        make = type(script)
        scripts[index] = make(None, priority=script.priority, type=STATE, body=state)
        folder = Path(app.outdir, "_static", "live")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in front_ends.items():
            (folder / f"{name}.js").write_text(text, encoding="utf-8")
        scripts.append(make("_static/live/host.js", priority=900, **{"async": "async"}))
        return


class StillPicture(SphinxPostTransform):
    """Put the picture of a widget's output into a <noscript> beside the live view."""

    default_priority = 3  # MyST-NB picks one mime type of an output at 4

    def run(self, **kwargs: Any) -> None:
        """Move the PNG of each widget output, with its alt text, beside the view."""
        if self.app.builder.format != "html":
            return
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            kinds = {child["mime_type"]: child for child in bundle.children}
            view, picture = kinds.get(VIEW), kinds.get("image/png")
            if view is None or picture is None:
                continue
            alt = kinds["text/plain"].astext()
            for image in picture.findall(nodes.image):
                still = image.deepcopy()
                still["alt"] = alt
                view += [
                    nodes.raw("", "<noscript>", format="html"),
                    still,
                    nodes.raw("", "</noscript>", format="html"),
                ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect(
        "builder-inited",
        lambda app: app.config.html_static_path.append(str(Path(__file__).parent / "static")),
    )
    app.connect("html-page-context", rewrite_page, priority=900)
    app.add_post_transform(StillPicture)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
