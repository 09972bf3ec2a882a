"""A training loop that fits on two pages: the one behind every trained model of the book."""

from __future__ import annotations

import contextlib
import math
import operator
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.core.arguments import check_probability, check_sizes

from .progress import rewrite
from .resume import check_writable, own_random_numbers, read_checkpoint, write_checkpoint

__all__ = ["History", "accuracy", "best_device", "fit"]


@dataclass
class History:
    """What happened, epoch by epoch; the lists have one entry per epoch.

    ``train_loss`` is the mean over the epoch's batches, as trained: with dropout, augmentation and
    label smoothing. ``valid_loss`` (cross-entropy, in nats) and ``valid_accuracy`` are empty
    without validation data. ``best_epoch`` counts from 1; its weights are those the model ends
    with. ``seconds`` is wall time, resumed runs added up.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from attn_utils import fit
        >>> inputs = torch.tensor([[-1.0], [1.0]]).repeat(20, 1)
        >>> data = inputs, torch.tensor([0, 1]).repeat(20)
        >>> history = fit(
        ...     nn.Linear(1, 2), train=data, valid=data, epochs=3, progress=False
        ... )
        >>> len(history.train_loss), len(history.valid_accuracy)
        (3, 3)
        >>> 1 <= history.best_epoch <= 3
        True
    """

    train_loss: list[float] = field(default_factory=list)
    valid_loss: list[float] = field(default_factory=list)
    valid_accuracy: list[float] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0


