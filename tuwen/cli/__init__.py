"""The command line (DESIGN section 6). Commands import the engine only when they run."""

from tuwen.cli import upkeep  # noqa: F401  its commands belong to the same application
from tuwen.cli.app import main

__all__ = ["main"]
