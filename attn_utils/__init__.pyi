# The public names of the package, module by module. lazy_loader reads this file at run time,
# type checkers and editors read it as well.
from . import checks as checks
from . import data as data
from . import plots as plots
from . import widgets as widgets
from .cues import cue_weights as cue_weights
from .cues import fuzzy_lookup as fuzzy_lookup
from .cues import saliency_map as saliency_map
from .plots import show_heatmaps as show_heatmaps
from .pooling import NWKernelRegression as NWKernelRegression
from .pooling import average_pooling as average_pooling
from .pooling import nadaraya_watson as nadaraya_watson
