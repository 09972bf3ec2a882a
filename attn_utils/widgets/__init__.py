"""Live widgets: they compute in the browser, in JupyterLab and in the rendered book alike."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
