"""The gate lab of chapter 10: eight channels to paint on, and the gates that answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from torch import Tensor

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

from .channel import ECABlock, SEBlock

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS, SIDE = 8, 8
PIXELS = SIDE * SIDE
LEVELS = "0123456789abcdef"  # of a pixel, in fifteenths
DIGIT = "009ffc2007d32db000000bd00009ef5000013ce1020006f20cd44dd001affc20"  # a drawn 3

# What training found on random means, one of them higher than the rest: open that one only.
# The first layer of the narrowest bottleneck cannot tell channels apart, so it closes all.
_SE = {  # reduction: W_1 row by row, W_2 column by column: a line for each hidden unit
    1: (
        "-4.0 -3.6 1.4 3.0 6.6 5.1 -1.5 -3.7 "
        "6.0 -4.9 2.0 5.1 -4.5 3.3 -2.4 -0.7 "
        "3.1 -1.6 -3.3 -1.4 5.5 -3.4 -4.1 7.9 "
        "8.3 -3.1 -2.4 -5.5 5.8 -2.4 9.6 -6.0 "
        "-4.0 -2.8 0.3 -3.1 -3.7 5.9 5.3 5.4 "
        "2.7 7.7 -3.7 -2.7 -0.2 4.6 -3.5 -2.4 "
        "-1.4 3.7 9.7 -4.0 -0.3 -4.4 -1.2 0.0 "
        "-5.8 4.8 -3.1 9.6 -1.5 -6.0 6.6 0.0",
        "-9.8 -7.5 0.6 1.2 8.5 4.0 -5.1 -8.1 "
        "5.6 -9.1 1.3 4.6 -11.5 0.4 -6.1 -2.6 "
        "0.1 -3.9 -7.7 -3.5 3.5 -8.1 -9.9 7.6 "
        "3.4 -3.5 -2.7 -5.9 1.7 -3.6 5.0 -6.6 "
        "-8.1 -5.5 -1.6 -8.6 -9.3 5.0 4.4 5.0 "
        "0.2 9.6 -10.7 -6.8 -3.2 3.2 -8.5 -5.6 "
        "-4.3 0.8 9.6 -8.5 -3.6 -9.5 -4.2 -2.7 "
        "-5.5 2.3 -4.8 4.6 -3.1 -7.4 1.7 -1.5",
    ),
    2: (
        "-5.5 -6.6 5.3 6.2 3.4 4.6 -6.9 2.4 "
        "-3.0 4.1 -4.8 -5.9 5.6 5.3 6.5 -5.3 "
        "3.6 -2.8 3.2 -4.3 4.8 -3.0 4.0 -3.7 "
        "5.4 5.7 -4.3 -5.8 -4.0 -3.6 3.3 4.9",
        "-7.3 -7.8 -0.5 2.6 -1.9 -0.7 -13.2 -0.2 "
        "-6.9 2.8 -10.2 -6.3 1.3 6.3 2.4 -8.6 "
        "5.3 -9.5 7.3 -9.9 3.1 -12.7 2.4 -9.9 "
        "1.0 1.5 -10.1 -7.6 -10.6 -10.2 -2.9 4.0",
    ),
    4: (
        "-3.5 7.4 -2.8 -2.8 -2.8 3.6 -2.8 3.6 -4.8 3.4 3.1 3.2 3.2 -5.0 3.3 -4.9",
        "-6.2 2.0 -5.7 -5.8 -5.8 2.3 -5.7 2.3 -6.8 -1.0 0.9 1.0 1.0 -11.9 1.0 -11.8",
    ),
    8: (
        "1.3 1.2 1.2 1.3 1.3 1.3 1.2 1.2",
        "-1.2 -1.2 -1.2 -1.2 -1.2 -1.2 -1.2 -1.3",
    ),
}
_ECA = {  # kernel size: w
    1: "3.2",
    3: "-20.9 25.9 -20.9",
    5: "-9.3 -13.8 26.9 -13.8 -9.3",
    7: "-9.4 -6.8 -12.1 30.5 -12.1 -6.8 -9.5",
}


def start_pixels() -> str:
    """The digit, then seven patches of noise: a hexadecimal figure for each pixel."""
    noise = np.random.default_rng(10).integers(0, 5, (CHANNELS - 1) * PIXELS)
    return DIGIT + "".join(LEVELS[level] for level in noise)


def _numbers(text: str) -> Tensor:
    return torch.tensor([float(number) for number in text.split()], dtype=torch.float64)


def se_block(reduction: int) -> SEBlock:
    """SE over eight channels, in float64, with the lab's trained weights."""
    block = SEBlock(CHANNELS, reduction).double()
    hidden = CHANNELS // reduction
    first, second = (_numbers(text).view(hidden, CHANNELS) for text in _SE[reduction])
    block.load_state_dict({"fc1.weight": first, "fc2.weight": second.T})
    return block


