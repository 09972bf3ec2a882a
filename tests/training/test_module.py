"""The training loop: what it learns, that it repeats, and that a kill does not hurt it."""

from __future__ import annotations

import copy
import io
import itertools
import math
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attn_utils.training import History, accuracy, best_device, fit, loop, resume
from tests.helpers import close

QUICK = {"epochs": 4, "batch_size": 16, "progress": False}


def net(seed=0, dropout=0.2, classes=3):
    torch.manual_seed(seed)
    layers = [nn.Linear(4, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(16, classes))


def blobs(n=90, seed=0, spread=0.5):
    """Three clouds of points, which overlap a little."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    centres = 2 * torch.eye(4)[:3]
    return centres[labels] + spread * torch.randn(n, 4, generator=generator), labels


def jitter(x):
    return x + 0.1 * torch.randn_like(x)


def bits(model):
    return {name: x.clone() for name, x in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without_seconds(history):
    assert history.seconds > 0
    return {**vars(history), "seconds": 0}


# --- learning -----------------------------------------------------------------------------------


def test_it_learns_and_ends_with_the_best_weights():
    model = net()
    before = accuracy(model, *blobs(seed=1))
    options = {"epochs": 12, "batch_size": 16, "lr": 0.02, "progress": False}
    history = fit(model, blobs(), blobs(seed=1), **options)
    assert len(history.train_loss) == len(history.valid_loss) == len(history.valid_accuracy) == 12
    assert history.train_loss[-1] < 0.6 * history.train_loss[0]
    best = history.best_epoch - 1
    assert max(history.valid_accuracy) == history.valid_accuracy[best] > max(before, 0.85)
    assert accuracy(model, *blobs(seed=1)) == history.valid_accuracy[best]
    ties = [i for i, a in enumerate(history.valid_accuracy) if a == history.valid_accuracy[best]]
    assert history.valid_loss[best] == min(history.valid_loss[i] for i in ties)
    logits = model(blobs(seed=1)[0])
    assert history.valid_loss[best] == pytest.approx(F.cross_entropy(logits, blobs()[1]).item())
    assert not any(module.training for module in model.modules())


def test_the_best_epoch_need_not_be_the_last():
    noise = (torch.randn(40, 4), torch.arange(40) % 3)
    model = net()
    seen = []

    def look(x):  # one batch per epoch: called once in an epoch, with the weights before it
        seen.append(bits(model))
        return x

    history = fit(
        model, noise, blobs(), epochs=8, batch_size=64, lr=0.1, augment=look, progress=False
    )
    assert 0 < history.best_epoch < 8, "the example should have its best epoch before the end"
    kept = {k: v for k, v in bits(model).items() if "num_batches" not in k}
    after = {k: v for k, v in seen[history.best_epoch].items() if k in kept}
    weights = [k for k in kept if "running" not in k]
    assert all(torch.equal(kept[k], after[k]) for k in weights)


def test_patience_stops():
    noise = (torch.randn(40, 4), torch.arange(40) % 3)
    history = fit(net(), noise, blobs(), epochs=200, lr=0.1, patience=3, progress=False)
    assert len(history.train_loss) == history.best_epoch + 3 < 200
    still = fit(nn.Linear(4, 3), blobs(), blobs(), epochs=9, lr=0.0, patience=2, progress=False)
    assert still.best_epoch == 1, "as good as before is no better"
    assert len(still.train_loss) == 3


def test_without_validation_the_last_epoch_counts():
    history = fit(net(), blobs(), **QUICK)
    assert history.valid_loss == history.valid_accuracy == []
    assert history.best_epoch == len(history.train_loss) == 4


@pytest.mark.parametrize(
    "laid_out",
    [lambda w: w, lambda w: w.T.clone().T, lambda w: torch.stack([w, w], dim=-1)[..., 0]],
)
def test_one_step_is_adamw(laid_out):
    """One batch, warm-up over: the step that torch's AdamW makes at the full rate.

    However the parameter lies in memory: PyTorch's fused AdamW minds, without an error.
    """
    torch.manual_seed(0)
    ours = nn.Linear(4, 3)
    theirs = copy.deepcopy(ours)
    ours.weight = nn.Parameter(laid_out(ours.weight.detach()))
    x, y = blobs(30)
    fit(
        ours,
        (x, y),
        epochs=1,
        batch_size=30,
        lr=0.01,
        warmup=1.0,
        weight_decay=0.3,
        label_smoothing=0.1,
        progress=False,
    )
    optimiser = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.3, fused=False)
    F.cross_entropy(theirs(x), y, label_smoothing=0.1).backward()
    optimiser.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(a, b)


def test_the_rate_rises_and_falls():
    rates = [loop._share_of_rate(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[-1] < 1e-3
    assert loop._share_of_rate(0, 10, 0.0) == 1.0
    assert loop._share_of_rate(9, 10, 1.0) == 1.0


def test_losses_count_examples_not_batches():
    """With a rate of 0 the mean over an epoch is the loss of the whole, whatever the batches."""
    model = net(dropout=0.0)[4]  # a linear layer: no batch statistics
    x = torch.randn(37, 16)
    y = torch.arange(37) % 3
    want = F.cross_entropy(model(x), y).item()
    history = fit(model, (x, y), (x, y), epochs=1, batch_size=5, lr=0.0, progress=False)
    assert history.train_loss == [pytest.approx(want, abs=1e-6)]
    assert history.valid_loss == [pytest.approx(want, abs=1e-6)]


def test_sequences_and_tuples():
    """Labels (B, T); and in training two heads at once, as of a distilled model."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            a, b = self.a(x), self.b(x)
            return (a, b) if self.training else (a + b) / 2

    x, y = blobs()
    model = Two()
    before = bits(model)
    fit(model, (x, y), (x, y), **QUICK)
    assert all(not torch.equal(before[name], p) for name, p in model.named_parameters())
    sequences = (x.reshape(-1, 3, 4), y.reshape(-1, 3))
    model = nn.Linear(4, 3)
    history = fit(model, sequences, sequences, **{**QUICK, "epochs": 12, "lr": 0.1})
    want = F.cross_entropy(model(x), y).item()
    assert history.valid_loss[history.best_epoch - 1] == pytest.approx(want, abs=1e-6)
    assert history.valid_accuracy[-1] > 0.85


# --- it repeats ---------------------------------------------------------------------------------


def test_the_seed_decides_and_nothing_else():
    runs = []
    for noise, seed in ((1, 0), (2, 0), (3, 1)):
        model = net()
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        history = fit(model, blobs(), blobs(seed=1), augment=jitter, seed=seed, **QUICK)
        assert torch.equal(torch.get_rng_state(), before), "the global generator moved"
        runs.append((bits(model), without_seconds(history)))
    assert same(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert not same(runs[0][0], runs[2][0])


def test_the_global_generator_comes_back_after_an_error():
    def broken(x):
        torch.rand(3)
        raise RuntimeError("no")

    model = net()
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="no"):
        fit(model, blobs(), augment=broken, **QUICK)
    assert torch.equal(torch.get_rng_state(), before)


def test_data_stay_as_they_were():
    train, valid = blobs(), blobs(seed=1)
    kept = [x.clone() for x in (*train, *valid)]
    fit(net(), train, valid, augment=lambda x: x.mul_(2), **QUICK)
    assert all(torch.equal(a, b) for a, b in zip((*train, *valid), kept, strict=True))


# --- checkpoints --------------------------------------------------------------------------------


class KilledError(Exception):
    pass


def whole_run(**options):
    model = net()
    history = fit(model, blobs(), blobs(seed=1), augment=jitter, **QUICK, **options)
    return bits(model), without_seconds(history)


def test_a_checkpoint_changes_nothing(tmp_path):
    want = whole_run()
    got = whole_run(checkpoint=tmp_path / "run.pt")
    assert same(got[0], want[0])
    assert got[1] == want[1]
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("at", [7, 13, 15, 24])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, at):
    """Killed in any step, resumed from a model with other weights."""
    want = whole_run()
    calls = []

    def dies(x):
        calls.append(1)
        if len(calls) == at:
            raise KilledError
        return jitter(x)

    path = tmp_path / "run.pt"
    with pytest.raises(KilledError):
        fit(net(), blobs(), blobs(seed=1), augment=dies, checkpoint=str(path), **QUICK)
    torch.manual_seed(99)
    model = net(seed=5)
    history = fit(model, blobs(), blobs(seed=1), augment=jitter, checkpoint=path, **QUICK)
    assert same(bits(model), want[0])
    assert without_seconds(history) == want[1]


