"""Train chapter 9's language model in several processes at once, on one machine or on many.

    torchrun --nproc-per-node 2 -m attn_utils.transformer.distributed ddp
    torchrun --nproc-per-node 2 -m attn_utils.transformer.distributed fsdp
    python -m attn_utils.transformer.distributed one

Each process takes its share of each batch, and the gradients are averaged, so that all three
train the same model but for rounding. With ``ddp`` (DistributedDataParallel) each process holds
the whole model; with ``fsdp`` (fully_shard) each holds a part of the parameters, of the gradients,
and of the optimiser's state, and the others' parts of a block are fetched while it computes. On
several machines run the same command on each, with torchrun's ``--nnodes`` and
``--rdzv-endpoint``. Without GPUs the processes talk by gloo, with them by NCCL.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from .language_model import LanguageModel

TEXT = Path(__file__).parents[1] / "texts" / "pride-and-prejudice.txt"
BATCH, LENGTH, RATE = 8, 48, 3e-3


def train(model: nn.Module, text: Tensor, steps: int, rank: int, processes: int) -> Iterator[float]:
    """Train on this process's rows of each batch; yield the losses over all rows, in nats."""
    optimiser = torch.optim.AdamW(model.parameters(), RATE)
    draws = torch.Generator().manual_seed(1)  # the same in all processes: they share one batch
    for _ in range(steps):
        starts = torch.randint(len(text) - LENGTH, (BATCH, 1), generator=draws)
        pieces = text[starts + torch.arange(LENGTH + 1)][rank::processes]
        loss = F.cross_entropy(model(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # and average over the processes
        optimiser.step()
        total = loss.detach().clone()
        if processes > 1:
            dist.all_reduce(total)
        yield total.item() / processes


def run(strategy: str, steps: int, rank: int, processes: int) -> None:
    """Make the model, spread it over the processes, train it, and print the losses."""
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    novel = TEXT.read_text(encoding="utf-8")
    number = {c: i for i, c in enumerate(sorted(set(novel)))}
    text = torch.tensor([number[c] for c in novel], device=device)
    torch.manual_seed(0)  # the same first parameters in all processes
    model: nn.Module = LanguageModel(len(number), embed_dim=32, num_heads=4, depth=2).to(device)
    if strategy == "ddp":
        model = DistributedDataParallel(model)
    elif strategy == "fsdp":
        for block in model.get_submodule("blocks").children():
            fully_shard(block)  # fetched and given back a block at a time
        fully_shard(model)
    for step, loss in enumerate(train(model, text, steps, rank, processes), 1):
        if rank == 0:
            print(f"step {step}: loss {loss:.6f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Find the other processes and train with them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("strategy", choices=["one", "ddp", "fsdp"])
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args(arguments)
    if options.strategy == "one":
        run("one", options.steps, rank=0, processes=1)
        return
    processes = int(os.environ.get("WORLD_SIZE", "0"))
    if not processes:
        parser.error(f"{options.strategy}: expected to be started by torchrun")
    if BATCH % processes:
        parser.error(f"expected a number of processes that divides {BATCH}, got {processes}")
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    run(options.strategy, options.steps, dist.get_rank(), processes)
    # after run has let go of the model: DistributedDataParallel may hang if it outlives the group
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
