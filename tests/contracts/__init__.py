"""What every module, every attention and every gate has to fulfil, written once each.

``MODULE`` is the life of any ``nn.Module``, ``ATTENTION`` and ``GATE`` are what the two kinds have
in common. A chapter says in a table how its modules are built and called, and puts it under them::

    MODULES = [Module(Mine, (6, 2), lambda B, n: torch.randn(B, n, 6))]

    test_life = under(MODULE, MODULES)
"""

from .attention import ATTENTION, Attention, random_mask
from .gate import GATE, Gate
from .module import MODULE, Module
from .under import under

__all__ = ["ATTENTION", "GATE", "MODULE", "Attention", "Gate", "Module", "random_mask", "under"]