def fit(
    model: nn.Module,
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor] | None = None,
    *,
    epochs: int = 20,
    batch_size: int = 64,
    lr: float = 3e-3,
    weight_decay: float = 0.05,
    warmup: float = 0.1,
    label_smoothing: float = 0.0,
    augment: Callable[[Tensor], Tensor] | None = None,
    patience: int | None = None,
    device: torch.device | str = "cpu",
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> History:
    """Train a classifier in place.

    The result depends on the model's weights, the data and ``seed`` (and, in the last digits, on
    the machine and its number of threads), not on what was drawn before: shuffling has a generator
    of its own, and PyTorch's global one, from which dropout and ``augment`` draw, is seeded for
    the training and put back afterwards. The model ends on ``device``, in evaluation mode.

    Args:
        model: maps inputs (B, …) to logits (B, classes) or, for labels (B, T), to (B, T, classes).
            A tuple of logits, as a distilled vision transformer's in training, is trained on the
            mean of their losses.
        train: inputs (N, …) and labels (N,) or (N, T), classes counted from 0.
        valid: the same, to choose by. The model then ends with the weights of the epoch with the
            highest validation accuracy; of equal ones the epoch with the lowest loss.
        epochs: how many times the training data are seen.
        batch_size: examples in a step; the last batch of an epoch may be smaller.
        lr: the highest learning rate.
        weight_decay: AdamW's, on all parameters.
        warmup: the fraction of the steps in which the learning rate rises to ``lr``; then it falls
            to 0 along half a cosine.
        label_smoothing: the share of the target that is spread over all classes.
        augment: maps a batch of training inputs to a changed one; it should draw with PyTorch.
        patience: stop after so many epochs without a better one; needs ``valid``.
        device: where to train; see :func:`best_device`.
        checkpoint: a file that is replaced after every epoch. If it exists, training goes on from
            it, whatever the model's weights; if it is complete, nothing is trained. It is checked
            as a whole before anything is changed.
        seed: of shuffling, dropout and augmentation.
        progress: write one line to standard output, rewritten while somebody can watch it.

    Returns:
        Losses, accuracies and the best epoch.

    Raises:
        ValueError: labels that the model has no class for, outputs that are no logits, a
            checkpoint that is broken, of another training, or where no file can be written.
        OSError: a checkpoint cannot be written because the disk is full, for instance; the one
            of the epoch before is still there.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from attn_utils import accuracy, fit
        >>> inputs = torch.tensor([[-1.0], [1.0]]).repeat(20, 1)
        >>> labels = torch.tensor([0, 1]).repeat(20)  # is the number positive?
        >>> model = nn.Linear(1, 2)
        >>> history = fit(model, (inputs, labels), epochs=50, lr=0.1, progress=False)
        >>> history.train_loss[-1] < 0.1
        True
        >>> accuracy(model, inputs, labels)
        1.0

    References:
        Loshchilov & Hutter (2019). Decoupled weight decay regularization.
    """
    settings: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "weight_decay": weight_decay,
        "warmup": warmup,
        "label_smoothing": label_smoothing,
        "patience": patience,
        "seed": seed,
    }
    # Python's own numbers: a checkpoint with NumPy's could not be read again
    settings = {name: _plain(value) for name, value in settings.items()}
    _check(model, settings, valid is not None)
    epochs, batch_size, lr, weight_decay, warmup, label_smoothing, patience, seed = (
        settings.values()
    )
    device = torch.device(device)
    inputs, labels = _pair("train", train, device)
    held_out = None if valid is None else _pair("valid", valid, device)
    settings |= {"train": len(labels), "valid": 0 if held_out is None else len(held_out[1])}
    path, saved = None if checkpoint is None else Path(checkpoint), None
    if path is not None:
        check_writable(path)
        saved = read_checkpoint(path, settings, model, device) if path.exists() else None

    parameters = list(model.to(device).parameters())
    optimiser = torch.optim.AdamW(
        parameters, lr=lr, weight_decay=weight_decay, fused=_can_be_fused(parameters, device)
    )
    shuffle = torch.Generator("cpu").manual_seed(seed)
    steps = math.ceil(len(labels) / batch_size)  # in an epoch
    history, best = History(), None
    with own_random_numbers(device, seed) as generators:
        if saved is not None:
            model.load_state_dict(saved["model"])
            # of the file only what AdamW has gathered: rate, decay and the like are this call's
            optimiser.load_state_dict(
                {**optimiser.state_dict(), "state": saved["optimiser"]["state"]}
            )
            for generator, state in zip([shuffle, *generators], saved["random"], strict=False):
                generator.set_state(state)
            history, best = History(**saved["history"]), saved["best"]
        start = time.perf_counter() - history.seconds
        for epoch in range(len(history.train_loss), epochs):
            if patience is not None and epoch - history.best_epoch >= patience:
                break
            model.train()
            total = torch.zeros((), device=device)
            order = torch.randperm(len(labels), generator=shuffle, device="cpu").to(device)
            for step, batch in enumerate(torch.split(order, batch_size), epoch * steps):
                # a function of the step: there is no scheduler whose state would have to be kept
                rate = lr * _share_of_rate(step, epochs * steps, warmup)
                for group in optimiser.param_groups:
                    group["lr"] = rate
                x = inputs[batch] if augment is None else augment(inputs[batch])
                loss = _loss(model(x), labels[batch], label_smoothing)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                with torch.device("cpu"):  # where AdamW counts, whatever the default device is
                    optimiser.step()
                total += loss.detach() * len(batch)
            history.train_loss.append(total.item() / len(labels))
            if held_out is not None:
                loss_now, accuracy_now = _evaluate(model, *held_out, max(batch_size, 256))
                history.valid_loss.append(loss_now)
                history.valid_accuracy.append(accuracy_now)
            if _is_best(history):
                history.best_epoch = epoch + 1
                if held_out is not None:
                    best = {name: x.clone() for name, x in model.state_dict().items()}
            history.seconds = time.perf_counter() - start
            if path is not None:
                write_checkpoint(
                    path,
                    {
                        "settings": settings,
                        "history": asdict(history),
                        "best": best,
                        "model": model.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "random": [generator.get_state() for generator in [shuffle, *generators]],
                    },
                )
            if progress:
                rewrite(_line(history, epochs))
    if progress:
        rewrite(_line(history, epochs), last=True)
    if best is not None:
        model.load_state_dict(best)
    model.eval()
    return history


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor, batch_size: int = 256) -> float:
    """Compute the share of labels that the model's largest logit hits, in evaluation mode.

    Args:
        model: maps inputs (B, …) to logits (B, classes) or (B, T, classes); its device counts. Of
            a tuple of logits the mean is taken.
        inputs: (N, …).
        labels: (N,) or (N, T), classes counted from 0.
        batch_size: how many inputs the model gets at once.

    Returns:
        A number from 0 to 1.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from attn_utils import accuracy
        >>> logits = torch.tensor([[3.0, 1.0], [0.0, 2.0], [5.0, 4.0], [1.0, 0.0]])
        >>> accuracy(nn.Identity(), logits, torch.tensor([0, 1, 1, 1]))
        0.5
    """
    batch_size = _plain(batch_size)
    check_sizes(batch_size=batch_size)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    modes = {module: module.training for module in model.modules()}
    try:
        return _evaluate(model, *_pair("inputs, labels", (inputs, labels), device), batch_size)[1]
    finally:
        for module, mode in modes.items():
            module.training = mode


def best_device() -> torch.device:
    """Return the fastest device there is: CUDA, else Apple's MPS, else the CPU.

    Example:
        >>> from attn_utils import best_device
        >>> best_device().type in ("cuda", "mps", "cpu")
        True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _plain(value: Any) -> Any:
    """Return a number as Python's int or float; anything else, which is refused later, as it is."""
    if value is None or isinstance(value, bool | str):
        return value
    for kind in (operator.index, float):
        with contextlib.suppress(TypeError, ValueError):
            return kind(value)
    return value


