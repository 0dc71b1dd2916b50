"""Configuration-driven transfer-learning experiments for image classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.core.errors import HeadstartError

if TYPE_CHECKING:
    from headstart.classifier.saved import Classifier, load_classifier

__all__ = ["Classifier", "HeadstartError", "__version__", "load_classifier"]


def __getattr__(name: str) -> Any:
    """Import the classifier when it is first used, so that `import headstart` needs neither NumPy nor Hydra."""
    if name == "__version__":  # pyproject.toml is the one place that states it
        from importlib.metadata import version

        return version("headstart")
    if name in ("Classifier", "load_classifier"):
        from headstart.classifier import saved

        return getattr(saved, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the lazy names too."""
    return sorted({*globals(), *__all__})
