from __future__ import annotations

import base64
import io

import matplotlib as mpl

mpl.use("agg")

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from attn_utils import plots, show_heatmaps


@pytest.fixture(autouse=True)
def _close_figures():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    mpl.rcParams.update(before)


def panels(figure: Figure):
    return [ax for ax in figure.axes if ax.images]


def bars(figure: Figure):
    return [ax for ax in figure.axes if not ax.images]


def test_identity():
    figure = show_heatmaps(torch.eye(10).reshape(1, 1, 10, 10), xlabel="Keys", ylabel="Queries")
    assert isinstance(figure, Figure)
    (panel,) = panels(figure)
    assert panel.get_xlabel() == "Keys"
    assert panel.get_ylabel() == "Queries"
    np.testing.assert_array_equal(panel.images[0].get_array(), np.eye(10))
    assert panel.images[0].get_clim() == (0.0, 1.0)
    assert panel.images[0].get_cmap().name == "Reds"
    assert tuple(figure.get_size_inches()) == (2.5, 2.5)
    assert len(bars(figure)) == 1
    figure.canvas.draw()


@settings(max_examples=15)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers())
@example(1, 1, 1, 1, -2)  # a negative entry
def test_one_scale_for_all_panels(rows, columns, queries, keys, seed):
    generator = torch.Generator().manual_seed(seed % 2**32)
    matrices = torch.randn(rows, columns, queries, keys, generator=generator)
    matrices *= torch.arange(1, rows * columns + 1).view(rows, columns, 1, 1)  # unlike ranges
    figure = show_heatmaps(matrices, "Keys", "Queries")
    shown = panels(figure)
    assert len(shown) == rows * columns
    assert len(bars(figure)) == 1
    limits = {panel.images[0].get_clim() for panel in shown}
    low, high = min(0.0, matrices.min().item()), matrices.max().item()
    high = low + 1 if low == high else high  # one entry only, below 0: any scale will do
    assert len(limits) == 1
    assert limits.pop() == pytest.approx((low, high))
    plt.close(figure)


def test_panels_stand_where_their_indices_say():
    matrices = torch.arange(2 * 3 * 2 * 4.0).reshape(2, 3, 2, 4)
    figure = show_heatmaps(matrices, "Keys", "Queries")
    for panel, (i, j) in zip(panels(figure), np.ndindex(2, 3), strict=True):
        np.testing.assert_array_equal(panel.images[0].get_array(), matrices[i, j].numpy())
        assert panel.get_xlabel() == ("Keys" if i == 1 else "")
        assert panel.get_ylabel() == ("Queries" if j == 0 else "")
        # keys run to the right, queries downwards
        assert panel.images[0].get_extent() == [-0.5, 3.5, 1.5, -0.5]
        assert panel.get_shared_x_axes().joined(panel, panels(figure)[0])
        assert panel.get_shared_y_axes().joined(panel, panels(figure)[0])


def test_limits_may_be_given():
    figure = show_heatmaps(torch.eye(2)[None, None], "Keys", "Queries", vmin=-1, vmax=2)
    assert panels(figure)[0].images[0].get_clim() == (-1.0, 2.0)
    figure = show_heatmaps(torch.eye(2)[None, None] / 4, "Keys", "Queries", vmax=1)
    assert panels(figure)[0].images[0].get_clim() == (0.0, 1.0)


def test_all_negative_and_all_zero():
    figure = show_heatmaps(-1 - torch.eye(2)[None, None], "Keys", "Queries")
    low, high = panels(figure)[0].images[0].get_clim()
    assert low == -2.0
    assert high >= -1.0
    figure = show_heatmaps(torch.zeros(1, 1, 2, 2), "Keys", "Queries")
    assert panels(figure)[0].images[0].get_clim() == (0.0, 1.0)


def test_crossed_limits():
    with pytest.raises(ValueError, match="vmin, vmax: expected vmin <= vmax"):
        show_heatmaps(torch.eye(2)[None, None], "Keys", "Queries", vmin=2, vmax=1)