def eca_block(kernel_size: int) -> ECABlock:
    """ECA over eight channels, in float64, with the lab's trained weights."""
    block = ECABlock(CHANNELS, kernel_size=kernel_size).double()
    block.load_state_dict({"conv.weight": _numbers(_ECA[kernel_size]).view(1, 1, kernel_size)})
    return block


class Pixels(traitlets.Unicode[str, str | bytes]):
    """A hexadecimal figure (0 … f, in fifteenths) for each of 8 · 64 pixels."""

    def __init__(self, default: str) -> None:
        super().__init__(default)
        count = CHANNELS * PIXELS
        spec = {
            "kind": "text",
            "max": count,
            "pattern": f"[{LEVELS}]{{{count}}}",
            "label": "pixels",
        }
        self.tag(sync=True, control=spec)

    def validate(self, obj: Any, value: Any) -> str:
        """Refuse another length, and what is no figure."""
        count = CHANNELS * PIXELS
        if not isinstance(value, str) or len(value) != count or set(value) - set(LEVELS):
            got = f"{len(value)} characters" if isinstance(value, str) else repr(value)
            raise ControlError(f"{self.name}: expected {count} figures from 0 to f, got {got}")
        return value


class GateExplorer(LiveWidget):
    r"""The gate lab: SE or ECA over eight small channels, one of which holds a digit.

    Paint on a channel or turn its volume up, and see its mean, the hidden units, the gates
    :math:`s` and what is left of each channel, :math:`s_c x_c`. The weights were trained to open
    the brightest channel; each reduction and kernel size has its own.

    Attributes:
        block: "SE", "ECA" or "none" (all gates are 1).
        reduction: of SE, "1", "2", "4" or "8": 8, 4, 2 or 1 hidden units.
        kernel: of ECA, "1", "3", "5" or "7".
        where: the channel that holds the digit, 1 … 8; the others follow it in a ring.
        volumes: a factor for each channel, 0 … 2.
        brush: what painting sets a pixel to, 0 … 1.
        pixels: 8 · 64 hexadecimal figures, in fifteenths: the digit, then the patches of noise.
        means: z, the mean of each channel, (8,). hidden: ReLU(W_1 z) of SE, (h,), else empty.
        gates: s, (8,). output: s_c x_c, (8 · 64,).
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Gate lab: which channel is let through?").tag(sync=True)
    alt = traitlets.Unicode(
        "Eight small images side by side, one with the digit 3, seven with noise. Below each its "
        "mean as a bar, then the block as a net of lines, the gates as bars, and what the gates "
        "let through: the digit is bright, the noise is black. The images can be painted on."
    )
    block = Choice("SE", options=("SE", "ECA", "none"), label="block")
    reduction = Choice("1", options=("1", "2", "4", "8"), label="reduction r")
    kernel = Choice("3", options=("1", "3", "5", "7"), label="kernel size k")
    where = Integer(3, min=1, max=CHANNELS, step=1, label="digit in channel")
    volumes = Numbers([1.0] * CHANNELS, min=0, max=2, label="volume")
    brush = Number(1.0, min=0, max=1, step=0.2, label="brush")
    pixels = Pixels(start_pixels())

    means = Buffer()
    hidden = Buffer()
    gates = Buffer()
    output = Buffer()

    # numbers of the present weights for the browser: pairs, so that their order stays
    _se: traitlets.List[Any] = traitlets.List(
        [[str(r), [_numbers(text).tolist() for text in texts]] for r, texts in _SE.items()]
    ).tag(sync=True)
    _eca: traitlets.List[Any] = traitlets.List(
        [[str(k), _numbers(text).tolist()] for k, text in _ECA.items()]
    ).tag(sync=True)
    _start = traitlets.Unicode(start_pixels()).tag(sync=True)

    @traitlets.validate("volumes")
    def _one_for_each(self, proposal: traitlets.Bunch) -> list[float]:
        numbers: list[float] = proposal.value
        if len(numbers) != CHANNELS:
            raise ControlError(f"volumes: expected {CHANNELS} numbers, got {len(numbers)}")
        return numbers

    def image(self) -> Tensor:
        """The eight channels as the block sees them, (1, 8, 8, 8)."""
        levels = torch.tensor([int(figure, 16) for figure in self.pixels], dtype=torch.float64)
        patches = levels.view(CHANNELS, SIDE, SIDE) / 15
        ring = patches.roll(int(self.where) - 1, dims=0)  # the digit comes first in `pixels`
        return (ring * torch.tensor(self.volumes, dtype=torch.float64)[:, None, None])[None]

    def module(self) -> SEBlock | ECABlock | None:
        """The block that is chosen, with its weights; None for "none"."""
        if self.block == "none":
            return None
        return se_block(int(self.reduction)) if self.block == "SE" else eca_block(int(self.kernel))

    def reference(self) -> dict[str, Tensor]:
        """Compute means, hidden units, gates and output by the package's modules, in float64."""
        x, block = self.image(), self.module()
        means = x.mean(dim=(2, 3))  # (1, 8, 8, 8) -> (1, 8)
        gates, hidden = torch.ones_like(means)[:, :, None, None], means[:, :0]
        with torch.no_grad():
            if block is not None:
                gates = block.gate(x)
            if isinstance(block, SEBlock):
                hidden = torch.relu(block.fc1(means))
        found = {"means": means, "hidden": hidden, "gates": gates, "output": x * gates}
        return {name: values.flatten() for name, values in found.items()}

    def figure(self) -> Figure:
        """Draw the channels, their means and gates, and what is let through."""
        from matplotlib.figure import Figure

        found = {name: values.numpy() for name, values in self.reference().items()}
        before, after = self.image()[0].numpy(), found["output"].reshape(CHANNELS, SIDE, SIDE)
        figure = Figure(figsize=(9.0, 4.0), layout="constrained")
        axes = figure.subplots(4, CHANNELS, height_ratios=[3, 1, 1, 3])
        for c in range(CHANNELS):
            for row, picture in ((0, before[c]), (3, after[c])):
                axes[row, c].imshow(picture, cmap="gray", vmin=0, vmax=1)
            for row, value, top in ((1, found["means"][c], 0.6), (2, found["gates"][c], 1.0)):
                axes[row, c].barh([0], [value], color=("#0b62a8", "#b3470a")[row - 1])
                axes[row, c].set_xlim(0, top)
                axes[row, c].set_title(f"{value:.2f}", fontsize=8, pad=1)
            for row in range(4):
                axes[row, c].set(xticks=[], yticks=[])
            axes[0, c].set_title(f"channel {c + 1}", fontsize=9)
        for row, name in enumerate(("x", "mean z", "gate s", "s · x")):
            axes[row, 0].set_ylabel(name, fontsize=9)
        figure.suptitle(self.title, fontsize=10, parse_math=False)
        return figure
