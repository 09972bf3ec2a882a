"""What lets a killed training go on: a checkpoint file, and random numbers of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn


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


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Replace a file in one step: whenever the process dies, the old or the new one is there."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())  # on the disk before it gets its name
    part.replace(path)


def read_checkpoint(path: Path, settings: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """Load a checkpoint, and see that it belongs to this training, before anything is changed."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        theirs, weights = state["settings"], state["model"]
        shapes = {name: x.shape for name, x in weights.items()}
    except Exception as error:  # a broken file can raise nearly anything
        raise ValueError(
            f"checkpoint: expected a file written by fit, got {path} ({type(error).__name__})"
        ) from error
    for name, value in settings.items():
        if theirs.get(name) != value:
            raise ValueError(
                f"{name}: expected {theirs.get(name)!r}, with which {path} was begun, got {value!r}"
            )
    if shapes != {name: x.shape for name, x in model.state_dict().items()}:
        raise ValueError(f"checkpoint: expected the weights of this model, got others in {path}")
    return state
