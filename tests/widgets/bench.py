"""A page with one widget as the book writes it, without building the book."""

from __future__ import annotations

import html
import json
import sys
from pathlib import Path

from ipywidgets import Widget

from attn_utils.widgets.base import LiveWidget

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from live_widgets import STATE, VIEW, slim_state  # noqa: E402

HOST = ROOT / "book/_ext/live_widgets/static/live/host.js"

# What the kit takes from the theme's variables and from its reset.
THEME = """
body { margin: 0; padding: 0 16px; font-family: sans-serif; background: var(--pst-color-background); }
html[data-theme="light"] { --pst-color-background: #ffffff; --pst-color-text-base: #222832; }
html[data-theme="dark"] {
  color-scheme: dark; --pst-color-background: #14181e; --pst-color-text-base: #ced6dd;
  --pst-color-text-muted: #9ca4af; --pst-color-border: #48566b;
}
"""


def page_of(widget: LiveWidget, theme: str = "light") -> str:
    """Write the page: the widget's state, its front end and the host, as ``live_widgets`` does."""
    stored = json.dumps(Widget.get_manager_state(widgets=[widget]))
    state, texts = slim_state(stored, {widget.model_id})
    fronts = "".join(
        f'<script type="text/plain" id="{name}">{text}</script>' for name, text in texts.items()
    )
    view = json.dumps({"model_id": widget.model_id})
    return (
        f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(widget.title)}</title><style>{THEME}</style></head><body>"
        f'<div><script type="{VIEW}">{view}</script></div>'
        f'<script type="{STATE}">{state}</script>{fronts}'
        f"<script>{HOST.read_text(encoding='utf-8')}</script></body></html>"
    )
