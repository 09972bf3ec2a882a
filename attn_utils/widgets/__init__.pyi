from .cues import CueExplorer as CueExplorer
from .pooling import KernelRegressionExplorer as KernelRegressionExplorer
from .positional_encoding import PositionExplorer as PositionExplorer
from .scoring import ScoringExplorer as ScoringExplorer
from .self_attention import SelfAttentionExplorer as SelfAttentionExplorer
