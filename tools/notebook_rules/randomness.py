"""Everybody who runs a notebook from the top sees the same numbers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .calls import dotted, executed_calls, functions_that_call, last_part
from .notebook import Finding, Notebook

# the random number generators, and what seeds them
SEED_OF = {"numpy": "np.random.seed", "python": "random.seed", "torch": "torch.manual_seed"}

DRAWS_FROM_TORCH = re.compile(
    r"torch\.(rand|randn|randint|randperm|normal|bernoulli|multinomial|poisson)(_like)?"
    r"|(torch\.)?nn\.(Linear|Lazy\w+|Bilinear|Embedding|EmbeddingBag|Conv\w+|Dropout\w*|RNN\w*|LSTM\w*"
    r"|GRU\w*|MultiheadAttention|Transformer\w*)"
    r"|(torch\.)?nn\.init\.(?!zeros_|ones_|constant_|eye_|dirac_|calculate_gain)\w+"
    r"|(F|nn\.functional|torch\.nn\.functional)\.(\w*dropout\w*|gumbel_softmax)"
    r"|.*\.(normal_|uniform_|bernoulli_|exponential_|random_|log_normal_|cauchy_|geometric_|r?sample)"
    r"|(.*\.)?random_split"
)
DRAWS_FROM_NUMPY = re.compile(
    r"np\.random\.(?!seed$|default_rng$|RandomState$|Generator$)\w+|(.*\.)?train_test_split"
)
DRAWS_FROM_PYTHON = re.compile(r"random\.(?!seed$|Random$)\w+|shuffle")
MAKES_GENERATOR = re.compile(r"(np\.random\.)?(default_rng|RandomState)|random\.Random")


def randomness_is_seeded(notebook: Notebook) -> Iterator[Finding]:
    """Before the first random number there is a seed, in a cell that the reader sees.

    Each generator has its own seed: ``torch.manual_seed``, ``np.random.seed``, ``random.seed``. A
    generator that is made with a seed, or passed as ``generator=`` or ``random_state=``, is fine.
    """
    drawing_functions = {name: _drawing_functions(notebook, name) for name in SEED_OF}
    seeded: set[str] = set()
    for cell in notebook.code:
        for call in executed_calls(cell.tree):
            name = _name(call)
            if MAKES_GENERATOR.fullmatch(name) and not (call.args or call.keywords):
                yield cell.number, f"{name}() is made without a seed"
            drawn_from = _generator(call)
            for generator, seed in SEED_OF.items():
                draws = generator == drawn_from or name in drawing_functions[generator]
                if draws and generator not in seeded:
                    yield cell.number, f"uses randomness ({name}) before a visible {seed}(...)"
                    seeded.add(generator)  # once is enough
                elif name == seed and cell.is_visible:
                    seeded.add(generator)


def _drawing_functions(notebook: Notebook, generator: str) -> set[str]:
    """Names of the notebook's functions and classes that draw without seeding."""
    return functions_that_call(
        notebook,
        lambda call: _generator(call) == generator,
        unless=lambda call: _name(call) == SEED_OF[generator],
    )


def _generator(call: ast.Call) -> str | None:
    """Return the generator that the call draws from, unless that is none or has its own seed."""
    name = _name(call)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if {"generator", "random_state", "rng"} & given.keys():
        return None
    if last_part(name) == "DataLoader":
        shuffles = given.get("shuffle")
        return "torch" if isinstance(shuffles, ast.Constant) and shuffles.value else None
    if DRAWS_FROM_TORCH.fullmatch(name):
        return "torch"
    if DRAWS_FROM_NUMPY.fullmatch(name):
        return "numpy"
    return "python" if DRAWS_FROM_PYTHON.fullmatch(name) else None


def _name(call: ast.Call) -> str:
    return dotted(call.func).replace("numpy.", "np.")
