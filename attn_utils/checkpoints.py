"""Published weights, under the name by which the first release documented them."""

from .vit.checkpoints import load_vit_checkpoint

__all__ = ["load_vit_checkpoint"]
