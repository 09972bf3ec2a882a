"""The score lab of chapter 3: six scoring rules over a plane, and softmax in many dimensions."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor

from attn_utils.core.attend import scaled_dot_product_attention
from attn_utils.widgets.base import (
    Buffer,
    Choice,
    ControlError,
    Integer,
    LiveWidget,
    Number,
    Numbers,
    front_end,
)

from .norms import QKNorm, soft_cap_attention
from .scoring import AdditiveAttention

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RULES = ("dot", "scaled dot", "cosine", "additive", "q/k norm", "soft cap")
CAP = 2.0  # of the rule "soft cap"
BOUND = 3.0  # the plane reaches from -3 to 3
GRID = 64  # points of the field along one side
STRIDE = 4  # every fourth of them is reported in `field`
NUM_QUERIES, NUM_KEYS, LARGEST = 64, 16, 512  # of the random vectors
# Stops of the dimension dial: powers of two and halfway (in the logarithm) between them.
DIMENSIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
SEED = 341  # of 400 tried, the one whose variances follow d most closely
BINS = 40
REACH = (80.0, 5.0)  # half the width of the two histograms: unscaled, scaled


def random_components(count: int, seed: int) -> npt.NDArray[np.float64]:
    """Standard normal numbers that the browser can make as well, from a hash of their position.

    Number i comes from two hashes, of 2i and 2i + 1, by the transform of Box and Muller. Each
    hash multiplies and shifts a 32-bit counter until its bits are mixed.
    """
    with np.errstate(over="ignore"):
        h = np.arange(2 * count, dtype=np.uint32) * np.uint32(0x9E3779B1)
        h += np.uint32(seed) * np.uint32(0x85EBCA77)
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            h = (h ^ (h >> np.uint32(shift))) * np.uint32(factor)
        h ^= h >> np.uint32(16)
    u = (h.astype(np.float64) + 0.5) / 2**32  # never 0, never 1
    normal: npt.NDArray[np.float64] = np.sqrt(-2 * np.log(u[::2])) * np.cos(2 * np.pi * u[1::2])
    return normal


@cache
def _random_vectors() -> tuple[Tensor, Tensor]:
    numbers = random_components((NUM_QUERIES + NUM_KEYS) * LARGEST, SEED)
    vectors = torch.from_numpy(numbers.reshape(-1, LARGEST))
    return vectors[:NUM_QUERIES], vectors[NUM_QUERIES:]  # (64, 512), (16, 512)


def _hand_made() -> tuple[list[list[float]], list[list[float]], list[float], list[float]]:
    """Additive weights that prefer keys close to the query.

    In each of four directions u, tanh(a + 1) - tanh(a - 1) with a = 1.6 u · (k - q) is a bump at
    k = q. Weights that are learned need not look like this.
    """
    W_q, W_k, b, w_v = [], [], [], []
    for step in range(4):
        angle = step * math.pi / 4
        u = [round(1.6 * math.cos(angle), 6), round(1.6 * math.sin(angle), 6)]
        for sign in (1.0, -1.0):
            W_k.append(u)
            W_q.append([-c for c in u])
            b.append(sign)
            w_v.append(0.5 * sign)
    return W_q, W_k, b, w_v


def _matrix(name: str, value: Any, shape: tuple[int, ...]) -> list[Any]:
    tensor = torch.as_tensor(value, dtype=torch.float64).detach()
    if tensor.shape != shape or not bool(tensor.isfinite().all()):
        raise ValueError(
            f"additive: expected {name} of shape {shape} with finite numbers, "
            f"got shape {tuple(tensor.shape)}"
        )
    return tensor.tolist()


def _scale(rule: str) -> float:
    return 1.0 if rule in ("dot", "cosine") else 1 / math.sqrt(2)


def _entropy(weights: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(weights).sum(dim=-1)  # 0 log 0 = 0
    return entropy


def _largest_slope(weights: Tensor) -> Tensor:
    """Largest entry of the softmax's Jacobian diag(α) - ααᵀ, which stands on its diagonal."""
    return (weights * (1 - weights)).amax(dim=-1)


