from .cues import CueExplorer as CueExplorer
from .pooling import KernelRegressionExplorer as KernelRegressionExplorer