@pytest.mark.parametrize("where", ["save", "fsync", "replace"])
def test_dying_in_the_middle_of_a_write(tmp_path, monkeypatch, where):
    """Whatever step of the third write fails, the second one's file is whole."""
    want = whole_run()
    path = tmp_path / "run.pt"
    writes = []

    def half(original):
        def wrapped(*args, **kwargs):
            writes.append(1)
            if len(writes) < 3:
                return original(*args, **kwargs)
            if where == "save":  # half of the bytes are written
                buffer = io.BytesIO()
                torch.serialization.save(args[0], buffer)
                args[1].write(buffer.getvalue()[: buffer.tell() // 2])
            raise KilledError

        return wrapped

    target = {"save": (torch, "save"), "fsync": (os, "fsync"), "replace": (Path, "replace")}[where]
    with monkeypatch.context() as patch:
        patch.setattr(*target, half(getattr(*target)))
        with pytest.raises(KilledError):
            whole_run(checkpoint=path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"], "the broken part is left behind"
    state = torch.load(path, weights_only=True)
    assert len(state["history"]["train_loss"]) == 2
    got = whole_run(checkpoint=path)
    assert same(got[0], want[0])
    assert got[1] == want[1]


def test_killed_for_good_in_the_middle_of_a_write(tmp_path):
    """A process that ends without a chance to tidy up, with half a file written."""
    program = """
import os, sys, torch
from tests.training.test_module import blobs, jitter, net, QUICK
from attn_utils.training import fit
save, calls = torch.save, []
def torn(state, file):
    save(state, file)
    calls.append(1)
    if len(calls) == 3:
        file.truncate(file.tell() // 2)
        file.flush()
        os._exit(9)
torch.save = torn
fit(net(), blobs(), blobs(seed=1), augment=jitter, checkpoint=sys.argv[1], **QUICK)
"""
    path = tmp_path / "run.pt"
    root = Path(__file__).parents[2]
    process = subprocess.run([sys.executable, "-c", program, str(path)], cwd=root, timeout=300)
    assert process.returncode == 9
    (part,) = tmp_path.glob("run.pt.*.part")
    want, got = whole_run(), whole_run(checkpoint=path)
    assert same(got[0], want[0])
    assert got[1] == want[1]
    assert part.exists(), "so young, it may be one that another run is writing"
    os.utime(part, (0, 0))
    whole_run(checkpoint=path)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_a_finished_run_is_only_loaded(tmp_path):
    want = whole_run(checkpoint=tmp_path / "run.pt")

    def never(x):
        raise AssertionError("it trained again")

    model = net(seed=5)
    history = fit(
        model, blobs(), blobs(seed=1), augment=never, checkpoint=tmp_path / "run.pt", **QUICK
    )
    assert same(bits(model), want[0])
    assert without_seconds(history) == want[1]
    stopped = {"epochs": 200, "lr": 0.1, "patience": 2, "progress": False}
    noise = (torch.randn(40, 4), torch.arange(40) % 3)
    first, again = net(), net(seed=5)
    histories = [
        fit(m, noise, blobs(), checkpoint=tmp_path / "stopped.pt", **stopped)
        for m in (first, again)
    ]
    assert histories[0] == histories[1]
    assert same(bits(first), bits(again)), "the best weights are not those of the last epoch"


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_broken_and_foreign_checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.pt"
    whole_run(checkpoint=path)
    good = path.read_bytes()
    foreign = io.BytesIO()
    torch.save({"weights": torch.ones(3)}, foreign)
    bomb = io.BytesIO()
    torch.save({"settings": Bomb()}, bomb)
    for content in (
        b"",
        good[:100],
        good[: len(good) // 2],
        b"hello",
        foreign.getvalue(),
        bomb.getvalue(),
        pickle.dumps(Bomb(), 2),
    ):
        path.write_bytes(content)
        model = net()
        before = bits(model)
        with pytest.raises(ValueError, match="checkpoint: expected a file written by fit"):
            fit(model, blobs(), blobs(seed=1), checkpoint=path, **QUICK)
        assert same(bits(model), before)
        assert path.read_bytes() == content
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"lr": 0.1}, "lr"),
        ({"seed": 3}, "seed"),
        ({"epochs": 9}, "epochs"),
        ({"patience": 2}, "patience"),
    ],
)
def test_a_checkpoint_of_another_training(tmp_path, change, name):
    whole_run(checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match=rf"^{name}: expected .* with which .* was begun, got"):
        fit(net(), blobs(), blobs(seed=1), checkpoint=tmp_path / "run.pt", **{**QUICK, **change})