@pytest.mark.parametrize(
    "matrices",
    [
        torch.eye(3, dtype=torch.bfloat16)[None, None],
        torch.eye(3, dtype=torch.float16)[None, None],
        torch.eye(3, dtype=torch.bool)[None, None],
        torch.eye(3, dtype=torch.long)[None, None],
        torch.eye(3).requires_grad_()[None, None],
        torch.eye(3, dtype=torch.float64)[None, None].transpose(2, 3),  # not contiguous
        np.eye(3)[None, None],
        np.eye(3, dtype=np.float16)[None, None],
        [[np.eye(3).tolist()]],
    ],
    ids=["bfloat16", "float16", "bool", "int", "grad", "view", "numpy", "half", "list"],
)
def test_any_kind_of_numbers(matrices):
    figure = show_heatmaps(matrices, "Keys", "Queries")
    np.testing.assert_array_equal(panels(figure)[0].images[0].get_array(), np.eye(3))


def test_gradient_and_values_are_left_alone():
    weights = torch.rand(1, 1, 2, 2, requires_grad=True)
    before = weights.detach().clone()
    show_heatmaps(weights * 2, "Keys", "Queries")
    assert torch.equal(weights, before)
    assert weights.requires_grad


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu():
    figure = show_heatmaps(torch.eye(3, device="cuda")[None, None], "Keys", "Queries")
    np.testing.assert_array_equal(panels(figure)[0].images[0].get_array(), np.eye(3))


def test_titles_per_column():
    figure = show_heatmaps(torch.zeros(2, 3, 2, 2), "Keys", "Queries", titles=["a", "b", "c"])
    assert [panel.get_title() for panel in panels(figure)] == ["a", "b", "c", "", "", ""]


def test_titles_per_matrix():
    figure = show_heatmaps(torch.zeros(2, 3, 2, 2), "Keys", "Queries", titles=list("abcdef"))
    assert [panel.get_title() for panel in panels(figure)] == list("abcdef")


def test_tick_labels():
    figure = show_heatmaps(
        torch.zeros(1, 2, 2, 3),
        "Keys",
        "Queries",
        xticklabels=["x", "y", "z"],
        yticklabels=("p", "q"),
    )
    figure.canvas.draw()
    for panel in panels(figure):
        assert [label.get_text() for label in panel.get_xticklabels()] == ["x", "y", "z"]
        np.testing.assert_array_equal(panel.get_xticks(), [0, 1, 2])
    assert [label.get_text() for label in panels(figure)[0].get_yticklabels()] == ["p", "q"]
    np.testing.assert_array_equal(panels(figure)[0].get_yticks(), [0, 1])


@pytest.mark.parametrize(
    "text", ["$$", "$", "a $b", "$\\frac{$", "<b>bold</b>", "<script>", "x_1^2"]
)
def test_text_is_shown_as_it_is(text, tmp_path):
    figure = show_heatmaps(
        torch.zeros(1, 1, 2, 2),
        text,
        text,
        titles=[text],
        xticklabels=[text, "y"],
        yticklabels=[text, "q"],
    )
    figure.savefig(tmp_path / "figure.png")  # matplotlib parses text only when it draws
    figure.savefig(tmp_path / "figure.svg")
    (panel,) = panels(figure)
    shown = [
        panel.xaxis.label,
        panel.yaxis.label,
        panel.title,
        panel.get_xticklabels()[0],
        panel.get_yticklabels()[0],
    ]
    assert [label.get_text() for label in shown] == [text] * 5
    assert not any(label.get_parse_math() for label in shown)
    assert "<script>" not in (tmp_path / "figure.svg").read_text()


