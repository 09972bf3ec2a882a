"""Sphinx extension: pages without what the theme loads and no page uses.

The theme ships all icons of FontAwesome, as a 1.5 MB script and again as web fonts. The font is
enough, and of it the few icons that the pages, the scripts and the style sheets use. The script
for tabs goes where there are no tabs.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from fontTools import subset
from sphinx.application import Sphinx

NAMED = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]+)"\}')
ICON_SCRIPT = re.compile(r"<script[^>]*scripts/fontawesome\.js[^>]*></script>")
TAB_SCRIPT = re.compile(r"<script[^>]*design-tabs\.js[^>]*></script>")


def without_idle_scripts(page: str) -> str:
    """Take the icon script out of a page, and the tabs' script if there are no tabs."""
    page = ICON_SCRIPT.sub("", page)
    return page if "sd-tab-set" in page else TAB_SCRIPT.sub("", page)


def icons_in_use(style: str, texts: list[str]) -> set[int]:
    """Code points of the icons that ``texts`` name by class, and of those that ``style`` draws."""
    codes = {
        name: int(code, 16)
        for selectors, code in NAMED.findall(style)
        for name in re.findall(r"fa-[\w-]+", selectors)
    }
    named = {name for text in texts for name in re.findall(r"fa-[\w-]+", text)}
    drawn = re.findall(r"\\(f[0-9a-f]{3})\b", NAMED.sub("", style))
    return {codes[name] for name in named & codes.keys()} | {int(code, 16) for code in drawn}


def lighten(app: Sphinx, error: Exception | None) -> None:
    """Rewrite the pages and cut the icon fonts down."""
    static = Path(app.outdir, "_static")
    if error is not None or not (static / "styles").exists():
        return
    (static / "scripts" / "fontawesome.js").unlink(missing_ok=True)
    pages = []
    for file in Path(app.outdir).rglob("*.html"):
        pages.append(without_idle_scripts(file.read_text(encoding="utf-8")))
        file.write_text(pages[-1], encoding="utf-8")
    styles = "".join(f.read_text(encoding="utf-8") for f in sorted(static.glob("styles/*.css")))
    scripts = [f.read_text(encoding="utf-8") for f in static.rglob("*.js")]
    used = icons_in_use(styles, pages + scripts)
    for font in (static / "vendor" / "fontawesome" / "webfonts").glob("*.woff2"):
        options = subset.Options(flavor="woff2")
        loaded = subset.load_font(str(font), options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=used)
        subsetter.subset(loaded)
        subset.save_font(loaded, str(font), options)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it lists every glyph it drops
    app.connect("build-finished", lighten, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
