"""A training loop that fits on two pages: the one behind every trained model of the book.

AdamW, a learning rate that warms up and then falls along a cosine, cross-entropy. Data are pairs
of tensors, small enough to lie on the device as a whole. With a checkpoint, a run that was killed
goes on where it was and ends with the same bits.
"""

from .loop import History, accuracy, best_device, fit

__all__ = ["History", "accuracy", "best_device", "fit"]
