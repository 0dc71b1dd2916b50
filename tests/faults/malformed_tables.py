"""Tables of images by the hundred, seeded, each with something that went wrong on its way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

IMAGES = 24
ODD = "\0\r\n\u2028\u200b\ufeff\x0b\x1a\u00a0\u0301#\\'😀"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "utf-32")


def write_images(root: Path) -> list[str]:
    """Write files that tables name, empty ones, and return their paths."""
    paths = [f"{('cat', 'dog')[number % 2]}/f{number:02}.png" for number in range(IMAGES)]
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return paths


def originals(paths: list[str]) -> list[str]:
    """Return sound tables of the same images: separators, quotes, names and numbers of columns, line ends."""
    labels = [path.split("/")[0] for path in paths]
    pairs = list(zip(paths, labels, strict=True))
    captions = ['"red, soft"', '"of two\nlines"', "plain", '"5"" disk"', '""', "caf\u00e9"]
    splits = ["train", "train", "val", "test"]
    return [
        "path,label\n" + "".join(f"{path},{label}\n" for path, label in pairs),
        "filename;species;patient\r\n" + "".join(f"{p};{c};{n // 4}\r\n" for n, (p, c) in enumerate(pairs)),
        '"label"\t"path"\n' + "".join(f'"{label}"\t"{path}"\n' for path, label in pairs),
        ",image,class,note\n" + "".join(f"{n},{p},{c},{captions[n % 6]}\n" for n, (p, c) in enumerate(pairs)),
        "path,label,split,group\n" + "".join(f"{p},{c},{splits[n // 6]},g{n // 6}\n" for n, (p, c) in enumerate(pairs)),
        "note,label,path\n" + "".join(f"{captions[n % 6]},{c},{p}\n" for n, (p, c) in enumerate(pairs)),
        "# drawn\n\npath, label\n" + "".join(f'{path}, "{label}"\n' for path, label in pairs),
        "path|label\n" + "".join(f"{path}|{label}\n" for path, label in pairs),
    ]


def with_quotes(text: str, generator: np.random.Generator) -> str:
    """Put one to three quotes anywhere."""
    for _ in range(int(generator.integers(1, 4))):
        text = _inserted(text, '"', generator)
    return text


def with_quotes_at_fields(text: str, generator: np.random.Generator) -> str:
    """Put one to three quotes at the edge of fields, where they open or close one."""
    for _ in range(int(generator.integers(1, 4))):
        edges = [place for place, letter in enumerate(text) if letter in ",;\t|\n\r"]
        place = int(generator.choice(edges)) + int(generator.integers(2))
        text = f'{text[:place]}"{text[place:]}'
    return text


def without_a_letter(text: str, generator: np.random.Generator) -> str:
    place = int(generator.integers(len(text)))
    return text[:place] + text[place + 1 :]


def without_quotes(text: str, generator: np.random.Generator) -> str:
    """Remove every second quote, or the separators of one line."""
    if '"' in text:
        return "".join(part + ('"' if number % 2 else "") for number, part in enumerate(text.split('"')))
    return text.replace(",", "", 1)


def with_odd_letters(text: str, generator: np.random.Generator) -> str:
    return _inserted(text, ODD[int(generator.integers(len(ODD)))], generator)


def with_separators(text: str, generator: np.random.Generator) -> str:
    return _inserted(text, str(generator.choice([",", ";", "\t", "|", ",,", '","', '"\n"'])), generator)


def of_other_separators(text: str, generator: np.random.Generator) -> str:
    """Exchange the separators, everywhere or from some line on."""
    old, new = (str(letter) for letter in generator.choice([",", ";", "\t", "|", ":"], 2))
    lines = text.splitlines(keepends=True)
    start = int(generator.integers(len(lines))) if generator.integers(2) else 0
    return "".join(line.replace(old, new) if number >= start else line for number, line in enumerate(lines))


def of_other_lines(text: str, generator: np.random.Generator) -> str:
    """Leave a line out, double it, put it elsewhere or join it with the next one."""
    lines = text.splitlines(keepends=True)
    place, kind = int(generator.integers(len(lines))), int(generator.integers(4))
    line = lines.pop(place)
    if kind == 1:
        lines += [line, line]
    elif kind == 2:
        lines.insert(int(generator.integers(len(lines))), line)
    elif kind == 3:
        lines.insert(place, line.rstrip("\r\n"))
    return "".join(lines)


def with_a_long_field(text: str, generator: np.random.Generator) -> str:
    return _inserted(text, "x" * int(generator.choice([300, 5000, 140_000])), generator)


CHANGES: list[Callable[[str, np.random.Generator], str]] = [
    with_quotes,
    with_quotes_at_fields,
    with_quotes_at_fields,
    without_a_letter,
    without_quotes,
    with_odd_letters,
    with_separators,
    of_other_separators,
    of_other_lines,
    with_a_long_field,
]


def _inserted(text: str, addition: str, generator: np.random.Generator) -> str:
    place = int(generator.integers(len(text) + 1))
    return text[:place] + addition + text[place:]


def _damaged(data: bytes, generator: np.random.Generator) -> bytes:
    """Cut the bytes, leave some out, or change some."""
    kind, place = int(generator.integers(3)), int(generator.integers(1, len(data)))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + data[place + int(generator.integers(1, 40)) :]
    changed = bytearray(data)
    for position in generator.integers(0, len(data), int(generator.integers(1, 8))):
        changed[position] = int(generator.integers(256))
    return bytes(changed)


def malformed_tables(paths: list[str], count: int, seed: int = 0) -> list[bytes]:
    """Return tables with one or two changes to their text; some are in another encoding, some have damaged bytes.

    Args:
        paths: of the images.
        count: how many tables.
        seed: of the changes.
    """
    generator = np.random.default_rng(seed)
    sound = originals(paths)
    tables = []
    for number in range(count):
        text = sound[number % len(sound)]
        for _ in range(int(generator.integers(1, 3))):
            text = CHANGES[int(generator.integers(len(CHANGES)))](text, generator)
        encoding = "utf-8" if generator.integers(3) else str(generator.choice(ENCODINGS))
        data = text.encode(encoding, "replace")
        tables.append(data if generator.integers(4) else _damaged(data, generator))
    return tables
