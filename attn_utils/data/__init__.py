"""Data that the chapters use: drawn scenes, bundled photographs and synthetic samples.

Nothing here is downloaded when a notebook runs, and everything is deterministic.
"""

from .data import (
    KernelRegressionData,
    coffee_photo,
    diabetes_bmi,
    kernel_regression_data,
    table_scene,
)

__all__ = [
    "KernelRegressionData",
    "coffee_photo",
    "diabetes_bmi",
    "kernel_regression_data",
    "table_scene",
]
