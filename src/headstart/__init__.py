"""Configuration-driven transfer-learning experiments for image classification."""

from headstart.artifact import Classifier, load_classifier
from headstart.errors import HeadstartError

__all__ = ["Classifier", "HeadstartError", "load_classifier"]