def test_a_checkpoint_of_another_model_or_other_data(tmp_path):
    whole_run(checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match="checkpoint: expected the weights of this model"):
        fit(net(classes=5), blobs(), blobs(seed=1), checkpoint=tmp_path / "run.pt", **QUICK)
    with pytest.raises(ValueError, match="train: expected 90"):
        fit(net(), blobs(60), blobs(seed=1), checkpoint=tmp_path / "run.pt", **QUICK)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no/such/folder/run.pt", "No such file"),
        ("a-file/run.pt", "Not a directory"),
        ("", "none"),
        ("x" * 300, "too long"),
        ("a\0b", "null"),
    ],
)
def test_where_no_checkpoint_can_be_written_nothing_is_trained(tmp_path, name, reason):
    (tmp_path / "a-file").touch()
    model = net()
    before = bits(model)
    with pytest.raises(ValueError, match=rf"^checkpoint: expected a path .*{reason}"):
        fit(model, blobs(), checkpoint=tmp_path / name, **QUICK)
    assert same(bits(model), before)
    assert [p.name for p in tmp_path.iterdir()] == ["a-file"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a folder that nobody may write to")
def test_a_folder_that_cannot_be_written_to():
    with pytest.raises(ValueError, match=r"^checkpoint: expected a path in a folder that can be"):
        fit(net(), blobs(), checkpoint="/proc/self/run.pt", **QUICK)


def test_a_full_disk(tmp_path):
    """The disk's own words, no broken part, and the checkpoint before is whole."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "run.pt"
    want = whole_run(checkpoint=path)
    kept = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(
            OSError, match=r"^checkpoint: .*other\.pt could not be written \(.*larg"
        ):
            whole_run(checkpoint=tmp_path / "other.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    assert path.read_bytes() == kept
    assert same(whole_run(checkpoint=path)[0], want[0])


def test_two_runs_write_to_one_path(tmp_path, monkeypatch):
    """While one run writes, another writes too: both end, with the same bits."""
    want = whole_run()
    path = tmp_path / "run.pt"
    save, inside = torch.save, []

    def meanwhile(state, file):
        save(state, file)
        if not inside:
            inside.append(1)
            resume.write_checkpoint(path, state)

    monkeypatch.setattr(torch, "save", meanwhile)
    assert same(whole_run(checkpoint=path)[0], want[0])
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def nested(depth):
    """A short file that would keep for ever whoever walks through all 2**depth ends of it."""
    value = ["x"]
    for _ in range(depth):
        value = [value, value]
    return value


def changed(state, key, value):
    """The checkpoint with another value at a.b.c; without it if the value is ``...``."""
    *path, last = key.split(".")
    for name in path:
        state = state[int(name) if name.isdigit() else name]
    last = int(last) if last.isdigit() else last
    if value is ...:
        del state[last]
    else:
        state[last] = value


DAMAGES = [
    *[
        (part, value)
        for part in ("settings", "history", "model", "optimiser", "random", "best")
        for value in (..., [], {}, None, 3, torch.ones(3))
    ],
    ("settings.lr", nested(60)),
    ("settings.lr", "x" * 1000),
    ("settings.lr", 10**5000),
    ("settings.lr", torch.ones(3)),
    ("history.train_loss", ...),
    ("history.train_loss", []),
    ("history.train_loss", [1.0] * 9),
    ("history.train_loss", ["1", "2", "3", "4"]),
    ("history.valid_loss", []),
    ("history.valid_accuracy", [1, 1, 1, 1]),
    ("history.best_epoch", 0),
    ("history.best_epoch", 5),
    ("history.best_epoch", 1.0),
    ("history.seconds", math.nan),
    ("history.seconds", -1.0),
    ("history.more", 1),
    ("model.0.weight", ...),
    ("model.0.weight", torch.ones(4, 16)),
    ("model.0.weight", torch.ones(16, 4).double()),
    ("model.0.weight", torch.ones(16, 4).to_sparse()),
    ("best.0.weight", torch.ones(1)),
    ("best.0.weight", "x"),
    ("optimiser.state", ...),
    ("optimiser.state.0", {}),
    ("optimiser.state.99", {}),
    ("optimiser.state", {"x": nested(60)}),
    ("optimiser.state.0.step", torch.tensor(-1.0)),
    ("optimiser.state.0.step", torch.tensor(math.nan)),
    ("optimiser.state.0.step", 3),
    ("optimiser.state.0.exp_avg", torch.ones(3)),
    ("optimiser.state.0.exp_avg_sq", torch.ones(16, 4, dtype=torch.int32)),
    ("random", [torch.ones(3)]),
    ("random.0", torch.zeros(5056, dtype=torch.uint8)),
    ("random.1", torch.zeros(3)),
    ("random.1", "x"),
]


@pytest.mark.parametrize(
    ("key", "value"), DAMAGES, ids=[f"{i}-{key}" for i, (key, _) in enumerate(DAMAGES)]
)
def test_a_damaged_checkpoint_is_refused_before_anything_is_touched(
    tmp_path, finished_checkpoint, key, value
):
    path = tmp_path / "run.pt"
    state = copy.deepcopy(finished_checkpoint)
    # the names of weights hold dots
    if key.startswith(("model.", "best.")):
        part, _, name = key.partition(".")
        changed({part: state[part]}, part, state[part])
        state[part].pop(name) if value is ... else state[part].update({name: value})
    else:
        changed(state, key, value)
    torch.save(state, path)
    model = net(seed=3)
    before, generator = bits(model), torch.get_rng_state()
    with pytest.raises(ValueError, match=r"^(checkpoint|lr): expected") as caught:
        fit(model, blobs(), blobs(seed=1), checkpoint=path, **QUICK)
    assert len(str(caught.value)) < 300 + len(str(path))
    assert same(bits(model), before)
    assert model.training
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.fixture(scope="module")
def finished_checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "run.pt"
    whole_run(checkpoint=path)
    return torch.load(path, weights_only=True)


def test_a_file_that_grows_when_it_is_read(tmp_path, finished_checkpoint):
    path = tmp_path / "run.pt"
    torch.save({**finished_checkpoint, "more": torch.zeros(10**6)}, tmp_path / "large.pt")
    with zipfile.ZipFile(tmp_path / "large.pt") as large, zipfile.ZipFile(path, "w") as small:
        for member in large.infolist():
            small.writestr(member.filename, large.read(member), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    with pytest.raises(ValueError, match="checkpoint: expected a file written by fit"):
        fit(net(), blobs(), blobs(seed=1), checkpoint=path, **QUICK)


def test_the_file_does_not_set_the_optimiser(tmp_path):
    """Rate, decay and the like are those of the call, whatever the file says."""
    path = tmp_path / "run.pt"
    want = whole_run()

    def dies(x):
        if path.exists():
            raise KilledError
        return jitter(x)

    with pytest.raises(KilledError):
        fit(net(), blobs(), blobs(seed=1), augment=dies, checkpoint=path, **QUICK)
    state = torch.load(path, weights_only=True)
    state["optimiser"]["param_groups"][0].update(weight_decay=1e9, betas=(0.0, 0.0), maximize=True)
    torch.save(state, path)
    assert same(whole_run(checkpoint=path)[0], want[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_resuming_whatever_the_numbers_are(tmp_path, dtype, default):
    """AdamW counts its steps in a type that depends on PyTorch's default one."""
    path, (x, y) = tmp_path / "run.pt", blobs()
    calls = []

    def dies(x):
        calls.append(len(x))
        if len(calls) == 9:  # six batches are an epoch
            raise KilledError
        return x

    def run(augment=None, **options):
        model = net().to(dtype)
        fit(model, (x.to(dtype), y), augment=augment, **options, **QUICK)
        return bits(model)

    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        with pytest.raises(KilledError):
            run(augment=dies, checkpoint=path)
        assert path.exists()
        assert same(run(checkpoint=path), run())
    finally:
        torch.set_default_dtype(before)


def test_complex_parameters_are_trained():
    """PyTorch's one call for all parameters takes real numbers only."""

    class Sizes(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3, dtype=torch.complex64))

        def forward(self, x):
            return (x.to(torch.complex64) @ self.weight).abs()

    torch.manual_seed(0)
    losses = fit(Sizes(), blobs(), epochs=30, lr=0.1, progress=False).train_loss
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("number", [np.float64, np.float32, torch.tensor])
def test_numpy_numbers_train_and_resume(tmp_path, number):
    options = {"lr": number(0.01), "weight_decay": number(0.1), "warmup": number(0.5)}
    integers = {"epochs": np.int64(3), "batch_size": np.int32(16), "seed": np.int64(4)}
    path = tmp_path / "run.pt"
    runs = []
    for seed in (0, 5):
        model = net(seed=seed)
        fit(model, blobs(), patience=None, checkpoint=path, progress=False, **options, **integers)
        runs.append(bits(model))
    assert same(*runs)
    assert accuracy(model, *blobs(), batch_size=np.int64(16)) == accuracy(model, *blobs())
    settings = torch.load(path, weights_only=True)["settings"]
    assert {type(value) for value in settings.values()} <= {int, float, type(None)}


