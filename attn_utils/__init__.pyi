# The public names of the package, module by module. lazy_loader reads this file at run time,
# type checkers and editors read it as well.
from . import checks as checks
from . import data as data
from . import plots as plots
from . import widgets as widgets
from .cues import cue_weights as cue_weights
from .cues import fuzzy_lookup as fuzzy_lookup
from .cues import saliency_map as saliency_map
from .keras_multi_head import KerasMultiHeadAttention as KerasMultiHeadAttention
from .masks import causal_mask as causal_mask
from .masks import length_mask as length_mask
from .masks import masked_softmax as masked_softmax
from .multi_head import MultiHeadAttention as MultiHeadAttention
from .plots import show_heatmaps as show_heatmaps
from .pooling import NWKernelRegression as NWKernelRegression
from .pooling import average_pooling as average_pooling
from .pooling import nadaraya_watson as nadaraya_watson
from .positional_encoding import LearnedPositionalEmbedding as LearnedPositionalEmbedding
from .positional_encoding import RotaryEmbedding as RotaryEmbedding
from .positional_encoding import SinusoidalPositionalEncoding as SinusoidalPositionalEncoding
from .scoring import AdditiveAttention as AdditiveAttention
from .scoring import Attn as Attn
from .scoring import ConcatAttention as ConcatAttention
from .scoring import DotProductAttention as DotProductAttention
from .scoring import scaled_dot_product_attention as scaled_dot_product_attention
from .self_attention import SelfAttention as SelfAttention
