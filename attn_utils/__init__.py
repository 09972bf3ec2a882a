"""Attention mechanisms in readable PyTorch, and what the book needs to show them.

Every public name can be imported from here. Input that does not fit raises a ValueError that names
the argument, what was expected and what came, with shapes spelled out, before anything is computed.
One thing is left to PyTorch's own message ("mat1 and mat2 must have the same dtype"): an input in
another dtype than a module's weights. Which dtypes a layer takes is the layer's to say, since it
may have been replaced by an adapter or by one in eight bits, or cast its input itself.

Importing the package loads torch and nothing heavier: plotting, data and widget libraries are
imported where they are used.
"""

import importlib
from typing import Any

from .channel import ECABlock as ECABlock
from .channel import SEBlock as SEBlock
from .channel import eca_kernel_size as eca_kernel_size
from .checks import Mistake as Mistake
from .checks import Result as Result
from .checks import check as check
from .checks import compare as compare
from .checks import compare_entries as compare_entries
from .checks import exercise as exercise
from .circuits import AttentionOnlyModel as AttentionOnlyModel
from .circuits import HeadRun as HeadRun
from .circuits import cut_path as cut_path
from .circuits import ov_matrix as ov_matrix
from .circuits import qk_matrix as qk_matrix
from .circuits import repeated_patterns as repeated_patterns
from .circuits import run_heads as run_heads
from .circuits import stripe_score as stripe_score
from .core import causal_mask as causal_mask
from .core import length_mask as length_mask
from .core import masked_softmax as masked_softmax
from .core import scaled_dot_product_attention as scaled_dot_product_attention
from .cost import attention_bytes as attention_bytes
from .cost import attention_flops as attention_flops
from .cost import attention_peak_bytes as attention_peak_bytes
from .cost import block_flops as block_flops
from .cost import blockwise_attention as blockwise_attention
from .cost import kv_cache_bytes as kv_cache_bytes
from .cost import linear_attention as linear_attention
from .cost import mlp_flops as mlp_flops
from .cost import peak_bytes as peak_bytes
from .cues import cue_weights as cue_weights
from .cues import fuzzy_lookup as fuzzy_lookup
from .cues import saliency_map as saliency_map
from .data import KernelRegressionData as KernelRegressionData
from .data import coffee_photo as coffee_photo
from .data import diabetes_bmi as diabetes_bmi
from .data import kernel_regression_data as kernel_regression_data
from .data import table_scene as table_scene
from .decoder import SOURCE_CHARACTERS as SOURCE_CHARACTERS
from .decoder import TARGET_CHARACTERS as TARGET_CHARACTERS
from .decoder import AttentionDecoder as AttentionDecoder
from .decoder import EncoderDecoder as EncoderDecoder
from .decoder import EncoderOutput as EncoderOutput
from .decoder import FixedVectorDecoder as FixedVectorDecoder
from .decoder import GRUEncoder as GRUEncoder
from .decoder import Memory as Memory
from .decoder import all_dates as all_dates
from .decoder import greedy_decode as greedy_decode
from .decoder import source_tokens as source_tokens
from .decoder import target_text as target_text
from .decoder import target_tokens as target_tokens
from .decoder import written_forms as written_forms
from .explain import attention_rollout as attention_rollout
from .explain import record_attention as record_attention
from .keras_multi_head import KerasMultiHeadAttention as KerasMultiHeadAttention
from .multi_head import MultiHeadAttention as MultiHeadAttention
from .multi_head import with_kv_heads as with_kv_heads
from .plots import book_style as book_style
from .plots import finish as finish
from .plots import overlay as overlay
from .plots import show_heatmaps as show_heatmaps
from .pooling import KERNELS as KERNELS
from .pooling import NWKernelRegression as NWKernelRegression
from .pooling import average_pooling as average_pooling
from .pooling import leave_one_out_error as leave_one_out_error
from .pooling import nadaraya_watson as nadaraya_watson
from .positional_encoding import LearnedPositionalEmbedding as LearnedPositionalEmbedding
from .positional_encoding import RotaryEmbedding as RotaryEmbedding
from .positional_encoding import SinusoidalPositionalEncoding as SinusoidalPositionalEncoding
from .published import Bond as Bond
from .published import MappedReaction as MappedReaction
from .published import ReactionReader as ReactionReader
from .published import atom_element as atom_element
from .published import equal_atoms as equal_atoms
from .published import load_reaction_reader as load_reaction_reader
from .published import mapped_reactions as mapped_reactions
from .published import mapping_accuracy as mapping_accuracy
from .published import reaction_bonds as reaction_bonds
from .published import reaction_symbols as reaction_symbols
from .published import reaction_text as reaction_text
from .published import reaction_tokens as reaction_tokens
from .published import read_mapped as read_mapped
from .published import rewritten as rewritten
from .scoring import AdditiveAttention as AdditiveAttention
from .scoring import Attn as Attn
from .scoring import ConcatAttention as ConcatAttention
from .scoring import DotProductAttention as DotProductAttention
from .scoring import LocationAttention as LocationAttention
from .scoring import QKNorm as QKNorm
from .scoring import soft_cap_attention as soft_cap_attention
from .self_attention import SelfAttention as SelfAttention
from .spatial import CBAM as CBAM
from .spatial import ChannelAttention as ChannelAttention
from .spatial import SpatialAttention as SpatialAttention
from .training import History as History
from .training import accuracy as accuracy
from .training import best_device as best_device
from .training import fit as fit
from .transformer import Cache as Cache
from .transformer import CausalBlock as CausalBlock
from .transformer import CausalSelfAttention as CausalSelfAttention
from .transformer import DecoderBlock as DecoderBlock
from .transformer import EncoderBlock as EncoderBlock
from .transformer import FeedForward as FeedForward
from .transformer import KVCache as KVCache
from .transformer import LanguageModel as LanguageModel
from .transformer import TransformerDecoder as TransformerDecoder
from .transformer import TransformerEncoder as TransformerEncoder
from .transformer import load_writer as load_writer
from .transformer import sample as sample
from .variants import Indexer as Indexer
from .variants import LatentAttention as LatentAttention
from .variants import LatentCache as LatentCache
from .variants import SinkAttention as SinkAttention
from .variants import delta_rule as delta_rule
from .variants import delta_rule_chunkwise as delta_rule_chunkwise
from .variants import top_k_mask as top_k_mask
from .variants import window_attention as window_attention
from .variants import window_mask as window_mask
from .vit import DropPath as DropPath
from .vit import PatchEmbedding as PatchEmbedding
from .vit import VisionTransformer as VisionTransformer
from .vit import load_vit_checkpoint as load_vit_checkpoint
from .vit import resize_position_embedding as resize_position_embedding
from .vit import vit_base_patch16_224 as vit_base_patch16_224
from .vit import vit_base_patch16_224_in21k as vit_base_patch16_224_in21k
from .vit import vit_base_patch32_224 as vit_base_patch32_224
from .vit import vit_base_patch32_224_in21k as vit_base_patch32_224_in21k
from .vit import vit_huge_patch14_224_in21k as vit_huge_patch14_224_in21k
from .vit import vit_large_patch16_224 as vit_large_patch16_224
from .vit import vit_large_patch16_224_in21k as vit_large_patch16_224_in21k
from .vit import vit_large_patch32_224_in21k as vit_large_patch32_224_in21k
from .vit import vit_small_patch16_224 as vit_small_patch16_224
from .vit import vit_tiny_patch16_224 as vit_tiny_patch16_224

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load :mod:`attn_utils.widgets` when it is first asked for: it needs anywidget."""
    if name == "widgets":
        return importlib.import_module("attn_utils.widgets")
    raise AttributeError(f"module 'attn_utils' has no attribute {name!r}")
