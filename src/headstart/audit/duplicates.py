"""Turns identical and nearly identical images into findings: which one stays, which one is to be left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from headstart.audit.findings import Finding
from headstart.data.index import ImageIndex
from headstart.data.similarity.near_duplicates import Pair, clusters

STAYS_FIRST = ("test", "validation", "train")  # an evaluation on fewer images would be another evaluation


def identical_images(index: ImageIndex) -> list[list[int]]:
    """Return the positions of images with the same bytes, a list of two or more for each content."""
    same: dict[str, list[int]] = defaultdict(list)
    for position, digest in enumerate(index.digests):
        same[digest].append(position)
    return [positions for positions in same.values() if len(positions) > 1]


def duplicate_findings(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> list[Finding]:
    """Return the findings of all images that are not the only one of their kind.

    Args:
        index: the images.
        identical: positions of images with the same bytes.
        pairs: of near-duplicates, of each content one.
    """
    findings = []
    for members in identical:
        labels = {int(index.labels[position]) for position in members}
        if len(labels) > 1:
            for position in members:
                other = next(one for one in members if index.labels[one] != index.labels[position])
                findings.append(Finding("conflict", position, _said(index, "identical to", other), 1.0, other))
        else:
            stays = _stays(index, members)
            findings += [
                Finding("duplicate", position, _said(index, "identical to", stays), 1.0, stays)
                for position in members
                if position != stays
            ]
    return findings + _near(index, identical, pairs)


def leaks(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> dict[str, int]:
    """Return how many images of validation and test have a copy, identical or nearly so, among the training images.

    Args:
        index: the images.
        identical: positions of images with the same bytes.
        pairs: of near-duplicates.
    """
    groups = _groups(index, identical, pairs)
    trained = np.unique(groups[index.splits == "train"])
    return {
        split: int(np.isin(groups[index.splits == split], trained).sum())
        for split in ("validation", "test")
        if (index.splits == split).any()
    }


def _near(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> list[Finding]:
    """Return the near-duplicates: of each group all but one, beside the image that each is most like."""
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
        stays = _stays(index, [one for member in members for one in _same(identical, content, member)])
        for position in sorted(members):
            best = max(partners[position], key=lambda pair: (_across(index, pair), pair.similarity))
            other = best.second if best.first == position else best.first
            conflict = index.labels[position] != index.labels[other]
            if content.get(position, position) == content.get(stays, stays) and not conflict:
                continue
            what = f"{best.how} of" if best.how == "copy" else f"{best.how}, else a copy of"
            detail = _said(index, what, other) + (", which has another label" if conflict else "")
            findings.append(Finding("near_duplicate", position, detail, round(best.similarity, 4), other))
    # Those across splits first: they are what an evaluation suffers from.
    return sorted(findings, key=lambda one: (index.splits[one.position] == index.splits[one.partner], -one.score))


def _same(identical: Iterable[Sequence[int]], content: dict[int, int], position: int) -> Sequence[int]:
    """Return the positions of all images with the same bytes as one."""
    if position not in content:
        return [position]
    return next(members for members in identical if members[0] == content[position])


def _groups(index: ImageIndex, identical: Sequence[Sequence[int]], pairs: Sequence[Pair]) -> np.ndarray:
    joined = [(pair.first, pair.second) for pair in pairs]
    joined += [(members[0], other) for members in identical for other in members[1:]]
    return clusters(joined, len(index))


def _stays(index: ImageIndex, members: Sequence[int]) -> int:
    return min(members, key=lambda position: (STAYS_FIRST.index(str(index.splits[position])), position))


def _across(index: ImageIndex, pair: Pair) -> bool:
    return bool(index.splits[pair.first] != index.splits[pair.second])


def _said(index: ImageIndex, what: str, other: int) -> str:
    return f"{what} {index.paths[other]} ({index.splits[other]}, {index.class_names[index.labels[other]]})"
