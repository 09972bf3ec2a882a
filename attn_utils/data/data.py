"""Data that the chapters use: drawn scenes, bundled photographs and synthetic samples.

Nothing here is downloaded when a notebook runs, and everything is deterministic.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .desk import Box, draw_desk

__all__ = [
    "KernelRegressionData",
    "coffee_photo",
    "diabetes_bmi",
    "kernel_regression_data",
    "table_scene",
]


# --- chapter 1: the desk and the photograph -----------------------------------------------------


def table_scene(width: int = 480) -> tuple[Tensor, dict[str, Box]]:
    """Draw a desk, seen from above, with five things of which only the cup has a colour.

    Args:
        width: width of the image in pixels, at least 96 and a multiple of 4; its height is
            three quarters of that.

    Returns:
        ``image`` of shape (height, width, 3), float32, RGB in 0…1 (sRGB), and ``boxes``, which give
        for "newspaper", "paper", "cup", "notebook" and "book", in this order, the :data:`Box` that
        holds it. Boxes do not overlap. The drawing is the same each time.

    Raises:
        ValueError: ``width`` is too small or not a multiple of 4.

    Example:
        >>> from attn_utils import table_scene
        >>> image, boxes = table_scene(width=96)
        >>> image.shape, list(boxes)
        (torch.Size([72, 96, 3]), ['newspaper', 'paper', 'cup', 'notebook', 'book'])
        >>> colour = image.amax(-1) - image.amin(-1)  # 0 where all is grey
        >>> top, left, bottom, right = boxes["cup"]
        >>> f"{colour[top:bottom, left:right].max():.1f}"
        '0.8'
        >>> colour[top:bottom, left:right] = 0
        >>> f"{colour.max():.1f}"  # beside the cup
        '0.0'
    """
    if width < 96 or width % 4:
        raise ValueError(f"width: expected a multiple of 4 that is at least 96, got {width}")
    image, boxes = draw_desk(width)
    return torch.from_numpy(image).float(), boxes


def coffee_photo() -> tuple[Tensor, Box]:
    """Load the photograph of a cup of coffee that comes with scikit-image.

    Returns:
        ``image`` of shape (400, 600, 3), float32, RGB in 0…1 (sRGB), and the :data:`Box` of the
        cup with its saucer, marked by hand.

    The photograph (Rachel Michetti, given to the public domain under CC0) is a file of the
    scikit-image package: nothing is downloaded.

    Example:
        >>> from attn_utils import coffee_photo
        >>> image, (top, left, bottom, right) = coffee_photo()
        >>> image.shape
        torch.Size([400, 600, 3])
        >>> image[top:bottom, left:right].shape  # the cup
        torch.Size([368, 405, 3])
    """
    from skimage import data as photographs

    load: Any = photographs.coffee  # scikit-image does not type its data module
    image = torch.from_numpy(np.ascontiguousarray(load())).float() / 255
    return image, (18, 76, 386, 481)


# --- chapter 2: samples for kernel regression ---------------------------------------------------


class KernelRegressionData(NamedTuple):
    """A noisy sample of f(x) = 2 sin x + x^0.8 and the positions where a fit is judged.

    Example:
        >>> from attn_utils import kernel_regression_data
        >>> x_train, y_train, x_test, y_true = kernel_regression_data(num_train=20)
        >>> x_train.shape, x_test.shape
        (torch.Size([20]), torch.Size([50]))
    """

    x_train: Tensor
    """Training inputs (n,), sorted, uniform in [0, 5)."""
    y_train: Tensor
    """Targets (n,), f(x_train) plus noise."""
    x_test: Tensor
    """Test inputs 0, 0.1, …, 4.9, (50,)."""
    y_true: Tensor
    """f(x_test) without noise, (50,)."""


def kernel_regression_data(
    num_train: int = 50, *, noise: float = 0.5, seed: int = 0
) -> KernelRegressionData:
    """Draw the sample on which chapter 2 fits f(x) = 2 sin x + x^0.8.

    Args:
        num_train: number n of training pairs, at least 1.
        noise: standard deviation of the Gaussian noise on the targets.
        seed: the sample is the one that ``torch.manual_seed(seed)`` leads to; the global
            generator is left alone.

    Example:
        >>> import torch
        >>> from attn_utils import kernel_regression_data
        >>> data = kernel_regression_data(noise=0.0)
        >>> torch.allclose(data.y_train, 2 * data.x_train.sin() + data.x_train**0.8)
        True
        >>> again = kernel_regression_data(seed=0)
        >>> torch.equal(data.x_train, again.x_train)  # the seed decides
        True
    """
    if num_train < 1:
        raise ValueError(f"num_train: expected at least 1, got {num_train}")
    if not (math.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise: expected a finite number >= 0, got {noise}")
    generator = torch.Generator().manual_seed(seed)
    x_train = torch.sort(torch.rand(num_train, generator=generator) * 5).values
    error = noise * torch.randn(num_train, generator=generator)
    x_test = torch.arange(50) / 10

    def f(x: Tensor) -> Tensor:
        return 2 * torch.sin(x) + x**0.8

    return KernelRegressionData(x_train, f(x_train) + error, x_test, f(x_test))


def diabetes_bmi(*, standardize: bool = False) -> tuple[Tensor, Tensor]:
    """Load body mass index and disease progression of 442 diabetes patients (Efron et al., 2004).

    The table is a file of the scikit-learn package: nothing is downloaded.

    Args:
        standardize: give both columns mean 0 and standard deviation 1.

    Returns:
        ``bmi`` (442,) in kg/m², in ascending order, and ``progression`` (442,), a measure of how
        far the disease has advanced after one year (25 to 346); both float32.

    Example:
        >>> from attn_utils import diabetes_bmi
        >>> bmi, progression = diabetes_bmi(standardize=True)
        >>> bmi.shape, bool((bmi.diff() >= 0).all())
        (torch.Size([442]), True)
        >>> f"{(bmi * progression).mean().item():.2f}"  # their correlation
        '0.59'
    """
    from sklearn.datasets import load_diabetes

    table, target = load_diabetes(return_X_y=True, scaled=False)
    order = np.argsort(table[:, 2], kind="stable")
    columns = [table[order, 2], np.asarray(target)[order]]
    if standardize:
        columns = [(c - c.mean()) / c.std() for c in columns]
    bmi, progression = (torch.tensor(c, dtype=torch.float32) for c in columns)
    return bmi, progression
