"""What lets a killed training go on: a checkpoint file, and random numbers of its own."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HOUR = 3600.0


@contextlib.contextmanager
def own_random_numbers(device: torch.device, seed: int) -> Iterator[list[torch.Generator]]:
    """Seed the global generators of the CPU and the device; put them back at the end."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    elif device.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    states = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield generators
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def check_writable(path: Path) -> None:
    """Raise ValueError unless a file can be written there: asked before training, not after.

    Parts that killed runs have left behind are removed; one that is being written is younger.
    """
    try:
        part = _part_of(path)
        part.touch(exist_ok=False)
        part.unlink()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"checkpoint: expected a path in a folder that can be written to, got {path} ({reason})"
        ) from error
    if path.exists() and not path.is_file():
        raise ValueError(f"checkpoint: expected a path for a file, got {path}, which is none")
    for old in path.parent.iterdir():
        if old.name.startswith(f"{path.name}.") and old.suffix == ".part":
            with contextlib.suppress(FileNotFoundError):  # another run may tidy up as well
                if time.time() - old.stat().st_mtime > HOUR:
                    old.unlink()


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Replace a file in one step: whenever the process dies, the old or the new one is there.

    Raises:
        OSError: the disk is full, for instance; the old file is still there.
    """
    part = _part_of(path)
    try:
        with part.open("xb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it gets its name
        part.replace(path)
    except (OSError, RuntimeError) as error:
        # what the disk said is hidden behind an error of PyTorch's writer
        cause = error.__context__ if isinstance(error.__context__, OSError) else error
        raise OSError(f"checkpoint: {path} could not be written ({cause})") from cause
    finally:
        part.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    """A name of its own for each write, so that runs with the same path do not collide."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")


def read_checkpoint(
    path: Path, settings: dict[str, Any], model: nn.Module, device: torch.device
) -> dict[str, Any]:
    """Load a checkpoint and check all of it, before anything is changed."""
    try:
        with zipfile.ZipFile(path) as archive:  # PyTorch stores tensors as they are
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise TypeError("it would grow when it is read")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        theirs = _part(state, "settings")
        if not (settings.keys() <= theirs.keys() and all(map(_is_short, theirs.values()))):
            raise TypeError("settings that are not those of fit")
    except Exception as error:  # a broken file can raise nearly anything
        raise ValueError(
            f"checkpoint: expected a file written by fit, got {path} ({type(error).__name__})"
        ) from error
    for name, value in settings.items():
        if theirs[name] != value:
            raise ValueError(
                f"{name}: expected {theirs[name]!r}, with which {path} was begun, got {value!r}"
            )
    if not _is_like(model.state_dict(), state.get("model")):
        raise ValueError(f"checkpoint: expected the weights of this model, got others in {path}")
    try:
        _check_history(state["history"], settings)
        _check_optimiser(_part(state["optimiser"], "state"), list(model.parameters()))
        _check_random(state["random"], device)
        if not _is_like(model.state_dict() if settings["valid"] else None, state["best"]):
            raise ValueError("best weights of another model")
    except Exception as error:  # as above
        raise ValueError(
            f"checkpoint: expected a file written by fit, got {path} with other contents"
        ) from error
    return state


def _part(whole: Any, name: str) -> Any:
    """Return a part by its name. Asked for it, a tensor would warn before it raises an error."""
    if not isinstance(whole, dict):
        raise TypeError(f"expected a dictionary, got {type(whole).__name__}")
    return whole[name]


def _is_short(value: Any) -> bool:
    """Whether this is a number or None: what can be compared and shown in no time."""
    return value is None or type(value) is float or (type(value) is int and abs(value) < 2**64)


def _is_like(ours: Any, theirs: Any) -> bool:
    """Whether a value of the file is built like ours: names, lengths, shapes and types."""
    if isinstance(ours, dict):
        same_names = isinstance(theirs, dict) and ours.keys() == theirs.keys()
        return same_names and all(_is_like(x, theirs[name]) for name, x in ours.items())
    if type(theirs) is not type(ours):
        return False
    if isinstance(ours, Tensor):
        return all(getattr(ours, a) == getattr(theirs, a) for a in ("shape", "dtype", "layout"))
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(_is_like, ours, theirs))
    return True


def _check_history(history: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raise an error unless this is a History of at least one epoch."""
    done = len(_part(history, "train_loss"))
    valid = [0.0] * (done if settings["valid"] else 0)
    like = {"train_loss": [0.0] * done, "valid_loss": valid, "valid_accuracy": valid}
    if not (
        _is_like({**like, "best_epoch": 0, "seconds": 0.0}, history)
        and 1 <= history["best_epoch"] <= done <= settings["epochs"]
        and 0 <= history["seconds"] < math.inf
    ):
        raise ValueError("a history that cannot be")


def _check_optimiser(state: dict[Any, Any], parameters: list[nn.Parameter]) -> None:
    """Raise an error unless this is AdamW's state, for parameters that had gradients."""
    zero = torch.zeros(())
    like = {
        i: {"step": zero, "exp_avg": p.detach(), "exp_avg_sq": p.detach()}
        for i, p in enumerate(parameters)
    }
    # AdamW counts in float32, or in double precision where that is PyTorch's default
    counted = {
        i: {**entry, "step": zero} for i, entry in state.items() if _is_count(_part(entry, "step"))
    }
    if counted.keys() != state.keys() or not _is_like({i: like[i] for i in state}, counted):
        raise ValueError("an optimiser's state that cannot be")


def _is_count(x: Any) -> bool:
    is_number = isinstance(x, Tensor) and x.shape == () and x.is_floating_point()
    return is_number and 1 <= x.item() < math.inf


def _check_random(states: list[Tensor], device: torch.device) -> None:
    """Raise an error unless these are states of shuffling and of the global generators."""
    if len(states) < 2:
        raise ValueError("too few random states")
    # a run may go on where there is no accelerator, or where there is one
    cpu = torch.device("cpu")
    for where, state in zip((cpu, cpu, device), states, strict=False):
        torch.Generator(where).set_state(state)
