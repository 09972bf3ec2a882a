"""Attention mechanisms in readable PyTorch, and what the book needs to show them.

Every public name can be imported from here. The stub ``__init__.pyi`` lists them; a module is
loaded when one of its names is first used, so ``import attn_utils`` loads neither plotting nor
widget nor data code.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
