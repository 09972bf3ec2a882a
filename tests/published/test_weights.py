"""The published weights: what is committed is what the script makes, and it computes the same."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
import torch

from attn_utils import load_reaction_reader, record_attention
from attn_utils.core.halves import read_half
from attn_utils.published import ReactionReader, convert, reaction_tokens
from tests.helpers import close

WEIGHTS = convert.HERE / convert.WEIGHTS


def test_the_committed_files_are_those_that_the_script_makes():
    for name, sha in convert.HASHES.items():
        assert hashlib.sha256((convert.HERE / name).read_bytes()).hexdigest() == sha, name
    assert WEIGHTS.stat().st_size <= 1_700_000
    assert "MIT" in convert.ABOUT["licence"]
    licence = (convert.HERE / convert.LICENCE).read_text(encoding="utf-8")
    assert licence.startswith("Copyright 2020 RXN4Chemistry")
    assert "free of charge" in licence


@pytest.fixture(scope="module")
def theirs():
    """Another ALBERT of the same make with random weights, smaller."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.AlbertConfig(
        vocab_size=20,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=24,
        hidden_act="gelu",
        max_position_embeddings=12,
        attn_implementation="eager",
        initializer_range=0.5,
    )
    model = transformers.AlbertForMaskedLM(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)  # biases and norms as well
    return model


def small():
    return ReactionReader(20, 16, 4, 3, 24, embedding_dim=8, num_positions=12).eval()


def wheel_of(model, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(f"{convert.FOLDER}/pytorch_model.bin", "w") as file:
            torch.save(model.state_dict(), file)
        archive.writestr(f"{convert.FOLDER}/vocab.txt", "C\nN\n")
        archive.writestr(f"{convert.PACKAGE}-{convert.VERSION}.dist-info/licenses/LICENSE", "MIT")
    return path


def test_converting_twice_gives_the_same_bytes_and_another_wheel_is_refused(
    theirs, tmp_path, monkeypatch
):
    wheel = wheel_of(theirs, tmp_path / "one.whl")
    with pytest.raises(ValueError, match="wheel: expected SHA-256 27876a42"):
        convert.convert(wheel)
    monkeypatch.setattr(convert, "WHEEL_HASH", hashlib.sha256(wheel.read_bytes()).hexdigest())
    once, again = convert.convert(wheel), convert.convert(wheel)
    assert once == again
    assert sorted(once) == sorted(convert.HASHES)
    (tmp_path / "made").write_bytes(once[convert.WEIGHTS])
    small().load_state_dict(read_half(tmp_path / "made"))


def test_a_renamed_state_computes_what_hugging_face_computes(theirs):
    ours = small()
    ours.load_state_dict(convert.renamed(theirs.state_dict()))
    tokens = torch.randint(20, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = theirs(tokens, output_attentions=True, output_hidden_states=True)
        states, weights = ours(tokens, return_weights=True)
        close(states, wanted.hidden_states[-1], "states")
        for got, want in zip(weights, wanted.attentions, strict=True):
            close(got, want, "weights", scale=1.0)
        close(ours.predict(states), wanted.logits, "logits")


def as_theirs(model: ReactionReader) -> dict[str, torch.Tensor]:
    """Give our tensors their names; the segments are in the positions already."""
    state = model.state_dict()
    named = {
        f"{theirs.removeprefix('albert.')}.{part}": state[f"{ours}.{part}"]
        for ours, theirs in convert.NAMES.items()
        for part in ("weight", "bias")
        if theirs.startswith("albert.")
    }
    return named | {
        "embeddings.word_embeddings.weight": state["embedding.weight"],
        "embeddings.position_embeddings.weight": state["positions.weight"],
        "embeddings.token_type_embeddings.weight": torch.zeros(2, 128),
    }


def test_the_published_model_is_albert_in_all_states_and_all_96_maps():
    transformers = pytest.importorskip("transformers")
    config = transformers.AlbertConfig(
        vocab_size=591,
        embedding_size=128,
        hidden_size=256,
        num_hidden_layers=12,
        num_attention_heads=8,
        intermediate_size=512,
        hidden_act="gelu",
        max_position_embeddings=512,
        attn_implementation="eager",
    )
    theirs = transformers.AlbertModel(config, add_pooling_layer=False).eval()
    ours = load_reaction_reader()
    theirs.load_state_dict(as_theirs(ours))
    for text in ("CC(C)S.Fc1cccnc1F>>CC(C)Sc1ncccc1F", "CC(=O)O.OCC>>CC(=O)OCC", "C>>C"):
        tokens = reaction_tokens(text)[None]
        with torch.no_grad():
            wanted = theirs(tokens, output_attentions=True, output_hidden_states=True)
            states = [ours.embed(tokens)]
            with record_attention(ours) as recorded:
                for _ in range(12):
                    states.append(ours.block(states[-1]))
                recorded.clear()
                ours(tokens)
        for got, want in zip(states, wanted.hidden_states, strict=True):
            assert (got - want).abs().max() <= 1e-5 * want.abs().max()
        assert len(recorded) == 12
        for got, want in zip(recorded, wanted.attentions, strict=True):
            assert got.shape == (1, 8, *2 * tokens.shape[1:])
            assert (got - want).abs().max() <= 1e-5


def test_the_file_is_one_that_other_libraries_read():
    load_file = pytest.importorskip("safetensors.torch").load_file
    theirs, ours = load_file(WEIGHTS), read_half(WEIGHTS)
    assert sorted(theirs) == sorted(ours)
    for name, tensor in ours.items():
        assert theirs[name].dtype == torch.float16, name
        assert theirs[name].float().equal(tensor), name
