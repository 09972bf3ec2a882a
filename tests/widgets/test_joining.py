"""Front-end files become one module, or an error says which file is wrong."""

from __future__ import annotations

from pathlib import Path

import anywidget
import pytest
from playwright.sync_api import Browser

from attn_utils.widgets import all_widgets
from attn_utils.widgets.joining import front_end, joined

RENDERS = """async (source) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return typeof (await import(url)).default.render;
}"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    return folder / "widget.js"


def test_every_widget_is_a_valid_module(browser: Browser) -> None:
    page = browser.new_page()
    kinds = {name: page.evaluate(RENDERS, widget._esm) for name, widget in all_widgets().items()}
    page.close()
    assert len(kinds) >= 12
    assert set(kinds.values()) == {"function"}


def test_imported_files_come_first_and_once(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        base="// Stays behind.\nexport const one = 1; // goes along\n",
        left='import { one } from "./base.js";\n\nexport const two = one + 1;\n',
        widget='import {\n  one,\n} from "./base.js";\nimport { two } from "./left.js";\n\n'
        "export default { render: () => [one, two] };\n",
    )
    assert joined(entry) == (
        "const one = 1; // goes along\n\nconst two = one + 1;\n\n"
        "export default { render: () => [one, two] };\n"
    )


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"widget": 'import { a } from "./gone.js";\n'}, r"widget\.js: .*a file at .*gone\.js"),
        (
            {"a": "const b = 1;\n", "widget": 'import { b } from "./a.js";\n'},
            r"widget\.js: .*a\.js exports, got b",
        ),
        (
            {
                "a": "export const b = 1;\nconst c = 1;\n",
                "widget": 'import { b } from "./a.js";\n\nfunction c() {}\n',
            },
            r"widget\.js: .*got c, which .*a\.js declares",
        ),
        (
            {
                "a": "export const b = 1;\n",
                "widget": 'import { b } from "./a.js";\n\nconst [d, b] = [1, 2];\n',
            },
            r"widget\.js: .*got b, which .*a\.js declares",
        ),
        (
            {
                "a": 'import { c } from "./b.js";\nexport const b = 1;\n',
                "b": 'import { b } from "./a.js";\nexport const c = 1;\n',
                "widget": 'import { b } from "./a.js";\n',
            },
            r"b\.js: .*without a circle, got a\.js → b\.js → a\.js",
        ),
        ({"widget": 'import a from "./a.js";\n'}, r"widget\.js: expected `import"),
        (
            {
                "a": "export const b = 1;\n",
                "widget": 'import { b as c } from "./a.js";\n',
            },
            r"widget\.js: expected",
        ),
        ({"widget": "const a = 1;\nexport { a };\n"}, r"widget\.js: expected"),
        (
            {"a": "export default 1;\n", "widget": 'import { b } from "./a.js";\n'},
            r"a\.js: expected",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        joined(write(tmp_path, **files))


def test_a_changed_source_is_seen_by_the_next_widget(tmp_path: Path) -> None:
    write(tmp_path, part="export const one = 1;\n", widget='import { one } from "./part.js";\n')

    class Sketch(anywidget.AnyWidget):  # type: ignore[misc]
        _esm = front_end(str(tmp_path / "widget.py"), ".js")

    before = Sketch()
    assert "one = 1" in before._esm
    write(tmp_path, part="export const one = 2;\n")
    assert "one = 2" in Sketch()._esm
    assert "one = 1" in before._esm
