"""Sphinx extension: pages without what the theme loads and no page uses.

The theme ships all icons of FontAwesome, as a 1.5 MB script and again as web fonts. The font is
enough, and of it the few icons that the pages, the scripts and the style sheets use. The script
for tabs goes where there are no tabs.

To make what scrolls sideways reachable by keyboard, the theme measures all code and all tables of
a page when it is loaded and whenever something is added to it. That lays out every cell, where the
style sheet says that a cell far from the screen need not be. Here each can be reached until it is
laid out, and is measured then, and when its size changes.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from fontTools import subset
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

NAMED = re.compile(r'((?:\.fa-[\w-]+:{1,2}before,?)+)\{content:"\\([0-9a-f]+)"\}')
ICON_SCRIPT = re.compile(r"<script[^>]*scripts/fontawesome\.js[^>]*></script>")
# pydata-sphinx-theme: what measures, and when
MEASURE = re.compile(
    r"\.forEach\(e=>\{(e\.tabIndex=[^;{}]+)\}\)\},t=\w+\(e,300\);"
    r'window\.addEventListener\("resize",t\),new MutationObserver\(t\)\.observe\([^{}]+,'
    r"\{subtree:!0,childList:!0\}\),e\(\)\}"
)
TAB_SCRIPT = re.compile(r"<script[^>]*design-tabs\.js[^>]*></script>")


def without_idle_scripts(page: str) -> str:
    """Take the icon script out of a page, and the tabs' script if there are no tabs."""
    page = ICON_SCRIPT.sub("", page)
    return page if "sd-tab-set" in page else TAB_SCRIPT.sub("", page)


def measuring_late(script: str) -> str:
    """Let the theme's script measure what scrolls when it is laid out, not when the page loads."""
    if "new ResizeObserver" in script:  # done in an earlier build
        return script
    late = r".forEach(e=>{e.tabIndex=0;new ResizeObserver(()=>{\1}).observe(e)})};e()}"
    script, changes = MEASURE.subn(late, script)
    if changes != 1:
        raise ExtensionError(f"theme's script: expected one place that measures, got {changes}")
    return script


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
    theme = static / "scripts" / "pydata-sphinx-theme.js"
    theme.write_text(measuring_late(theme.read_text(encoding="utf-8")), encoding="utf-8")
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
