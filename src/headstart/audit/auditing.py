"""Runs all checks of an audit in order, and summarises their findings."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.audit.duplicates import duplicate_findings, identical_images, leaks
from headstart.audit.findings import KINDS, Finding
from headstart.audit.quality import quality_findings
from headstart.audit.report import write_page, write_table
from headstart.audit.shortcuts import ALL, SERIOUS, Shortcut, find_shortcuts
from headstart.cache.store import Cache
from headstart.config import Config
from headstart.core.console import format_percent
from headstart.core.errors import printable
from headstart.core.paths import cache_directory
from headstart.data.index import ImageIndex
from headstart.data.similarity.measurements import measure_images
from headstart.data.similarity.near_duplicates import Pair, clusters, find_near_duplicates

PAGE, TABLE = "audit.html", "audit.csv"
MAX_SHORTCUTS = 50  # in data_report.json
SAMPLE = 500  # images whose nearest neighbours give the usual similarity of different images


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Args:
        index: the images.
        level: `quick` or `full`.
        findings: of all kinds, in the order of the page.
        shortcuts: how well each property predicts the class, followed by the suspicious pairs of classes.
        copies: number of validation and test images that are duplicates or near-duplicates of training images.
        identical_copies: number of those that are byte-for-byte identical.
        seconds: duration of each part.
    """

    index: ImageIndex
    level: str
    findings: list[Finding]
    shortcuts: list[Shortcut]
    copies: dict[str, int]
    identical_copies: dict[str, int]
    seconds: dict[str, float]

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each kind that the level looks for."""
        found = Counter(one.kind for one in self.findings)
        return {kind: found[kind] for kind in KINDS if kind != "mislabelled" or self.level == "full"}

    def warnings(self, page: str = PAGE) -> list[str]:
        """Return warnings about the trustworthiness of the results, one sentence each.

        Args:
            page: path of the page, for the sentences.
        """
        sentences = []
        for split, count in self.copies.items():
            if count > self.identical_copies[split]:  # the check of the files has warned about identical ones already
                total = int((self.index.splits == split).sum())
                sentences.append(
                    f"{count:,} of {total:,} {split} images are duplicates or near-duplicates of training images, so "
                    f"{split} scores are inflated by leakage: see {page}"
                )
        sentences += [f"{sentence}: see {page}" for sentence in self._about_shortcuts()]
        counts = self.counts()
        if counts.get("mislabelled"):
            sentences.append(f"{_images(counts['mislabelled'], 'looks', 'look')} mislabelled: see {page}")
        if counts["blank"]:
            sentences.append(f"{_images(counts['blank'], 'is', 'are')} blank: see {page}")
        return [printable(sentence) for sentence in sentences]

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as JSON values."""
        return {
            "level": self.level,
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
            "findings": self.counts(),
            "copies_of_training_images": self.copies,
            "shortcuts": [
                {
                    "by": one.by,
                    "classes": [self.index.class_names[label] for label in one.classes],
                    "balanced_accuracy": round(one.accuracy, 4),
                    "chance": round(one.chance, 4),
                    "images": one.images,
                }
                for one in self.shortcuts[:MAX_SHORTCUTS]
            ],
        }

    def write(self, directory: Path, name: str, most: int) -> None:
        """Write the page and the table.

        Args:
            directory: created if necessary.
            name: of the data set.
            most: maximum number of findings of each kind to show with their images.
        """
        directory.mkdir(parents=True, exist_ok=True)
        write_table(self.findings, self.index, directory / TABLE)
        among_all = [one for one in self.shortcuts if self._is_overall(one)]
        write_page(
            self.findings,
            self.index,
            most,
            directory / PAGE,
            title=f"Audit of {name}",
            summary=f"{len(self.index):,} images of {len(self.index.class_names)} classes; {self.level} audit"
            + ("." if self.level == "full" else ", without a network. `headstart audit` also looks for wrong labels."),
            warnings=self.warnings("below"),
            overall=[self._row(one) for one in among_all],
            pairs=[self._row(one) for one in self.shortcuts[len(among_all) :]],
        )

    def _about_shortcuts(self) -> list[str]:
        """Return a warning about all classes, or about the pairs of classes that a property predicts too well."""
        serious = [one for one in self.shortcuts if one.accuracy > SERIOUS]
        whole = [one for one in serious if self._is_overall(one)]
        if whole:
            best = min(whole, key=lambda one: (one.by == ALL, -one.accuracy))
            by = "size, border and file together" if best.by == ALL else best.by
            reached, chance = format_percent(best.accuracy, 0), format_percent(best.chance, 0)
            return [f"The classes can be distinguished by their {by} at {reached} (chance {chance})"]
        pairs = {one.classes for one in serious}
        if not pairs:
            return []
        best = min(serious, key=lambda one: (one.by == ALL, -one.accuracy))
        one, other = (self.index.class_names[label] for label in best.classes)
        by = "size, border and file together" if best.by == ALL else best.by
        return [
            f"{len(pairs):,} pairs of classes can be distinguished by size, border or file alone at more than "
            f"{format_percent(SERIOUS, 0)}, for example {one} and {other} by their {by} at "
            f"{format_percent(best.accuracy, 0)}"
        ]

    def _is_overall(self, shortcut: Shortcut) -> bool:
        return len(shortcut.classes) > 2 or len(self.shortcuts[0].classes) == 2

    def _row(self, shortcut: Shortcut) -> dict[str, Any]:
        names = [self.index.class_names[label] for label in shortcut.classes]
        return {
            "by": shortcut.by,
            "classes": f"all {len(names)}" if len(names) > 2 else " / ".join(names),
            "accuracy": format_percent(shortcut.accuracy),
            "chance": format_percent(shortcut.chance, 0),
            "images": f"{shortcut.images:,}",
            "serious": shortcut.accuracy > SERIOUS,
        }