def _check(model: nn.Module, settings: dict[str, Any], has_valid: bool) -> None:
    if not isinstance(model, nn.Module) or not any(True for _ in model.parameters()):
        raise ValueError(f"model: expected a module with parameters, got {type(model).__name__}")
    patience = settings["patience"]
    check_sizes(
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        patience=1 if patience is None else patience,
    )
    if patience is not None and not has_valid:
        raise ValueError(f"patience: expected None without valid, got {patience}")
    for name in ("lr", "weight_decay", "warmup", "label_smoothing"):
        number = settings[name]
        if not isinstance(number, int | float) or not 0 <= number < math.inf:
            raise ValueError(f"{name}: expected a number of at least 0, got {number!r}")
    for name in ("warmup", "label_smoothing"):
        check_probability(name, settings[name])
    seed = settings["seed"]
    if not isinstance(seed, int) or not -(2**63) <= seed < 2**64:  # what PyTorch takes
        raise ValueError(f"seed: expected an integer of at most 64 bits, got {seed!r}")


def _pair(name: str, pair: tuple[Tensor, Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    if not (isinstance(pair, tuple | list) and [isinstance(x, Tensor) for x in pair] == [True] * 2):
        raise ValueError(f"{name}: expected a pair of tensors, inputs and labels, got {type(pair)}")
    inputs, labels = pair
    shapes = f"{tuple(inputs.shape)} and {tuple(labels.shape)}"
    if inputs.ndim == 0 or labels.ndim == 0 or not 0 < len(inputs) == len(labels):
        raise ValueError(f"{name}: expected a label for each of at least one input, got {shapes}")
    if labels.is_floating_point() or labels.is_complex() or int(labels.min()) < 0:
        least = labels.flatten()[0] if labels.is_complex() else labels.min()
        raise ValueError(
            f"{name}: expected labels that are classes 0, 1, …, got {labels.dtype}, {least.item()}"
        )
    return inputs.to(device), labels.to(device, torch.long)


def _can_be_fused(parameters: list[nn.Parameter], device: torch.device) -> bool:
    """Whether one call of PyTorch's does what otherwise takes a dozen for each parameter.

    It is not written for complex numbers, and computes something else where a parameter lies in
    memory in another way than its gradient.
    """
    return device.type in ("cpu", "cuda", "mps") and all(
        p.is_contiguous() and not p.is_complex() for p in parameters
    )


def _share_of_rate(step: int, steps: int, warmup: float) -> float:
    """Rise linearly to 1 in the first steps, then fall to 0 along half a cosine."""
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 + 0.5 * math.cos(math.pi * (step - rising) / (steps - rising))


def _all_logits(outputs: Tensor | tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, ...]:
    """Return the logits, of which a model may give several, once they fit the labels."""
    outputs = tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)
    for logits in outputs:
        if not isinstance(logits, Tensor) or logits.shape[:-1] != labels.shape:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"model: expected logits of shape {(*labels.shape, 'classes')}, got {got}"
            )
        if labels.max() >= logits.shape[-1]:
            raise ValueError(
                f"labels: expected classes below the model's {logits.shape[-1]}, got "
                f"{int(labels.max())}"
            )
    return outputs


def _loss(outputs: Tensor | tuple[Tensor, ...], labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy; of a tuple of logits, the mean of theirs."""
    losses = [
        F.cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=smoothing)
        for logits in _all_logits(outputs, labels)
    ]
    return torch.stack(losses).mean()


@torch.no_grad()
def _evaluate(
    model: nn.Module, inputs: Tensor, labels: Tensor, batch_size: int
) -> tuple[float, float]:
    """Cross-entropy and accuracy, both as means over the labels."""
    model.eval()
    loss = right = 0.0
    for x, y in zip(torch.split(inputs, batch_size), torch.split(labels, batch_size), strict=True):
        outputs = model(x)
        loss += _loss(outputs, y).item() * y.numel()
        logits = torch.stack(_all_logits(outputs, y)).mean(0)
        right += (logits.argmax(-1) == y).sum().item()
    return loss / labels.numel(), right / labels.numel()


def _is_best(history: History) -> bool:
    """Whether the latest epoch beats the best: by accuracy, then by loss."""
    if not history.valid_loss or history.best_epoch == 0:
        return True
    now, best = (
        (history.valid_accuracy[i], -history.valid_loss[i]) for i in (-1, history.best_epoch - 1)
    )
    return now > best


def _line(history: History, epochs: int) -> str:
    line = f"epoch {len(history.train_loss):{len(str(epochs))}}/{epochs}"
    line += f"  loss {history.train_loss[-1]:.3f}"
    if history.valid_accuracy:
        best = history.valid_accuracy[history.best_epoch - 1]
        line += f"  valid accuracy {history.valid_accuracy[-1]:.3f}"
        line += f" (best {best:.3f} in epoch {history.best_epoch})"
    return line