def test_the_default_device_does_not_matter():
    """Whoever has set it to an accelerator may still train where the call says."""
    want = whole_run()
    model, train, valid = net(), blobs(), blobs(seed=1)
    torch.set_default_device("meta")
    try:
        fit(model, train, valid, augment=jitter, **QUICK)
    finally:
        torch.set_default_device(None)
    assert same(bits(model), want[0])


# --- the line -----------------------------------------------------------------------------------


def test_one_line_where_nobody_watches(capfd):
    fit(net(), blobs(), blobs(seed=1), epochs=12, batch_size=16)
    out, err = capfd.readouterr()
    pattern = (
        r"epoch 12/12  loss \d\.\d{3}  valid accuracy \d\.\d{3} \(best \d\.\d{3} in epoch \d+\)\n"
    )
    assert re.fullmatch(pattern, out)
    assert err == ""
    fit(net(), blobs(), epochs=2)
    assert re.fullmatch(r"epoch 2/2  loss \d\.\d{3}\n", capfd.readouterr().out)
    fit(net(), blobs(), epochs=2, progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_line_is_rewritten(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    fit(net(), blobs(), blobs(seed=1), epochs=12, patience=3, batch_size=16)
    text = sys.stdout.getvalue()
    lines = text.rstrip("\n").split("\r")[1:]
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert lines[0].startswith("epoch  1/12")
    assert len({len(line) for line in lines}) == 1, "the end of a longer line stays"


def test_the_line_in_a_notebook():
    """A build, which allows no questions, stores one line; a person's notebook rewrites it."""
    from jupyter_client.manager import start_new_kernel

    code = (
        "import torch\nfrom attn_utils import fit\n"
        "data = torch.randn(20, 4), torch.arange(20) % 3\n"
        "fit(torch.nn.Linear(4, 3), data, epochs=3);"
    )
    manager, client = start_new_kernel(kernel_name="python3")
    streams = {}

    def hook(message):
        if message["msg_type"] == "stream":
            streams[message["content"]["name"]] += message["content"]["text"]

    try:
        for watched in (False, True):
            streams.update(stdout="", stderr="")
            reply = client.execute_interactive(
                code, allow_stdin=watched, output_hook=hook, stdin_hook=lambda _: None, timeout=300
            )
            assert reply["content"]["status"] == "ok"
            assert streams["stderr"] == ""
            assert streams["stdout"].count("\n") == 1
            assert streams["stdout"].count("\r") == (4 if watched else 0)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


# --- accuracy and devices -----------------------------------------------------------------------


def test_accuracy_by_hand():
    table = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    model = nn.Linear(2, 2, bias=False)
    model.weight.data = torch.eye(2)
    assert accuracy(model, table, torch.tensor([1, 0, 0])) == pytest.approx(2 / 3)
    assert accuracy(model, table, torch.tensor([1, 0, 0]), batch_size=1) == pytest.approx(2 / 3)


def test_accuracy_of_a_tuple_is_that_of_the_mean():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.tensor([3.0, 0.0]))

        def forward(self, x):
            return x, x + self.shift

    table = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]])
    assert accuracy(Pair(), table, torch.tensor([0, 1, 1])) == 1.0
    fit(Pair(), (table, torch.tensor([0, 1, 1])), (table, torch.tensor([0, 1, 1])), **QUICK)


