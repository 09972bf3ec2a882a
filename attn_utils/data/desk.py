"""The desk of chapter 1, drawn: a newspaper, a paper, a red cup, a notebook and a book."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import numpy.typing as npt

# top, left, bottom, right of a thing in an image, in pixels, the last two exclusive
Box = tuple[int, int, int, int]

_Array = npt.NDArray[np.float64]
_Colour = tuple[float, float, float]


def draw_desk(width: int) -> tuple[_Array, dict[str, Box]]:
    """Draw the desk ``width`` pixels wide; return RGB (height, width, 3) in 0…1, and the boxes."""
    desk = _Desk(width)
    boxes = {
        "newspaper": _draw_newspaper(desk.part(0, 2, 21, 35)),
        "paper": _draw_paper(desk.part(18, 0, 35, 21)),
        "cup": _draw_cup(desk.part(32, 1, 48, 18)),
        "notebook": _draw_notebook(desk.part(18, 19, 38, 36)),
        "book": _draw_book(desk.part(33, 16, 48, 36)),
    }
    return desk.image(), boxes


class _Desk:
    """A sheet of RGB numbers that shapes are painted on, measured in centimetres.

    The desk is 48 cm wide and 36 cm high, x to the right, y downwards. Shapes are given by their
    signed distance (negative inside), so that edges are smooth; the sheet has twice the final
    resolution, which smooths what is left.
    """

    def __init__(self, width: int) -> None:
        self.scale = 2 * width / 48  # dots per cm
        columns, rows = 2 * width, 3 * width // 2
        self.x, self.y = np.meshgrid(
            (np.arange(columns) + 0.5) / self.scale, (np.arange(rows) + 0.5) / self.scale
        )
        # Light falls from the top left; a little grain keeps the surface from looking synthetic.
        light = 0.70 - 0.0022 * (self.x - 24) - 0.0022 * (self.y - 18)
        grain = np.random.default_rng(1890).normal(0.0, 1.0, (rows, columns))
        for shift in (1, 2, 4, 8, 16):
            grain = grain + np.roll(grain, shift, axis=1)
        light = light + 0.004 * grain / grain.std()
        self.rgb = np.repeat(light[..., None], 3, axis=2)

    def image(self) -> _Array:
        rows, columns, _ = self.rgb.shape
        small: _Array = self.rgb.reshape(rows // 2, 2, columns // 2, 2, 3).mean(axis=(1, 3))
        return small.clip(0.0, 1.0)

    def paint(self, distance: _Array, colour: _Colour, opacity: float | _Array = 1.0) -> None:
        alpha = np.clip(0.5 - distance * self.scale, 0.0, 1.0) * opacity
        touched = alpha > 0  # a stroke reaches few of the dots
        self.rgb[touched] += alpha[touched, None] * (np.asarray(colour) - self.rgb[touched])

    def shadow(self, distance: _Array, softness: float = 1.0, strength: float = 0.45) -> None:
        depth = np.clip(0.5 - distance / (2 * softness), 0.0, 1.0)
        self.rgb *= 1 - strength * (depth**2 * (3 - 2 * depth))[..., None]

    def part(self, left: float, top: float, right: float, bottom: float) -> _Desk:
        """The desk between these edges, in cm: painting there is quicker and reaches the whole."""
        part = copy.copy(self)
        columns = slice(max(0, int(left * self.scale)), int(right * self.scale))
        rows = slice(max(0, int(top * self.scale)), int(bottom * self.scale))
        part.x, part.y, part.rgb = (a[rows, columns] for a in (self.x, self.y, self.rgb))
        return part

    def sheet(self, x: float, y: float, angle: float) -> tuple[_Array, _Array]:
        """Coordinates of every dot relative to a sheet at (x, y) turned by ``angle`` degrees."""
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        dx, dy = self.x - x, self.y - y
        return c * dx + s * dy, -s * dx + c * dy

    def box(self, distance: _Array) -> Box:
        x, y = self.x[distance < 0] * self.scale / 2, self.y[distance < 0] * self.scale / 2
        return math.floor(y.min()), math.floor(x.min()), math.ceil(y.max()), math.ceil(x.max())


def _grey(level: float) -> _Colour:
    return (level, level, level)


def _rectangle(
    u: _Array, v: _Array, left: float, top: float, right: float, bottom: float, radius: float = 0.0
) -> _Array:
    a = np.abs(u - (left + right) / 2) - ((right - left) / 2 - radius)
    b = np.abs(v - (top + bottom) / 2) - ((bottom - top) / 2 - radius)
    outside = np.hypot(np.maximum(a, 0.0), np.maximum(b, 0.0))
    return outside + np.minimum(np.maximum(a, b), 0.0) - radius


def _disc(u: _Array, v: _Array, x: float, y: float, radius: float) -> _Array:
    return np.hypot(u - x, v - y) - radius


def _stroke(u: _Array, v: _Array, points: list[tuple[float, float]], width: float) -> _Array:
    """Distance to a line through ``points`` that is ``width`` thick."""
    distance = np.full_like(u, np.inf)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        along = ((u - x0) * dx + (v - y0) * dy) / (dx * dx + dy * dy)
        along = np.clip(along, 0.0, 1.0)
        distance = np.minimum(distance, np.hypot(u - x0 - along * dx, v - y0 - along * dy))
    return distance - width / 2


def _text(
    desk: _Desk,
    u: _Array,
    v: _Array,
    left: float,
    top: float,
    right: float,
    bottom: float,
    *,
    pitch: float = 0.62,
    seed: int = 0,
    ink: float = 0.25,
) -> None:
    """Paint lines of words: dashes of random length with gaps, the last line cut short."""
    random = np.random.default_rng(seed)
    lines = int((bottom - top) / pitch)
    cell = 0.16
    cells = int((right - left) / cell)
    pattern = np.zeros((lines, cells))
    for i in range(lines):
        length = cells if i < lines - 1 else int(cells * random.uniform(0.4, 0.7))
        at = 0
        while at < length:
            word = int(random.integers(3, 10))
            pattern[i, at : min(at + word, length)] = 1.0
            at += word + 2
    line = np.floor((v - top) / pitch).astype(int)
    column = np.floor((u - left) / cell).astype(int)
    inside = (line >= 0) & (line < lines) & (column >= 0) & (column < cells)
    word_here = np.zeros_like(u)
    word_here[inside] = pattern[line[inside], column[inside]]
    distance = np.abs(v - top - (line + 0.5) * pitch) - 0.21 * pitch
    desk.paint(np.where(inside, distance, 1.0), _grey(ink), word_here)


def _draw_newspaper(desk: _Desk) -> Box:
    u, v = desk.sheet(9.7, 18.0, -4.0)
    desk.shadow(_rectangle(u - 0.35, v - 0.45, -8.0, -13.6, 8.0, 13.6), 0.9)
    for fold in (0.35, 0.18, 0.0):  # the pages below peep out
        distance = _rectangle(u - fold, v - fold, -8.0, -13.6, 8.0, 13.6, 0.1)
        desk.paint(distance, _grey(0.80 if fold else 0.90))
    letters: dict[str, list[list[tuple[float, float]]]] = {
        "N": [[(0, 1), (0, 0), (1, 1), (1, 0)]],
        "E": [[(1, 0), (0, 0), (0, 1), (1, 1)], [(0, 0.5), (0.85, 0.5)]],
        "W": [[(0, 0), (0.25, 1), (0.5, 0.25), (0.75, 1), (1, 0)]],
        "S": [[(1, 0), (0, 0), (0, 0.5), (1, 0.5), (1, 1), (0, 1)]],
    }
    for k, letter in enumerate("NEWS"):
        for points in letters[letter]:
            place = [(-5.6 + 3.0 * k + 2.2 * a, -12.3 + 2.2 * b) for a, b in points]
            desk.paint(_stroke(u, v, place, 0.42), _grey(0.12))
    desk.paint(_stroke(u, v, [(-7.2, -9.2), (7.2, -9.2)], 0.12), _grey(0.15))
    desk.paint(_stroke(u, v, [(-7.2, -8.9), (7.2, -8.9)], 0.06), _grey(0.15))
    _text(desk, u, v, -7.2, -8.5, 7.2, -6.3, pitch=1.05, seed=1, ink=0.15)  # the headline
    photo = _rectangle(u, v, -7.2, -5.8, 2.2, 0.4)
    desk.paint(photo, _grey(0.72))
    sun = _disc(u, v, 0.2, -4.3, 0.7)
    desk.paint(sun, _grey(0.92))
    for peak, height, level in ((-4.6, -4.6, 0.50), (-1.4, -3.4, 0.36)):  # two hills
        hill = np.maximum((height - v + 0.9 * np.abs(u - peak)) * 0.74, photo)
        desk.paint(hill, _grey(level))
    _text(desk, u, v, 2.8, -5.9, 7.2, 13.0, seed=2)
    _text(desk, u, v, -7.2, 1.0, -2.8, 13.0, seed=3)
    _text(desk, u, v, -2.2, 1.0, 2.2, 13.0, seed=4)
    desk.shadow(np.abs(v) - 0.02 + 1e3 * (_rectangle(u, v, -8, -13.6, 8, 13.6) > 0), 0.35, 0.12)
    return desk.box(_rectangle(u, v, -8.0, -13.6, 8.35, 13.95))


def _draw_paper(desk: _Desk) -> Box:
    u, v = desk.sheet(26.4, 10.4, 3.0)
    desk.shadow(_rectangle(u - 0.25, v - 0.3, -5.8, -8.2, 5.8, 8.2), 0.7)
    page = _rectangle(u, v, -5.8, -8.2, 5.8, 8.2)
    desk.paint(page, _grey(0.96))
    for width, y in ((3.6, -7.0), (2.4, -6.3)):  # the title, centred
        desk.paint(_rectangle(u, v, -width, y - 0.2, width, y + 0.2), _grey(0.15))
    desk.paint(_rectangle(u, v, -1.9, -5.55, 1.9, -5.35), _grey(0.45))
    _text(desk, u, v, -3.9, -4.9, 3.9, -2.2, pitch=0.5, seed=5, ink=0.35)  # the abstract
    _text(desk, u, v, -4.9, -1.6, -0.3, 7.4, pitch=0.5, seed=6, ink=0.32)
    _text(desk, u, v, 0.3, 2.8, 4.9, 7.4, pitch=0.5, seed=7, ink=0.32)
    axes = [(0.7, -1.4), (0.7, 2.2), (4.8, 2.2)]
    desk.paint(_stroke(u, v, axes, 0.1), _grey(0.2))
    bell = [(0.8 + 0.25 * i, 2.0 - 3.0 * math.exp(-((i - 8) ** 2) / 14)) for i in range(17)]
    desk.paint(_stroke(u, v, bell, 0.14), _grey(0.3))
    return desk.box(page)


def _draw_cup(desk: _Desk) -> Box:
    u, v = desk.sheet(40.2, 9.0, 0.0)
    saucer = _disc(u, v, 0.0, 0.0, 5.9)
    desk.shadow(_disc(u, v, 0.5, 0.7, 5.9), 1.1)
    desk.paint(saucer, _grey(0.93))
    desk.paint(np.abs(_disc(u, v, 0.0, 0.0, 5.5)) - 0.04, _grey(0.78))
    desk.shadow(_disc(u, v, 0.45, 0.6, 4.0), 0.9, 0.4)
    handle = _stroke(u, v, [(2.6, 2.6), (4.15, 4.15)], 1.25)
    desk.shadow(_stroke(u, v, [(2.9, 3.0), (4.4, 4.6)], 1.0), 0.5, 0.3)
    desk.paint(handle, (0.70, 0.05, 0.07))
    desk.paint(handle + 0.38, (0.86, 0.16, 0.15))
    cup = _disc(u, v, 0.0, 0.0, 3.9)
    desk.paint(cup, (0.83, 0.07, 0.09))
    light = np.clip(-(u + v) / 5.5, 0.0, 1.0)  # the rim facing the light is brighter
    desk.paint(np.abs(_disc(u, v, 0.0, 0.0, 3.62)) - 0.22, (0.97, 0.42, 0.38), light)
    desk.paint(_disc(u, v, 0.0, 0.0, 3.3), (0.50, 0.03, 0.05))
    desk.paint(_disc(u, v, 0.12, 0.12, 3.0), (0.30, 0.18, 0.11))
    desk.paint(_disc(u, v, 0.12, 0.12, 2.75), (0.19, 0.11, 0.07))
    gleam = np.maximum(np.abs(_disc(u, v, 0.1, 0.1, 2.1)) - 0.13, (u + v + 1.9) * 0.7)
    desk.paint(gleam, (0.62, 0.50, 0.42), 0.8)
    return desk.box(saucer)


def _draw_notebook(desk: _Desk) -> Box:
    u, v = desk.sheet(27.6, 27.4, -3.0)
    desk.shadow(_rectangle(u - 0.3, v - 0.4, -7.2, -5.6, 7.2, 5.6, 0.4), 0.8)
    cover = _rectangle(u, v, -7.2, -5.6, 7.2, 5.6, 0.4)
    desk.paint(cover, _grey(0.55))
    page = _rectangle(u, v, -7.0, -5.4, 6.95, 5.35, 0.3)
    desk.paint(page, _grey(0.94))
    for i in range(12):
        y = -4.2 + 0.78 * i
        desk.paint(_rectangle(u, v, -5.9, y - 0.03, 6.6, y + 0.03), _grey(0.70))
    desk.paint(_rectangle(u, v, -4.75, -5.3, -4.68, 5.3), _grey(0.62))
    pen = np.random.default_rng(8)
    # four lines of handwriting
    for i, end in enumerate((5.2, 4.1, 5.6, 1.4)):
        y = -4.2 + 0.78 * i
        x = np.arange(-4.3, end, 0.17)
        height = np.where(pen.random(x.size) < 0.16, 0.0, pen.uniform(0.08, 0.46, x.size))
        height[::2] = 0.0  # down to the line after every stroke up
        wave = [(float(a), float(b)) for a, b in zip(x, y - 0.06 - height, strict=True)]
        desk.paint(_stroke(u, v, wave, 0.09), _grey(0.28))
    for i in range(13):  # the wire
        y = -4.8 + 0.8 * i
        desk.paint(_disc(u, v, -6.35, y, 0.16), _grey(0.25))
        desk.paint(_stroke(u, v, [(-7.55, y - 0.05), (-6.4, y)], 0.18), _grey(0.42))
        desk.paint(_stroke(u, v, [(-7.5, y - 0.09), (-6.5, y - 0.05)], 0.06), _grey(0.85))
    return desk.box(_rectangle(u, v, -7.65, -5.6, 7.2, 5.6, 0.4))


def _draw_book(desk: _Desk) -> Box:
    u, v = desk.sheet(40.7, 25.8, 5.0)
    desk.shadow(_rectangle(u - 0.7, v - 0.9, -4.6, -7.1, 5.0, 7.2, 0.2), 1.3, 0.5)
    desk.paint(_rectangle(u, v, -4.6, -7.0, 5.25, 7.5, 0.15), _grey(0.30))  # the back cover
    pages = _rectangle(u, v, -4.4, -6.8, 5.05, 7.3)
    desk.paint(pages, _grey(0.93))
    for d in (0.12, 0.24):  # the edges of the leaves
        desk.paint(np.abs(_rectangle(u, v, -4.6, -7.1, 4.6 + d, 6.9 + d)) - 0.02, _grey(0.68), 0.8)
    cover = _rectangle(u, v, -4.6, -7.1, 4.6, 6.9, 0.15)
    desk.paint(cover, _grey(0.42))
    desk.paint(np.maximum(cover, u + 3.7), _grey(0.32))  # the spine
    desk.paint(np.maximum(np.abs(u + 3.6) - 0.07, cover), _grey(0.24))
    for y in (-5.6, 5.4):
        desk.paint(_rectangle(u, v, -4.5, y - 0.12, -3.8, y + 0.12), _grey(0.72))
    desk.paint(_rectangle(u, v, -2.6, -5.0, 3.6, -2.0, 0.12), _grey(0.88))
    desk.paint(_rectangle(u, v, -1.9, -4.3, 2.9, -3.75), _grey(0.2))
    desk.paint(_rectangle(u, v, -1.2, -3.2, 2.2, -2.85), _grey(0.35))
    for r in (2.2, 1.55, 0.9, 0.3):  # an eye-catching ornament, in grey
        desk.paint(np.abs(_disc(u, v, 0.5, 2.2, r)) - 0.07, _grey(0.75))
    return desk.box(_rectangle(u, v, -4.6, -7.1, 5.25, 7.5, 0.15))