@pytest.mark.parametrize(
    ("matrices", "says"),
    [
        (torch.eye(3), r"expected 4 axes .*got shape \(3, 3\); for one matrix pass matrices\[None"),
        (torch.zeros(2, 3, 3), r"got shape \(2, 3, 3\); for a row of matrices"),
        (torch.zeros(3), r"got shape \(3,\)"),
        (torch.zeros(1, 1, 1, 2, 2), r"got shape \(1, 1, 1, 2, 2\)"),
        (torch.zeros(1, 0, 2, 2), r"no empty axis, got shape \(1, 0, 2, 2\)"),
        (torch.full((1, 1, 2, 2), float("nan")), "finite numbers, got 4 NaN"),
        (torch.tensor([[[[0.0, float("inf")]]]]), "got 1 NaN or infinite"),
        (np.array([[[["a", "b"]]]]), "expected an array of numbers"),
        ([[[[1.0, 2.0], [3.0]]]], "expected an array of numbers"),
        (None, "matrices: expected"),
    ],
)
def test_bad_matrices(matrices, says):
    with pytest.raises(ValueError, match="matrices: expected") as error:
        show_heatmaps(matrices, "Keys", "Queries")
    assert error.match(says)
    assert not plt.get_fignums()  # refused before anything was drawn


def test_complex_numbers_are_refused():
    with pytest.raises(ValueError, match="matrices: expected"):
        show_heatmaps(torch.zeros(1, 1, 2, 2, dtype=torch.complex64), "Keys", "Queries")
    with pytest.raises(ValueError, match="matrices: expected"):
        show_heatmaps(np.zeros((1, 1, 2, 2), dtype=complex), "Keys", "Queries")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"titles": ["a"]}, "titles: expected 2 or 4 strings, got 1"),
        ({"titles": ["a"] * 3}, "titles: expected 2 or 4 strings, got 3"),
        ({"titles": "ab"}, "titles: expected 2 or 4 strings, got 'ab'"),
        ({"xticklabels": ["a"] * 4}, "xticklabels: expected 3 strings, got 4"),
        ({"yticklabels": []}, "yticklabels: expected 2 strings, got 0"),
        ({"yticklabels": "ab"}, "yticklabels: expected 2 strings, got 'ab'"),
    ],
)
def test_wrong_number_of_names(names, says):
    with pytest.raises(ValueError, match=says):
        show_heatmaps(torch.zeros(2, 2, 2, 3), "Keys", "Queries", **names)
    assert not plt.get_fignums()


def test_book_style_cycles_through_the_palette():
    plots.book_style()
    figure, ax = plt.subplots()
    lines = [ax.plot([0, 1])[0] for _ in range(3)]
    assert [to_hex(line.get_color()) for line in lines] == [c.lower() for c in plots.PALETTE[:3]]
    assert figure.get_layout_engine() is not None


