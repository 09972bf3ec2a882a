"""Training in two processes gives the model that one process trains, but for rounding."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from attn_utils.transformer.distributed import main

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def losses(*command: str) -> list[float]:
    """Run a command and return the losses that it prints."""
    result = subprocess.run(
        [sys.executable, "-m", *command, "--steps", "4"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return [float(x) for x in re.findall(r"^step \d+: loss (\S+)", result.stdout, re.MULTILINE)]


@pytest.fixture(scope="module")
def alone():
    return losses("attn_utils.transformer.distributed", "one")


def test_training_alone_learns(alone):
    assert len(alone) == 4
    assert alone[-1] < alone[0]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_train_the_same_model(strategy, alone):
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    together = losses(*torchrun, "attn_utils.transformer.distributed", strategy)
    assert together == pytest.approx(alone, rel=1e-5)  # printed with six digits behind the point


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["ddp"], {}, "expected to be started by torchrun"),
        (["fsdp"], {"WORLD_SIZE": "3"}, "divides 8, got 3"),
        (["all"], {}, "invalid choice"),
    ],
)
def test_wrong_use_is_named(arguments, environment, words, monkeypatch, capsys):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main(arguments)
    assert words in capsys.readouterr().err
