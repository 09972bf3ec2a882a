"""Figures for attention: heatmaps that share one colour scale, and the book's plot style.

A function that makes a figure returns it. A notebook shows it when it is the last expression of a
cell (or with ``display(figure)``); a script calls ``figure.savefig``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

__all__ = ["book_style", "finish", "overlay", "show_heatmaps"]

# Okabe & Ito's palette: eight colours that stay apart for colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


def book_style() -> None:
    """Set matplotlib's defaults to the book's: sharp, colour-blind safe, few lines.

    In a notebook, figures are drawn with twice the pixels that they take on the page: screens of
    high resolution show them all.

    Example:
        >>> import matplotlib
        >>> from attn_utils import book_style
        >>> with matplotlib.rc_context():  # only here
        ...     book_style()
        ...     print(matplotlib.rcParams["axes.spines.top"])
        False
    """
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "figure.figsize": (5.5, 3.2),
            "figure.constrained_layout.use": True,
            "savefig.dpi": 110,
            "axes.prop_cycle": mpl.cycler(color=PALETTE),  # type: ignore[attr-defined]
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "legend.frameon": False,
            "image.interpolation": "nearest",
        }
    )
    if "inline" in mpl.get_backend().lower():
        from IPython.core.getipython import get_ipython
        from matplotlib_inline.config import InlineBackend

        InlineBackend.instance(parent=get_ipython()).figure_formats = {"retina"}


def finish(figure: Figure) -> Figure:
    """Hand a pyplot figure over to the notebook, which then shows it exactly once.

    The inline backend draws every figure that pyplot still holds at the end of a cell; a figure
    that is also the value of the cell would appear twice.

    Example:
        >>> from matplotlib import pyplot as plt
        >>> from attn_utils import finish
        >>> figure, ax = plt.subplots()
        >>> finish(figure) is figure  # the last line of a cell
        True
    """
    from matplotlib import pyplot as plt

    if "inline" in plt.get_backend().lower():
        plt.close(figure)
    return figure


def show_heatmaps(
    matrices: Tensor | npt.ArrayLike,
    xlabel: str,
    ylabel: str,
    titles: Sequence[str] | None = None,
    figsize: tuple[float, float] = (2.5, 2.5),
    cmap: str = "Reds",
    *,
    vmin: float | None = None,
    vmax: float | None = None,
    xticklabels: Sequence[str] | None = None,
    yticklabels: Sequence[str] | None = None,
) -> Figure:
    """Draw a grid of matrices as heatmaps with one colour scale and one colour bar.

    Args:
        matrices: (rows, columns, queries, keys), a tensor of any dtype and device or an array.
            The first two axes say where a matrix stands in the figure.
        xlabel: label below the bottom row, usually "Keys".
        ylabel: label beside the left column, usually "Queries".
        titles: one title per column (``columns`` strings) or one per matrix
            (``rows · columns`` strings, row by row).
        figsize: width and height of the whole figure in inches.
        cmap: name of a matplotlib colour map.
        vmin: value of the lightest colour; by default 0, or the least entry if that is negative.
        vmax: value of the darkest colour; by default the largest entry of all matrices.
        xticklabels: names of the keys, one each.
        yticklabels: names of the queries, one each.

    Returns:
        The figure. Labels and titles are shown as plain text; ``$`` and ``<`` mean themselves.

    Raises:
        ValueError: ``matrices`` is not 4-D, is empty or contains NaN or infinity, or a list of
            names has the wrong length.

    Example:
        >>> import torch
        >>> from attn_utils import show_heatmaps
        >>> weights = torch.eye(4).expand(1, 2, 4, 4)  # a row of two heads
        >>> figure = show_heatmaps(weights, "Keys", "Queries", ["head 1", "head 2"])
        >>> [ax.get_title() for ax in figure.axes[:2]]
        ['head 1', 'head 2']
        >>> figure.axes[0].images[0].get_clim() == figure.axes[1].images[0].get_clim()
        True
    """
    values = _four_dimensional(matrices)
    rows, columns, queries, keys = values.shape
    titles = _names("titles", titles, columns, rows * columns)
    xticklabels = _names("xticklabels", xticklabels, keys)
    yticklabels = _names("yticklabels", yticklabels, queries)
    low = min(0.0, float(values.min())) if vmin is None else float(vmin)
    high = float(values.max()) if vmax is None else float(vmax)
    if vmin is None and vmax is None and low == high:
        high = low + 1.0  # all equal, none above 0: any scale will do but matplotlib's
    if not low <= high:
        raise ValueError(f"vmin, vmax: expected vmin <= vmax, got vmin={low}, vmax={high}")

    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=figsize,
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for i in range(rows):
        for j in range(columns):
            ax = axes[i, j]
            image = ax.imshow(values[i, j], cmap=cmap, vmin=low, vmax=high)
            if i == rows - 1:
                _plain(ax.set_xlabel(xlabel))
            if j == 0:
                _plain(ax.set_ylabel(ylabel))
            if titles is not None and (i == 0 or len(titles) > columns):
                _plain(ax.set_title(titles[i * columns + j]))
            _tick_names(ax, xticklabels, yticklabels)
    figure.colorbar(image, ax=axes, shrink=0.6)
    return finish(figure)


def overlay(
    ax: Axes,
    image: Tensor | npt.ArrayLike,
    weights: Tensor | npt.ArrayLike,
    *,
    grid: tuple[int, int] | None = None,
    vmin: float = 0.0,
    vmax: float | None = None,
    cmap: str = "Reds",
) -> AxesImage:
    """Lay a map over an image: the colours are the map's, and the image is drawn on them in black.

    So a colour means the same in every panel, and one colour bar does for all of them::

        shades = overlay(ax, photo, rollout[0, 0, 1:], vmax=1)
        figure.colorbar(shades, ax=axes)

    Args:
        ax: where to draw.
        image: (height, width) or (C, height, width) with 1 or 3 channels, from 0, black, to 1.
        weights: the map (rows, columns), or the same row by row, (N,). Each number is drawn as an
            even patch of the image's size divided by the grid's.
        grid: rows and columns of a map (N,); by default its patches are taken to be square.
        vmin: value of the lightest colour.
        vmax: value of the darkest colour; by default the largest of this map.
        cmap: name of a matplotlib colour map.

    Returns:
        The map, from which ``figure.colorbar`` makes a colour bar.

    Example:
        >>> import torch
        >>> from matplotlib import pyplot as plt
        >>> from attn_utils import overlay
        >>> figure, ax = plt.subplots()
        >>> shades = overlay(ax, torch.rand(32, 32), torch.rand(16), vmax=1)
        >>> shades.get_array().shape  # 16 patches of a square image
        (4, 4)
    """
    pixels = _numbers("image", image)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
        pixels = pixels.mean(0)
    if pixels.ndim != 2 or pixels.size == 0:
        shape = tuple(np.shape(image))
        raise ValueError(
            f"image: expected shape (height, width), (1, height, width) or (3, …), got {shape}"
        )
    if pixels.min() < -1e-6 or pixels.max() > 1 + 1e-6:  # resizing may be off by a rounding
        raise ValueError(
            "image: expected numbers from 0, black, to 1, white, got "
            f"{pixels.min():.3g} to {pixels.max():.3g}"
        )
    height, width = pixels.shape
    values = _numbers("weights", weights)
    if values.ndim == 1:
        values = values.reshape(_grid_of(values.size, height / width, grid))
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"weights: expected shape (rows, columns) or (N,), got {values.shape}")
    ink = np.zeros((height, width, 4))
    ink[..., 3] = 0.65 * (1 - pixels.clip(0, 1))
    extent = (0, width, height, 0)
    vmax = vmax if vmax is not None else float(values.max()) or vmin + 1.0
    shades = ax.imshow(
        values, cmap=cmap, vmin=vmin, vmax=vmax, extent=extent, interpolation="nearest"
    )
    ax.imshow(ink, extent=extent)
    ax.set(xticks=[], yticks=[])
    return shades


def _grid_of(count: int, ratio: float, grid: tuple[int, int] | None) -> tuple[int, int]:
    """Rows and columns of so many patches; without a grid, squares on an image height / width."""
    if grid is None:
        rows = round((count * ratio) ** 0.5)
        grid = (rows, round(rows / ratio))
    if len(grid) != 2 or grid[0] * grid[1] != count:
        raise ValueError(f"grid: expected rows · columns = {count} as in weights, got {grid}")
    return grid


def _numbers(name: str, given: Tensor | npt.ArrayLike) -> npt.NDArray[np.float64]:
    if isinstance(given, Tensor):
        if given.is_complex():  # the cast below would drop the imaginary parts
            raise ValueError(f"{name}: expected real numbers, got {given.dtype}")
        # bfloat16 has no NumPy counterpart, gradients and devices do not travel either
        values = given.detach().to(device="cpu", dtype=torch.float64).numpy()
    else:
        try:
            if np.iscomplexobj(given):
                raise TypeError("they are complex")
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: expected an array of numbers ({error})") from error
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise ValueError(
            f"{name}: expected finite numbers, got {count} NaN or infinite entries "
            f"in shape {tuple(values.shape)}"
        )
    return values


def _four_dimensional(matrices: Tensor | npt.ArrayLike) -> npt.NDArray[np.float64]:
    values = _numbers("matrices", matrices)
    if values.ndim != 4:
        advice = {
            2: "; for one matrix pass matrices[None, None]",
            3: "; for a row of matrices pass matrices[None]",
        }
        raise ValueError(
            "matrices: expected 4 axes (rows, columns, queries, keys), got shape "
            f"{tuple(values.shape)}{advice.get(values.ndim, '')}"
        )
    if values.size == 0:
        raise ValueError(f"matrices: expected no empty axis, got shape {tuple(values.shape)}")
    return values


def _names(argument: str, names: Sequence[str] | None, *lengths: int) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str) or len(names) not in lengths:
        expected = " or ".join(str(n) for n in dict.fromkeys(lengths))
        got = repr(names) if isinstance(names, str) else f"{len(names)}"
        raise ValueError(f"{argument}: expected {expected} strings, got {got}")
    return [str(name) for name in names]


def _plain(text: Any) -> None:
    text.set_parse_math(False)  # "$$" in a label would stop matplotlib's TeX parser


def _tick_names(ax: Axes, x: list[str] | None, y: list[str] | None) -> None:
    if x is not None:
        for label in ax.set_xticks(
            range(len(x)), x, rotation=45, ha="right", rotation_mode="anchor"
        ):
            _plain(getattr(label, "label1", label))
    if y is not None:
        for label in ax.set_yticks(range(len(y)), y):
            _plain(getattr(label, "label1", label))