def test_finish_leaves_scripts_alone_and_closes_in_notebooks(monkeypatch):
    figure, _ = plt.subplots()
    assert plots.finish(figure) is figure
    assert plt.fignum_exists(figure.number)
    monkeypatch.setattr(plt, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    assert plots.finish(figure) is figure
    assert not plt.fignum_exists(figure.number)


def test_figures_in_a_notebook_have_twice_the_pixels_that_they_take(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own, as for a reader
    cells = [
        "from attn_utils import plots\nplots.book_style()",
        "from matplotlib import pyplot as plt\nplots.finish(plt.subplots()[0])",
    ]
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    NotebookClient(notebook, extra_arguments=["--log-level=ERROR"]).execute()
    (shown,) = notebook.cells[1].outputs
    size = shown.metadata["image/png"]
    with Image.open(io.BytesIO(base64.b64decode(shown.data["image/png"]))) as picture:
        assert picture.width == pytest.approx(2 * size["width"], abs=1)
        assert picture.height == pytest.approx(2 * size["height"], abs=1)


# --- a map over an image ------------------------------------------------------------------------


def laid_over(image, weights, **options):
    figure, ax = plt.subplots()
    shades = plots.overlay(ax, image, weights, **options)
    figure.colorbar(shades, ax=ax)
    figure.canvas.draw()
    assert shades is ax.images[0]
    return ax.images


@pytest.mark.parametrize("shape", [(6, 9), (1, 6, 9), (3, 6, 9)])
@pytest.mark.parametrize("flat", [False, True])
def test_a_map_lies_over_an_image_that_is_not_square(shape, flat):
    """A grid of 2 × 3: the corner on the upper right of the image belongs to number 2."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    weights = torch.arange(6.0)
    shades, ink = laid_over(image, weights if flat else weights.view(2, 3))
    np.testing.assert_array_equal(shades.get_array(), [[0, 1, 2], [3, 4, 5]])
    assert shades.get_extent() == ink.get_extent() == [0, 9, 6, 0]
    assert shades.get_clim() == (0, 5)
    want = image.mean(0) if len(shape) == 3 else image
    black = np.asarray(ink.get_array())
    assert (black[..., :3] == 0).all()
    np.testing.assert_allclose(black[..., 3], 0.65 * (1 - want.double().numpy()), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "count", "grid", "want"),
    [
        ((96, 64), 96, None, (12, 8)),
        ((64, 96), 96, None, (8, 12)),
        ((224, 224), 196, None, (14, 14)),
        ((8, 12), 12, (4, 3), (4, 3)),
        ((30, 30), 225, None, (15, 15)),
        ((5, 50), 10, None, (1, 10)),
    ],
)
def test_patches_are_square_unless_a_grid_is_given(size, count, grid, want):
    shades, _ = laid_over(np.zeros(size), np.ones(count), grid=grid)
    assert shades.get_array().shape == want


def test_one_scale_for_maps_that_are_compared():
    image = torch.ones(4, 4, dtype=torch.bfloat16)
    shades, _ = laid_over(image, torch.rand(2, 2, requires_grad=True), vmax=3, cmap="Blues")
    assert shades.get_clim() == (0, 3)
    assert shades.get_cmap().name == "Blues"
    shades, _ = laid_over(image, torch.zeros(2, 2))
    assert shades.get_clim() == (0, 1)


@pytest.mark.parametrize(
    ("image", "weights", "options", "message"),
    [
        (torch.zeros(2, 4, 4), torch.ones(4), {}, r"image: expected shape .* got \(2, 4, 4\)"),
        (torch.zeros(4, 4, 3), torch.ones(4), {}, r"image: expected shape .* got \(4, 4, 3\)"),
        (torch.zeros(4), torch.ones(4), {}, r"image: expected shape"),
        (torch.zeros(0, 4), torch.ones(4), {}, r"image: expected shape"),
        (torch.full((4, 4), 255), torch.ones(4), {}, r"image: expected numbers from 0.*255 to 255"),
        (torch.zeros(4, 4) - 1, torch.ones(4), {}, r"image: expected numbers from 0.*got -1 to -1"),
        (torch.zeros(4, 4) / 0, torch.ones(4), {}, r"image: expected finite numbers"),
        ("photo", torch.ones(4), {}, r"image: expected an array of numbers"),
        (torch.zeros(4, 4), torch.ones(5), {}, r"grid: expected rows · columns = 5.*got \(2, 2\)"),
        (torch.zeros(4, 4), torch.ones(4), {"grid": (3, 2)}, r"grid: expected .* = 4 .*\(3, 2\)"),
        (torch.zeros(4, 4), torch.ones(4), {"grid": (4,)}, r"grid: expected"),
        (torch.zeros(4, 4), torch.ones(1, 2, 2), {}, r"weights: expected shape"),
        (torch.zeros(4, 4), torch.ones(0, 2), {}, r"weights: expected shape"),
        (torch.zeros(4, 4), torch.ones(2, 2) * 1j, {}, r"weights: expected real numbers"),
    ],
)
def test_what_cannot_be_laid_over(image, weights, options, message):
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=message):
        plots.overlay(ax, image, weights, **options)
    assert not ax.images