def test_accuracy_puts_every_mode_back():
    model = net().train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    statistics = model[1].running_mean.clone()
    first, second = (accuracy(model, *blobs()) for _ in range(2))
    assert first == second
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model[1].running_mean, statistics)
    model.double()
    with pytest.raises(RuntimeError):
        accuracy(model, *blobs())  # float32 data
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(
    ("cuda", "mps", "want"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, False, "cuda")],
)
def test_best_device(monkeypatch, cuda, mps, want):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(want)


@pytest.mark.skipif(best_device().type == "cpu", reason="needs CUDA or MPS")
def test_training_on_an_accelerator(tmp_path):
    device = best_device()
    want = net()
    fit(want, blobs(), blobs(seed=1), augment=jitter, device=device, **QUICK)
    assert all(p.device.type == device.type for p in want.parameters())
    calls = []

    def dies(x):
        calls.append(1)
        if len(calls) == 13:
            raise KilledError
        return jitter(x)

    options = {"device": device, "checkpoint": tmp_path / "run.pt", **QUICK}
    with pytest.raises(KilledError):
        fit(net(), blobs(), blobs(seed=1), augment=dies, **options)
    got = net(seed=3)
    fit(got, blobs(), blobs(seed=1), augment=jitter, **options)
    for a, b in zip(got.parameters(), want.parameters(), strict=True):
        torch.testing.assert_close(a, b)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", 0),
        ("patience", 0),
        ("lr", -1),
        ("lr", math.nan),
        ("weight_decay", -0.1),
        ("weight_decay", math.inf),
        ("warmup", 1.5),
        ("label_smoothing", -0.1),
        ("lr", "fast"),
        ("warmup", None),
        ("seed", 1.5),
        ("seed", None),
        ("seed", 2**64),
        ("epochs", True),
    ],
)
def test_bad_options_are_named(option, value):
    with pytest.raises(ValueError, match=rf"^{option}: expected .* got {value!r}"):
        fit(net(), blobs(), blobs(), **{"progress": False, option: value})


