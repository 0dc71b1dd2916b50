"""Turns identical and near-duplicate images into findings: which one to keep, which ones to exclude."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from headstart.audit.findings import Finding
from headstart.data.index import ImageIndex
from headstart.data.similarity.near_duplicates import Pair, clusters

KEPT_FIRST = ("test", "validation", "train")  # excluding evaluated images would change the evaluation


def identical_images(index: ImageIndex) -> list[list[int]]:
    """Return the positions of images with the same bytes, one list of two or more for each content."""
    same: dict[str, list[int]] = defaultdict(list)
    for position, digest in enumerate(index.digests):
        same[digest].append(position)
    return [positions for positions in same.values() if len(positions) > 1]


def duplicate_findings(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> list[Finding]:
    """Return the findings about duplicates, conflicting labels and near-duplicates.

    Args:
        index: the images.
        identical: positions of images with the same bytes.
        pairs: near-duplicates; identical images appear only once.
    """
    findings = []
    for members in identical:
        labels = {int(index.labels[position]) for position in members}
        if len(labels) > 1:
            for position in members:
                other = next(one for one in members if index.labels[one] != index.labels[position])
                findings.append(Finding("conflict", position, _detail(index, "identical to", other), 1.0, other))
        else:
            kept = _image_to_keep(index, members)
            findings += [
                Finding("duplicate", position, _detail(index, "identical to", kept), 1.0, kept)
                for position in members
                if position != kept
            ]
    return findings + _near_duplicates(index, identical, pairs)


def leaks(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> dict[str, int]:
    """Return how many validation and test images have a duplicate or near-duplicate among the training images.

    Args:
        index: the images.
        identical: positions of images with the same bytes.
        pairs: near-duplicates.
    """
    groups = _groups(index, identical, pairs)
    trained = np.unique(groups[index.splits == "train"])
    return {
        split: int(np.isin(groups[index.splits == split], trained).sum())
        for split in ("validation", "test")
        if (index.splits == split).any()
    }


def _near_duplicates(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> list[Finding]:
    """Return findings for all but one image of each group of near-duplicates, each with its most similar image."""
    content = {position: members[0] for members in identical for position in members}
    partners: dict[int, list[Pair]] = defaultdict(list)
    for pair in pairs:
        partners[pair.first].append(pair)
        partners[pair.second].append(pair)
    members_of: dict[int, list[int]] = defaultdict(list)
    groups = _groups(index, identical, pairs)
    for position in partners:
        members_of[int(groups[position])].append(position)
    findings = []
    for members in members_of.values():
        kept = _image_to_keep(index, [one for member in members for one in _same(identical, content, member)])
        for position in sorted(members):
            best = max(partners[position], key=lambda pair: (_across(index, pair), pair.similarity))
            other = best.second if best.first == position else best.first
            conflict = index.labels[position] != index.labels[other]
            if content.get(position, position) == content.get(kept, kept) and not conflict:
                continue
            relation = f"{best.how} of" if best.how == "copy" else f"{best.how}, otherwise a copy of"
            detail = _detail(index, relation, other) + (", which has another label" if conflict else "")
            findings.append(Finding("near_duplicate", position, detail, round(best.similarity, 4), other))
    # Pairs across splits first, because they inflate the scores.
    return sorted(findings, key=lambda one: (index.splits[one.position] == index.splits[one.partner], -one.score))


def _same(identical: Iterable[Sequence[int]], content: dict[int, int], position: int) -> Sequence[int]:
    """Return the positions of all images with the same bytes as an image, including itself."""
    if position not in content:
        return [position]
    return next(members for members in identical if members[0] == content[position])


def _groups(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> np.ndarray:
    joined = [(pair.first, pair.second) for pair in pairs]
    joined += [(members[0], other) for members in identical for other in members[1:]]
    return clusters(joined, len(index))


def _image_to_keep(index: ImageIndex, members: Sequence[int]) -> int:
    return min(members, key=lambda position: (KEPT_FIRST.index(str(index.splits[position])), position))


def _across(index: ImageIndex, pair: Pair) -> bool:
    return bool(index.splits[pair.first] != index.splits[pair.second])


def _detail(index: ImageIndex, relation: str, other: int) -> str:
    return f"{relation} {index.paths[other]} ({index.splits[other]}, {index.class_names[index.labels[other]]})"