class ScoringExplorer(LiveWidget):
    r"""The score lab: a query and keys to drag, six rules, a temperature and a dimension dial.

    The plane shows the score that a key *would* get at each point, for the present query and
    rule. The weights of the keys are softmax(scores / temperature). Below, 64 random queries meet
    16 random keys in up to 512 dimensions, once with their plain dot products and once with the
    dot products divided by :math:`\sqrt d`; the same temperature divides these scores, too.

    Args:
        keys: positions of the keys, (n, 2); sets ``key_points``.
        additive: weights (W_q, W_k, b, w_v) of the additive rule
            :math:`w_v^\top \tanh(W_q q + W_k k + b)`, of the shapes (h, 2), (h, 2), (h,), (h,). By
            default eight hidden units, set by hand, that prefer keys close to the query.
        **controls: any of the attributes below.

    Attributes:
        rule: "dot", "scaled dot" (divided by √2), "cosine", "additive", "q/k norm" (query and key
            of length √2, then divided by √2) or "soft cap" (2 · tanh(s / 2) of the scaled dot s).
        temperature: scores are divided by it, 0.05 … 50.
        query: its two coordinates, -3 … 3.
        key_points: the coordinates x1, y1, x2, y2, … of two to six keys.
        dimension: of the random vectors, an integer from 1 to 512.
        scores, weights: of the keys, (n,).
        winners: index of the key with the largest score under each of the six rules.
        spread: entropy of the weights, and the largest entry of the softmax's Jacobian.
        field: the score at 16 × 16 points of the plane, rows from the top.
        random: without √d and with it: standard deviation of the 1,024 scores, mean entropy of
            the weights, and the median over the queries of the largest Jacobian entry (6 numbers).
        histogram: counts of the scores in 40 bins from -80 to 80, then of the scaled ones in 40
            bins from -5 to 5; what lies outside counts in the last bin.
        entropies: mean entropy at the 18 stops of the dial, without √d, then with it.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Score lab: which key fits best, and how sure is softmax?").tag(
        sync=True
    )
    alt = traitlets.Unicode(
        "A plane coloured by score, blue where it is negative and orange where positive, with an "
        "arrow for the query and numbered discs for the keys; bars give the weight of each key. "
        "Below, histograms of random dot products, wide without the square root of d and always "
        "equally narrow with it, and the entropy of the weights, which falls without it."
    )
    rule = Choice("dot", options=RULES, label="rule")
    temperature = Number(1.0, min=0.05, max=50, step="any", label="temperature")
    query = Numbers([1.2, 0.8], min=-BOUND, max=BOUND, label="query")
    # (`keys` is taken: ipywidgets calls its synced names so)
    key_points = Numbers(
        [1.0, 1.2, -0.8, 1.6, 1.9, 1.3, -1.2, -1.0], min=-BOUND, max=BOUND, label="keys"
    )
    dimension = Integer(1, min=1, max=LARGEST, step=1, label="dimension d")

    scores = Buffer()
    weights = Buffer()
    winners = Buffer()
    spread = Buffer()
    field = Buffer()
    random = Buffer()
    histogram = Buffer()
    entropies = Buffer()

    _additive: Any = traitlets.List().tag(sync=True)  # W_q, W_k, b, w_v as nested lists
    _own_additive = traitlets.Bool(False).tag(sync=True)
    _dial = traitlets.List(list(DIMENSIONS)).tag(sync=True)
    # pairs, as the browser names them
    _sizes = traitlets.List(
        [
            ["queries", NUM_QUERIES],
            ["keys", NUM_KEYS],
            ["largest", LARGEST],
            ["seed", SEED],
            ["grid", GRID],
            ["stride", STRIDE],
            ["bound", BOUND],
            ["bins", BINS],
            ["reach", REACH[0]],
            ["scaledReach", REACH[1]],
        ]
    ).tag(sync=True)

    def __init__(self, keys: Any = None, *, additive: Any = None, **controls: Any) -> None:
        if keys is not None:
            points = torch.as_tensor(keys, dtype=torch.float64).detach()
            if points.ndim != 2 or points.shape[1] != 2:
                raise ValueError(f"keys: expected shape (n, 2), got {tuple(points.shape)}")
            controls["key_points"] = points.flatten()
        weights = _hand_made() if additive is None else additive
        if not isinstance(weights, (tuple, list)) or len(weights) != 4:
            raise ValueError("additive: expected four tensors (W_q, W_k, b, w_v)")
        h = len(weights[0])
        shapes: tuple[tuple[int, ...], ...] = ((h, 2), (h, 2), (h,), (h,))
        names = ("W_q", "W_k", "b", "w_v")
        checked = [_matrix(*entry) for entry in zip(names, weights, shapes, strict=True)]
        super().__init__(_additive=checked, _own_additive=additive is not None, **controls)

    @traitlets.validate("query")
    def _two_coordinates(self, proposal: traitlets.Bunch) -> list[float]:
        if len(proposal.value) != 2:
            raise ControlError(f"query: expected 2 coordinates, got {len(proposal.value)}")
        numbers: list[float] = proposal.value
        return numbers

    @traitlets.validate("key_points")
    def _pairs(self, proposal: traitlets.Bunch) -> list[float]:
        count = len(proposal.value)
        if count % 2 or not 4 <= count <= 12:
            raise ControlError(
                f"key_points: expected 2 to 6 pairs of coordinates, got {count} numbers"
            )
        numbers: list[float] = proposal.value
        return numbers

    def score(self, rule: str, keys: Tensor) -> Tensor:
        """Score of the present query with keys of shape (…, 2) under ``rule``."""
        if rule == "additive":
            return self._additive_scores(keys)
        q, k = self._compared(rule, keys)
        scores = k @ q * _scale(rule)
        return CAP * torch.tanh(scores / CAP) if rule == "soft cap" else scores

    def weigh(self, rule: str, keys: Tensor) -> Tensor:
        """Weights that the package gives keys (n, 2) at the present temperature, (n,)."""
        if rule == "additive":
            attention = self._additive_attention()
            attention.w_v.weight.data /= self.temperature
            _, weights = attention(self._with_one(), keys[None], keys[None], return_weights=True)
        else:
            q, k = self._compared(rule, keys)
            scale = _scale(rule) / self.temperature
            q = q[None]
            if rule == "soft cap":  # the temperature divides what has been capped
                cap = CAP / self.temperature
                _, weights = soft_cap_attention(q, k, k, cap=cap, scale=scale, return_weights=True)
            else:
                _, weights = scaled_dot_product_attention(q, k, k, scale=scale, return_weights=True)
        one_query: Tensor = weights.flatten()  # ([1,] 1, n) -> (n,)
        return one_query

    def _compared(self, rule: str, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Query and keys as the dot product meets them: of length 1 or √2 where it is fixed."""
        q = torch.tensor(self.query, dtype=torch.float64)
        if rule == "cosine":  # a vector of zeros has no direction and stays 0
            return F.normalize(q, dim=-1), F.normalize(keys, dim=-1)
        if rule == "q/k norm":
            with torch.no_grad():
                normed_q, normed = QKNorm(2).double()(q[None], keys.reshape(-1, 2))
            return normed_q[0], normed.reshape(keys.shape)
        return q, keys

    def _additive_attention(self) -> AdditiveAttention:
        """The package's module with this lab's weights; b is W_q's column for a constant 1."""
        W_q, W_k, b, w_v = (torch.tensor(w, dtype=torch.float64) for w in self._additive)
        attention = AdditiveAttention(3, 2, len(b)).double()
        weights = {"W_q": torch.cat([W_q, b[:, None]], dim=1), "W_k": W_k, "w_v": w_v[None]}
        attention.load_state_dict({f"{name}.weight": w for name, w in weights.items()})
        return attention.requires_grad_(False)

    def _with_one(self) -> Tensor:
        return torch.tensor([[[*self.query, 1.0]]], dtype=torch.float64)  # (1, 1, 3)

    def _additive_scores(self, keys: Tensor) -> Tensor:
        """Scores as they leave the module's last layer: it gives out its weights only."""
        attention, seen = self._additive_attention(), list[Tensor]()
        attention.w_v.register_forward_hook(lambda _, __, scores: seen.append(scores.clone()))
        flat = keys.reshape(1, -1, 2)  # (…, 2) -> (1, n, 2)
        attention(self._with_one(), flat, flat)
        return seen[0].reshape(keys.shape[:-1])

    def random_scores(self, dimension: int) -> Tensor:
        """Dot products of the random queries and keys in ``dimension`` dimensions, (64, 16)."""
        queries, keys = _random_vectors()
        return queries[:, :dimension] @ keys[:, :dimension].T

    def _random_weights(self, dimension: int, scaled: bool) -> Tensor:
        """Weights of the random keys at the present temperature, (64, 16)."""
        queries, keys = (vectors[:, :dimension] for vectors in _random_vectors())
        scale = (1 / math.sqrt(dimension) if scaled else 1) / self.temperature
        _, weights = scaled_dot_product_attention(
            queries, keys, keys, scale=scale, return_weights=True
        )
        return weights

    def reference(self) -> dict[str, Tensor]:
        """Compute all results in torch, in float64."""
        keys = torch.tensor(self.key_points, dtype=torch.float64).reshape(-1, 2)
        weights = self.weigh(self.rule, keys)
        # centres of the grid's cells, the first row at the top; then every fourth
        centres = ((torch.arange(GRID, dtype=torch.float64) + 0.5) * 2 / GRID - 1) * BOUND
        x, y = centres[::STRIDE], -centres[::STRIDE]
        points = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)

        statistics, counts, curves = [], [], []
        for scaled, reach in zip((False, True), REACH, strict=True):
            d = int(self.dimension)
            alpha = self._random_weights(d, scaled)  # (64, 16)
            scores = self.random_scores(d) * (1 / math.sqrt(d) if scaled else 1)
            slope = _largest_slope(alpha).quantile(0.5)
            statistics += [scores.std(correction=0), _entropy(alpha).mean(), slope]
            place = ((scores + reach) / (2 * reach) * BINS).floor().clamp(0, BINS - 1)
            counts.append(torch.bincount(place.flatten().long(), minlength=BINS).double())
            curves += [_entropy(self._random_weights(stop, scaled)).mean() for stop in DIMENSIONS]
        return {
            "scores": self.score(self.rule, keys),
            "weights": weights,
            "winners": torch.stack([self.score(rule, keys).argmax() for rule in RULES]),
            "spread": torch.stack([_entropy(weights), _largest_slope(weights)]),
            "field": self.score(self.rule, points),
            "random": torch.stack(statistics),
            "histogram": torch.cat(counts),
            "entropies": torch.stack(curves),
        }

    def figure(self) -> Figure:
        """Draw the panels as they stand."""
        from matplotlib.figure import Figure

        results = {name: value.numpy() for name, value in self.reference().items()}
        figure = Figure(figsize=(8.0, 6.0), layout="constrained")
        axes = figure.subplot_mosaic(
            [["plane", "plane", "weights"], ["plain", "scaled", "entropy"]], height_ratios=[1.5, 1]
        )
        ax, top = axes["plane"], float(np.abs(results["field"]).max()) or 1.0
        image = ax.imshow(
            results["field"],
            cmap="PuOr_r",
            vmin=-top,
            vmax=top,
            interpolation="bilinear",
            extent=(-BOUND, BOUND, -BOUND, BOUND),
        )
        figure.colorbar(image, ax=ax, label="score")
        ax.annotate(
            "", (self.query[0], self.query[1]), (0, 0), arrowprops={"arrowstyle": "-|>", "lw": 2}
        )
        keys = np.reshape(self.key_points, (-1, 2))
        names = [f"key {i + 1}" for i in range(len(keys))]
        for (x, y), name, weight in zip(keys, names, results["weights"], strict=True):
            ax.scatter(x, y, s=60 + 900 * weight, color="white", ec="black", zorder=3)
            ax.text(x, y, name[-1], ha="center", va="center", fontsize=9, zorder=4)
        ax.set(title=f"{self.rule}: score of a key at each point")
        axes["weights"].barh(names[::-1], results["weights"][::-1], color="#0072B2")
        axes["weights"].set(xlim=(0, 1), title="weights")
        for name, reach, label, part in zip(
            ("plain", "scaled"),
            REACH,
            ("q · k", "q · k / √d"),
            (slice(BINS), slice(BINS, None)),
            strict=True,
        ):
            edges = np.linspace(-reach, reach, BINS + 1)
            axes[name].stairs(results["histogram"][part], edges, fill=True, color="#0072B2")
            axes[name].set(xlabel=f"{label}, d = {self.dimension:g}")
        stops = len(DIMENSIONS)
        curve = axes["entropy"]
        curve.semilogx(DIMENSIONS, results["entropies"][:stops], color="#D55E00", label="q · k")
        curve.semilogx(DIMENSIONS, results["entropies"][stops:], color="#0072B2", label="/ √d")
        curve.axvline(self.dimension, color="#444", linestyle="--")
        curve.set(ylim=(0, 3), xlabel="dimension d", title="entropy of the weights")
        curve.legend()
        figure.suptitle(self.title, fontsize=11, parse_math=False)
        return figure
