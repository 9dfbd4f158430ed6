"""The version of the distribution that this package is installed from."""

from importlib.metadata import version

__version__ = version("ocelli-vision")
