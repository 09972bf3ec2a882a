"""Attention pooling by kernel regression: the query decides which values count.

Nadaraya (1964) and Watson (1964) predict the value at a point x from pairs (x_i, y_i) as a
weighted average in which near pairs weigh more. Read x as the query, x_i as the keys, y_i as the
values, and it is attention: ``output = weights @ values`` with one row of weights per query.

Shapes throughout: ``queries`` (T,); ``keys`` and ``values`` either (S,), shared by all queries, or
(T, S), one row for each query. The output has shape (T,), the weights (T, S).
"""

from .kernels import KERNELS
from .pooling import (
    NWKernelRegression,
    average_pooling,
    leave_one_out_error,
    nadaraya_watson,
)

__all__ = [
    "KERNELS",
    "NWKernelRegression",
    "average_pooling",
    "leave_one_out_error",
    "nadaraya_watson",
]
