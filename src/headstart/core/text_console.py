"""A rich console for sentences: a terminal breaks them between words, a pipe or a file never."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

# What the second line of a sentence stands below: the text behind a label and two spaces, else two more spaces.
LABEL = re.compile(r" *\S+ {2,}(?=\S)")
WORD = re.compile(r"\s*(\S+)")
SHORTEST_LINE = 20  # characters behind the indentation; a narrower terminal breaks lines itself


class TextConsole(Console):
    """A console that breaks a long text between words and indents what follows, if it prints to a terminal.

    Elsewhere a text stays on one line, so that it can be searched. With `soft_wrap=True` it does on a terminal too,
    where it can be copied: a command, an address. A word, such as a path, is never broken.

    Args:
        stderr: whether to print to stderr.
        file: to print to; None: stdout or stderr.
    """

    def __init__(self, stderr: bool = False, file: IO[str] | None = None) -> None:
        # A file may be called :cat:.png, which is no cat.
        super().__init__(stderr=stderr, file=file, highlight=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, but break texts as this class does.

        Args:
            objects: what to print.
            options: see rich.console.Console.print.
        """
        if objects and all(isinstance(each, str | Text) for each in objects) and not options.get("soft_wrap"):
            options["soft_wrap"] = True  # by rich, which would break words, and knows no indentation
            if self.is_terminal:
                objects = (self._broken(objects, options.get("markup")),)
        super().print(*objects, **options)

    def _broken(self, texts: Sequence[str | Text], markup: bool | None) -> Text:
        """Return the texts as one, with line breaks so that it fits the terminal."""
        styled = [self.render_str(text, markup=markup) if isinstance(text, str) else text for text in texts]
        whole = Text(" ").join(styled).split("\n", allow_blank=True)
        lines = [part for line in whole for part in self._lines(line)]
        return Text("\n").join(lines)

    def _lines(self, line: Text) -> list[Text]:
        """Return the parts of a line, those after the first indented."""
        label = LABEL.match(line.plain)
        indentation = label.end() if label else len(line.plain) - len(line.plain.lstrip(" ")) + 2
        room = self.width - indentation  # of all lines but the first
        if line.cell_len <= self.width or room < SHORTEST_LINE:
            return [line]
        breaks, used, width = [], 0, self.width
        for word in WORD.finditer(line.plain):
            letters = cell_len(word[1])
            if used and used + cell_len(word[0]) > width and letters <= room:
                breaks.append(word.start(1))
                used, width = letters, room
            else:
                used += cell_len(word[0])
        first, *more = line.divide(breaks)
        for part in (first, *more):
            part.rstrip()
        for part in more:
            part.pad_left(indentation)
        return [first, *more]
