"""One line of progress that stays clean: in a terminal, in JupyterLab and on a rendered page."""

from __future__ import annotations

import sys

WIDTH = 78  # a shorter line has to wipe out the end of a longer one


def rewrite(line: str, *, last: bool = False) -> None:
    """Put a line in the place of the one before; where nobody watches, print the last one only."""
    if _somebody_watches():
        print("\r" + line.ljust(WIDTH), end="\n" if last else "", flush=True)
    elif last:
        print(line)


def _somebody_watches() -> bool:
    """Whether a line may be rewritten: in a terminal, and in a notebook that a person runs.

    A book's build runs notebooks as well, but allows no questions to a reader; what is rewritten
    there would stay on the page, line after line.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return sys.stdout.isatty()
    return bool(kernel.get_parent().get("content", {}).get("allow_stdin", False))
