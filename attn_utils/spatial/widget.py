"""The spatial mask of chapter 11: a scene to rearrange, and the gate that follows its object."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor, nn

from attn_utils.widgets.base import (
    Buffer,
    Choice,
    ControlError,
    LiveWidget,
    Numbers,
    Switch,
    front_end,
)

from .spatial import CBAM, SpatialAttention
from .trained import FORM, numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 30  # pixels of the scene
BOX = 10  # pixels of an object
MOST = 9  # objects

# An object of the default scene is drawn by these strokes: a digit in 8 × 8 pixels, row by row.
DIGITS = {
    5: "01111110 01000000 01000000 01111100 00000010 00000010 01000010 00111100",
    7: "01111110 00000010 00000100 00000100 00001000 00001000 00010000 00010000",
    2: "00111100 01000010 00000010 00000100 00011000 00100000 01000000 01111110",
    4: "00000100 00001100 00010100 00100100 01000100 01111110 00000100 00000100",
    3: "00111100 01000010 00000010 00011100 00000010 00000010 01000010 00111100",
}


class _Layer:
    """A convolution with what follows it folded in: weight (out, in, k, k), bias, stride, ReLU."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int = 1, relu: bool = False) -> None:
        self.weight, self.bias, self.stride, self.relu = weight, bias, stride, relu

    def __call__(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, self.bias, self.stride, self.weight.shape[-1] // 2)
        return x.relu() if self.relu else x

    @property
    def form(self) -> list[int]:
        out, into, size, _ = self.weight.shape
        return [out, into, size, self.stride, int(self.relu)]


def _layers_of(stem: nn.Module) -> list[_Layer]:
    """Fold the BatchNorms of a trained stem into its convolutions."""
    layers: list[_Layer] = []
    for part in stem.children():
        if isinstance(part, nn.Conv2d):
            size, stride = part.kernel_size[0], part.stride[0]
            if part.padding != (size // 2,) * 2 or part.weight.shape[-1] % 2 == 0:
                raise ValueError(f"stem: expected odd kernels padded to keep the size, got {part}")
            bias = torch.zeros(part.out_channels) if part.bias is None else part.bias
            layers.append(_Layer(part.weight.detach().double(), bias.detach().double(), stride))
        elif isinstance(part, nn.BatchNorm2d) and layers:
            mean, variance = part.running_mean, part.running_var
            if mean is None or variance is None:
                raise ValueError("stem: expected a BatchNorm2d with running statistics")
            scale = part.weight.detach().double() / (variance.double() + part.eps).sqrt()
            last = layers[-1]
            last.weight = last.weight * scale[:, None, None, None]
            last.bias = (last.bias - mean.double()) * scale + part.bias.detach().double()
        elif isinstance(part, nn.ReLU) and layers:
            layers[-1].relu = True
        else:
            kind = type(part).__name__
            raise ValueError(f"stem: expected Conv2d, BatchNorm2d and ReLU in a row, got {kind}")
    if not layers or layers[0].weight.shape[1] != 1:
        raise ValueError("stem: expected a first Conv2d with one input channel")
    for layer in layers:  # the browser has them in float32
        layer.weight, layer.bias = layer.weight.float().double(), layer.bias.float().double()
    return layers


def _default_net() -> tuple[list[_Layer], CBAM]:
    tensors, cbam = numbers()
    layers = [
        _Layer(weight.double(), bias.double(), stride, relu)
        for (weight, bias), (_, _, _, stride, relu) in zip(tensors, FORM, strict=True)
    ]
    return layers, cbam.double()


def _default_objects() -> Tensor:
    """Five digits on 10 × 10 pixels; the first one wears a frame."""
    pictures = torch.zeros(len(DIGITS), BOX, BOX)
    for picture, rows in zip(pictures, DIGITS.values(), strict=True):
        picture[1:9, 1:9] = torch.tensor([[float(c) for c in row] for row in rows.split()])
    pictures[0, [0, -1]] = 1.0
    pictures[0, :, [0, -1]] = 1.0
    return pictures


class SpatialMaskExplorer(LiveWidget):
    """A scene with one framed object among others, and CBAM's spatial gate laid over it.

    Drag the objects: the features, both gates and the share of the spatial gate that lies in the
    framed object's box are computed anew in the browser, as :class:`attn_utils.spatial.CBAM` does.

    Args:
        stem: a trained stack of Conv2d, BatchNorm2d and ReLU on one-channel images. By default
            that of a small net that was trained as chapter 11 trains its reader.
        cbam: the trained :class:`~attn_utils.spatial.CBAM` behind it, with a 7 × 7 kernel.
        objects: (n, 10, 10) pictures from 0 to 1, up to nine; the first is the object to be found.
        **controls: any of the attributes below.

    Attributes:
        kernel: "7", or "3": only the middle 3 × 3 of the kernel.
        channel: whether the channel gate is applied before the spatial one.
        left: distance of each object from the left edge, 0 to 20 pixels.
        top: distance of each object from the upper edge.
        mean_map: mean over the channels, row by row.
        max_map: maximum over the channels.
        gate: the spatial gate, from 0 to 1.
        channel_gate: one number for each channel; all 1 if it is off.
        share: part of the gate's sum that lies in the box of the first object.
    """

    _esm = front_end(__file__, ".js")
    _css = front_end(__file__, ".css")

    title = traitlets.Unicode("Spatial mask: which positions does the gate let through?").tag(
        sync=True
    )
    alt = traitlets.Unicode(
        "A scene with five digits, one of them framed. A coloured mask lies over the framed digit "
        "and leaves the others uncoloured. Beside it the two maps that the gate is computed from: "
        "the mean and the maximum over the channels."
    )
    kernel = Choice("7", options=("7", "3"), label="kernel size")
    channel = Switch(True, label="channel attention first")
    left = Numbers([0], min=0, max=SIDE - BOX, step=1, label="from the left")
    top = Numbers([0], min=0, max=SIDE - BOX, step=1, label="from the top")

    mean_map = Buffer()
    max_map = Buffer()
    gate = Buffer()
    channel_gate = Buffer()
    share = Buffer()

    _own_net = traitlets.Bool().tag(sync=True)  # a stem or objects that no line of Python makes
    _form: traitlets.List[Any] = traitlets.List().tag(sync=True)  # of the stem's layers
    _hidden = traitlets.Int().tag(sync=True)  # of the channel attention
    _stem = Buffer()  # weights and biases, layer by layer
    _gates = Buffer()  # fc1, fc2, kernel
    _objects = Buffer()
    _noise = Buffer()

    def __init__(
        self,
        stem: nn.Module | None = None,
        cbam: CBAM | None = None,
        objects: Any = None,
        **controls: Any,
    ) -> None:
        if (stem is None) != (cbam is None):
            missing = "stem" if stem is None else "cbam"
            raise ValueError(f"{missing}: expected together with the other one, got None")
        if stem is None or cbam is None:
            self._layers, self._cbam = _default_net()
        else:
            self._layers = _layers_of(stem)
            self._cbam = _copy_of(cbam, self._layers[-1].weight.shape[0])
        pictures = _default_objects() if objects is None else torch.as_tensor(objects).float()
        if pictures.ndim != 3 or pictures.shape[1:] != (BOX, BOX) or not 1 <= len(pictures) <= MOST:
            raise ValueError(
                f"objects: expected shape (n, {BOX}, {BOX}) with n up to {MOST}, got "
                f"{tuple(pictures.shape)}"
            )
        n = len(pictures)
        order = [4, 0, 8, 2, 6, 1, 3, 5, 7][:n]  # cells of a 3 × 3 grid
        start: dict[str, Any] = {
            "left": [float(BOX * (cell % 3)) for cell in order],
            "top": [float(BOX * (cell // 3)) for cell in order],
        }
        channel, spatial = self._cbam.channel, self._cbam.spatial
        super().__init__(
            _own_net=stem is not None or objects is not None,
            _form=[layer.form for layer in self._layers],
            _hidden=self._cbam.channel.fc1.out_features,
            _stem=_flat(*(t for layer in self._layers for t in (layer.weight, layer.bias))),
            _gates=_flat(channel.fc1.weight, channel.fc2.weight, spatial.conv.weight),
            _objects=_flat(pictures),
            _noise=_flat(0.1 * torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(1))),
            **{**start, **controls},
        )

    @traitlets.validate("left", "top")
    def _one_each(self, proposal: traitlets.Bunch) -> list[float]:
        numbers: list[float] = proposal.value
        needed = len(self._objects) // BOX**2
        if needed and len(numbers) != needed:
            name = proposal.trait.name
            raise ControlError(f"{name}: expected {needed} numbers, got {len(numbers)}")
        return [float(round(number)) for number in numbers]

    def scene(self) -> Tensor:
        """The picture as it stands, (30, 30): the objects on a background of faint noise."""
        picture = torch.tensor(self._noise).double().view(SIDE, SIDE)
        objects = torch.tensor(self._objects).double().view(-1, BOX, BOX)
        for drawn, left, top in zip(objects, self.left, self.top, strict=True):
            picture[int(top) : int(top) + BOX, int(left) : int(left) + BOX] += drawn
        return picture

    def reference(self) -> dict[str, Tensor]:
        """Compute the maps, the gates and the share in torch, in float64."""
        if len(self.left) != len(self.top):  # while both are being replaced
            return {}
        x = self.scene()[None, None]
        with torch.no_grad():
            for layer in self._layers:
                x = layer(x)
            by_channel = self._cbam.channel.gate(x)  # (1, C, 1, 1)
            if not self.channel:
                by_channel = torch.ones_like(by_channel)
            x = x * by_channel
            gate = self._spatial().gate(x)[0, 0]  # (1, 1, H, W) -> (H, W)
        return {
            "mean_map": x.mean(1)[0],
            "max_map": x.amax(1)[0],
            "gate": gate,
            "channel_gate": by_channel.flatten(),
            "share": self._share(gate),
        }

    def _spatial(self) -> SpatialAttention:
        """The spatial attention, with the whole kernel or with its middle 3 × 3."""
        if self.kernel == "7":
            return self._cbam.spatial
        middle = SpatialAttention(3).double()
        middle.load_state_dict({"conv.weight": self._cbam.spatial.conv.weight[:, :, 2:5, 2:5]})
        return middle

    def _share(self, gate: Tensor) -> Tensor:
        """Each pixel has the gate of its cell; how much of the sum do the box's pixels have?"""
        pixels = torch.arange(SIDE) * gate.shape[0] // SIDE
        spread = gate[pixels][:, pixels]  # (30, 30)
        top, left = int(self.top[0]), int(self.left[0])
        return spread[top : top + BOX, left : left + BOX].sum() / spread.sum()

    def figure(self) -> Figure:
        """Draw the scene, both maps and the gate as they stand."""
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        results = self.reference()
        side = len(results["gate"])
        figure = Figure(figsize=(8.0, 2.5), layout="constrained")
        axes = figure.subplots(1, 4)
        axes[0].imshow(self.scene().numpy(), cmap="gray_r", vmin=0, vmax=1.2)
        corner = (self.left[0] - 0.5, self.top[0] - 0.5)
        axes[0].add_patch(Rectangle(corner, BOX, BOX, fill=False, ec="#D55E00", lw=2))
        axes[0].set_title(f"scene: {float(results['share']):.2f} in the box", fontsize=9)
        for ax, name in zip(axes[1:], ("mean_map", "max_map", "gate"), strict=True):
            values = results[name].view(side, side).numpy()
            limits = {"vmin": 0, "vmax": 1} if name == "gate" else {}
            image = ax.imshow(values, cmap="Reds", **limits)
            ax.set_title(name.replace("_", " "), fontsize=9)
            figure.colorbar(image, ax=ax, shrink=0.7)
        for ax in axes:
            ax.set(xticks=[], yticks=[])
        return figure


def _copy_of(cbam: CBAM, channels: int) -> CBAM:
    if not isinstance(cbam, CBAM) or cbam.channel.channels != channels:
        got = f"one for {cbam.channel.channels}" if isinstance(cbam, CBAM) else type(cbam).__name__
        raise ValueError(f"cbam: expected a CBAM for the stem's {channels} channels, got {got}")
    size = cbam.spatial.conv.kernel_size[0]
    if size != 7:
        raise ValueError(f"cbam: expected a spatial kernel of 7 × 7, got {size} × {size}")
    if len(cbam.state_dict()) != 3:
        raise ValueError("cbam: expected one without biases and BatchNorm, as in the paper")
    return copy.deepcopy(cbam).cpu().float().double()  # the browser has the weights in float32


def _flat(*tensors: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    flat = torch.cat([t.detach().cpu().flatten().float() for t in tensors])
    return np.asarray(flat.numpy(), dtype=np.float32)
