"""Images that look unlike the training images, and where the limit lies."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.console import format_percent


@dataclass(frozen=True, kw_only=True)
class UnfamiliarLimit:
    """The distance from the training images beyond which an image counts as unfamiliar, said in images."""

    validation_images: int
    """Number of validation images whose distances set the limit."""
    validation_share: float
    """Share of the validation images within the limit, 0 to 1: 0.99, or 1 with fewer than 99 images."""
    expected_share: float
    """Share of new images of the same kind that are expected beyond the limit, 0 to 1."""

    def describe(self) -> str:
        """Return what an unfamiliar image is, in words."""
        whole = "all" if self.validation_share == 1 else format_percent(self.validation_share, 0)
        return f"farther from them than {whole} of the {self.validation_images:,} validation images"


@dataclass(frozen=True, kw_only=True)
class Unfamiliar:
    """The images of the run's own splits that the saved classifier finds unfamiliar."""

    limit: UnfamiliarLimit
    """The limit, and the share of familiar images that is expected beyond it."""
    images: dict[str, int]
    """Number of images beyond the limit by split."""