def test_bad_data_is_named():
    x, y = blobs()
    model = net()
    before = copy.deepcopy(dict(model.named_parameters()))
    for bad in ((x, y[1:]), (x[:0], y[:0]), (x, y.float()), (x, y - 1), x, (x, None), (x, y, y)):
        with pytest.raises(ValueError, match=r"^train: expected"):
            fit(model, bad, **QUICK)
        with pytest.raises(ValueError, match=r"^valid: expected"):
            fit(model, (x, y), bad, **QUICK)
    with pytest.raises(ValueError, match=r"^patience: expected None without valid, got 3"):
        fit(model, (x, y), patience=3, **QUICK)
    with pytest.raises(ValueError, match=r"^labels: expected classes below the model's 3, got 5"):
        fit(model, (x, y + 3), **QUICK)
    for bad in (nn.GELU(), lambda x: x):
        with pytest.raises(ValueError, match=r"^model: expected a module with parameters"):
            fit(bad, (x, y), **QUICK)
    with pytest.raises(ValueError, match=r"^model: expected logits of shape \(16, 'classes'\)"):
        fit(nn.Sequential(nn.Linear(4, 3), nn.Flatten(0)), (x, y), **QUICK)
    with pytest.raises(ValueError, match=r"^batch_size: expected"):
        accuracy(model, x, y, batch_size=0)
    assert same(dict(model.named_parameters()), before)


def test_a_history_starts_empty():
    assert History() == History([], [], [], 0, 0.0)