def audit_images(config: Config, index: ImageIndex, level: str, image_size: int) -> Audit:
    """Audit the images of a data set.

    Args:
        config: of the caches, and of how images are resized for the network.
        index: the images, with their digests.
        level: `quick` needs no network; `full` confirms near-duplicates and checks labels by a network's features.
        image_size: of the network's input, in pixels.

    Raises:
        HeadstartError: when an image cannot be read.
    """
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def done(name: str) -> None:
        seconds[name] = time.perf_counter() - started - sum(seconds.values())

    cache = Cache(cache_directory() / "tables", config.cache.max_gb * 1e9) if config.cache.images else None
    measured = measure_images(index, cache)
    done("measuring")
    identical = identical_images(index)
    different = np.sort(np.unique(np.array(index.digests), return_index=True)[1])
    pairs = find_near_duplicates(measured.thumbnails, different)
    done("near_duplicates")
    labelled = len(index.class_names) > 1
    mislabelled: list[Finding] = []
    if level == "full" and labelled:
        from headstart.audit.features import reduced_features
        from headstart.audit.mislabelled import mislabelled_findings

        features = reduced_features(config, index, image_size)
        done("features")
        pairs = confirmed_pairs(pairs, features)
        groups = [(pair.first, pair.second) for pair in pairs]
        groups += [(members[0], other) for members in identical for other in members[1:]]
        mislabelled = mislabelled_findings(features, index.labels, index.class_names, clusters(groups, len(index)))
        done("labels")
    findings = [*duplicate_findings(index, identical, pairs), *mislabelled, *quality_findings(measured)]
    shortcuts = find_shortcuts(measured, index.labels) if labelled else []
    done("shortcuts")
    return Audit(
        index, level, findings, shortcuts, leaks(index, identical, pairs), leaks(index, identical, []), seconds
    )


def confirmed_pairs(pairs: Sequence[Pair], features: Sequence[np.ndarray]) -> list[Pair]:
    """Return the pairs whose features are at least as similar as those of this data set's nearest neighbours.

    Args:
        pairs: near-duplicates by their pixels.
        features: (n, d) for each depth.
    """
    if not pairs:
        return []
    unit = np.concatenate([_unit(values) for values in features], axis=1) / np.sqrt(len(features))
    sample = unit[np.random.default_rng(0).permutation(len(unit))[:SAMPLE]]
    similarity = sample @ sample.T
    np.fill_diagonal(similarity, -1)
    usual = np.median(similarity.max(axis=1))
    return [pair for pair in pairs if unit[pair.first] @ unit[pair.second] >= usual]


def _images(count: int, one: str, several: str) -> str:
    return f"1 image {one}" if count == 1 else f"{count:,} images {several}"


def _unit(values: np.ndarray) -> np.ndarray:
    values = values / (values.std(axis=0) + 1e-6)
    return values / (np.linalg.norm(values, axis=1, keepdims=True) + 1e-6)
