"""Real-life tables: each gives its rows, or one sentence that names the wrong row."""

from __future__ import annotations

import codecs
import unicodedata
from pathlib import Path

import pytest

from headstart.config import ColumnsConfig, DatasetConfig
from headstart.core.errors import HeadstartError
from headstart.data.load import load_index
from headstart.data.sources.csv_table import list_csv
from headstart.data.sources.listing import Listing

FILES = ("a.png", "b.png", "c d.png", "x,y.png", "deep/e.png", "id7.jpg", "7", "#1.png", "Upper.PNG")
AB = [("a.png", "cat"), ("b.png", "dog")]


def place(tmp_path: Path, content: str | bytes, *more: str) -> Path:
    for name in (*FILES, *more):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    table = tmp_path / "images.csv"
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    return table


def read(tmp_path: Path, content: str | bytes, *more: str, **columns: str | None) -> Listing:
    return list_csv(place(tmp_path, content, *more), tmp_path, columns=columns or None)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        # line ends, blank lines, separators at the end, comments
        ("path,label\na.png,cat\nb.png,dog\n", AB),
        ("path,label\r\na.png,cat\r\nb.png,dog", AB),
        ("path,label\ra.png,cat\rb.png,dog\r", AB),
        ("\n\npath,label\n\na.png,cat\n  \n,\nb.png,dog\n\n", AB),
        ("path,label,\na.png,cat,\nb.png,dog,\n", AB),
        ("path,label,,\na.png,cat\nb.png,dog,\n", AB),
        ("path,label\na.png,cat,,\nb.png,dog\n", AB),
        ("# made by hand\npath,label\na.png,cat\n# c.png,cat\n#, d\nb.png,dog\n", AB),
        ("label,path\n#cat,a.png\n# dog\ndog,b.png\n", [("a.png", "#cat"), ("b.png", "dog")]),
        ("path,label\n#1.png,cat\na.png,dog\n", [("#1.png", "cat"), ("a.png", "dog")]),
        # quotes
        ('"path","label"\n"a.png","cat"\n"b.png","dog"\n', AB),
        ('path, label\na.png, "cat"\nb.png, "dog"\n', [("a.png", "cat"), ("b.png", "dog")]),
        ('path,label\n"x,y.png","cat ""small"""\nb.png,5" disk\n', [("x,y.png", 'cat "small"'), ("b.png", '5" disk')]),
        ('path,label,caption\na.png,cat,"red, soft\nand, small"\nb.png,dog,"big"\n', AB),
        # separators
        ("path;label\na.png;cat\nb.png;dog\n", AB),
        ("path\tlabel\na.png\tcat\nb.png\tdog\n", AB),
        ("path|label\na.png|cat\nb.png|dog\n", AB),
        ("sep=;\npath;label\na.png;cat\nb.png;dog\n", AB),
        ("path;label\nx,y.png;cat, small\n", [("x,y.png", "cat, small")]),
        # encodings
        (codecs.BOM_UTF8 + b"path,label\na.png,cat\nb.png,dog\n", AB),
        ("path,label\na.png,cat\nb.png,dog\n".encode("utf-16"), AB),
        (codecs.BOM_UTF16_BE + "path;label\na.png;cat\nb.png;dog\n".encode("utf-16-be"), AB),
        ("path\tlabel\r\na.png\tcat\r\nb.png\tdog\r\n".encode("utf-16"), AB),
        ("path,label\na.png,cat\nb.png,dog\n".encode("utf-32"), AB),
        # names of columns
        ("filename,class\na.png,cat\nb.png,dog\n", AB),
        ("Image Path,Species\na.png,cat\nb.png,dog\n", AB),
        ("IMG;Category\na.png;cat\nb.png;dog\n", AB),
        ("target,id,file\ncat,1,a.png\ndog,2,b.png\n", AB),
        ("class index,filepaths,labels,card,data set\n0,a.png,cat,2,train\n1,b.png,dog,3,test\n", AB),
        ("image_id,label\n7,cat\na.png,dog\n", [("7", "cat"), ("a.png", "dog")]),
        (",path,label,class\n0,a.png,cat,x\n1,b.png,dog,y\n", AB),
        # paths
        ("path,label\n a.png ,cat\ndeep\\e.png,dog\n", [("a.png", "cat"), ("deep/e.png", "dog")]),
        ("path,label\n./a.png,cat\nc d.png,dog\n", [("./a.png", "cat"), ("c d.png", "dog")]),
    ],
)
def test_a_table_gives_its_rows(tmp_path: Path, content: str | bytes, rows: list[tuple[str, str]]) -> None:
    assert [(row.path, row.label.strip()) for row in read(tmp_path, content).rows] == rows


@pytest.mark.parametrize(
    ("content", "says"),
    [
        # quotes that are not closed
        (
            'path,label\na.png,"cat\nb.png,dog\n',
            r"closed .* the end of the file in .*row 2 and reaches row 3",
        ),
        ('path,label\n"a.png,cat\nb.png,"dog"\n', r"every quote .* closed.* row 2"),
        ('path,label\na.png,"cat\nb.png,dog"\nc d.png,cat\n', r"closed in its row.* row 2 and holds the rows up to 3"),
        ('path,label,note\na.png,cat,"x\nb.png,dog,y"\n', r"closed in its row.* row 2 and holds the rows up to 3"),
        ('path,label,note\na.png,cat,"x\n7,dog,y"\n', r"closed in its row.* row 2 and holds the rows up to 3"),
        ('label,path,note\ncat,a.png,"x\ndog,b.png,y"\n', r"closed in its row.* row 2"),
        ('path,label\na.png,"cat"s\n', r"every quote .* closed.* row 2; .*twice"),
        ('"path,label\na.png,cat\n', r"every quote .* closed.* row 1"),
        ('path,"label\na.png,cat\n', r"every quote .* closed.* row 1"),
        (
            'path,label\na.png,"' + "x\n" * 70_000 + '"\n',
            r"at most 131,072 characters .*row 2 and reaches.*; is a",
        ),
        ("path,label\na.png," + "x" * 140_000 + "\n", r"at most 131,072 characters .*Received: more in row 2;"),
        # bytes
        ("path,label\na.png,cat\nb\0.png,dog\n", r"to be text\. Received: a NUL byte in row 3; remove it"),
        ("path,label\na.png,cat\n".encode("utf-16-le"), r"a NUL byte in row 1; it looks like UTF-16 without"),
        ("path,label\na.png,caf\xe9\n".encode("latin-1"), r"UTF-8\. Received: another encoding in row 2.*'a.png,café'"),
        (codecs.BOM_UTF16_LE + b"abc", r"to be UTF-16 as its byte order mark says"),
        (
            b"PK\x03\x04\x14\0",
            r"to be text\. Received: .*images\.csv, which is a spreadsheet or an archive",
        ),
        # fields
        ("# by hand\n\npath,label\na.png,cat\nb.png\n", r"2 fields in row 5 "),
        ('path,label,note\na.png,cat,"two\nlines"\nb.png\n', r"3 fields in row 4 "),
        ("sep=;\r\npath;label\r\na.png;cat\r\nb.png;\r\n", r"a label in row 4 "),
        ("path,label\na.png,cat,small\n", r"2 fields in row 2 .*\(path,label\)\. Received: 3, a\.png,cat,small"),
        ("path,label,split\na.png,cat\n", r"3 fields in row 2 .* Received: 2"),
        ("path,label\na.png;cat\n", r"2 fields in row 2 .* Received: 1, a\.png;cat"),
        ("path,label\na.png,\u200b \n", r"a label in row 2"),
        ("path,label\n ,cat\n", r"a path in row 2"),
        # the header
        ("", r"columns path,label.*Received: $"),
        ("a.png,cat\nb.png,dog\n", r"column names in the first row .*path,label\. Received: a\.png,cat"),
        ("7;cat\n", r"column names .*path;label\. Received: 7;cat, where 7 is an image"),
        ("a.png\nb.png\n", r"column names in the first row .*a\.png is an image"),
        ("photo,kind\na.png,cat\n", r"columns path,label.* Received: photo,kind; dataset\.columns\.path="),
        ("path\na.png\n", r"columns path,label.* Received: path$"),
        ("path,label,label\na.png,cat,dog\n", r"unique name\. Received: label more than once"),
        (
            "file,image,label\na.png,b.png,cat\n",
            r"one column for the path .*file and image; .*columns\.path=file",
        ),
        (
            "path,class,target\na.png,cat,1\n",
            r"one column for the label .*class and target; .*columns\.label=class",
        ),
        ("path,Set,subset,label\na.png,train,x,cat\n", r"one column for the split .*Set and subset"),
        ("image,cat,dog\na.png,1,0\nb.png,0,1\n", r"one column with the label .*for each class \(cat, dog\).*idxmax"),
        # values
        (
            "path,label,set\na.png,cat,first\n",
            r"split in row 2 .*first in the column set; .*columns\.split=false",
        ),
        ("path,label,patient_id\na.png,cat,\n", r"a group in row 2 .*column patient_id; .*columns\.group=false"),
        ("path,label\na.png,cat\n./a.png,dog\n", r"each path once .*\./a\.png in row 2 and row 3|row 2 and row 3"),
        ("id,breed\nid7,cat\n", r"row 2: id7 \(there is id7\.jpg\); the paths have no suffix"),
        (
            "file\tscan\tlabel\nx\ta.png\tcat\n",
            r"row 2: x; the column scan has existing files.*dataset\.columns\.path=scan",
        ),
        ("label,path\n#cat,c.png\n", r"1 that are not, row 2: c\.png"),
        ("path,label\nupper.png,cat\n", r"row 2: upper\.png \(there is Upper\.PNG\)"),
        ("path,label\n" + "n" * 300 + ".png,cat\n", r"1 that are not, row 2: nnn"),
        ("path,label\n..\\..\\a.png,cat\n", r"to be a file below|to lie below"),
    ],
)
def test_a_wrong_table_is_refused_with_the_row(tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(HeadstartError, match=says) as caught:
        read(tmp_path, content)
    assert "images.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        ("file,species,class\na.png,cat,1\nb.png,dog,2\n", {"label": "species"}, AB),
        ("scan;finding\na.png;cat\nb.png;dog\n", {"path": "scan", "label": "finding"}, AB),
        ("label,path\na.png,cat\nb.png,dog\n", {"path": "label", "label": "path"}, AB),
        ("path,label,set\na.png,cat,first\nb.png,dog,second\n", {"split": None}, AB),
        ("path,label,group\na.png,cat,\nb.png,dog,\n", {"group": None}, AB),
    ],
)
def test_columns_can_be_named(
    tmp_path: Path, content: str, columns: dict[str, str | None], rows: list[tuple[str, str]]
) -> None:
    listing = read(tmp_path, content, **columns)
    assert [(row.path, row.label) for row in listing.rows] == rows
    assert all(row.split is None and row.group is None for row in listing.rows)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"path": "scan"}, r"dataset\.columns\.path to be one of path, label, split\. Received: scan in .*images\.csv"),
        ({"label": None}, r"columns path,label"),
        ({"label": "path"}, r"columns path,label.* Received: path,label,split"),
        ({"path": "label", "label": "label"}, r"Expected separate columns .*path: label, label: label"),
    ],
)
def test_wrong_names_of_columns_are_refused(tmp_path: Path, columns: dict[str, str | None], says: str) -> None:
    with pytest.raises(HeadstartError, match=says):
        read(tmp_path, "path,label,split\na.png,cat,train\n", **columns)


def test_columns_are_refused_for_other_sources(tmp_path: Path) -> None:
    config = DatasetConfig(name="folder", source="folder", root=str(tmp_path), columns=ColumnsConfig(path="x"))
    with pytest.raises(HeadstartError, match=r"dataset\.columns only with dataset\.source=csv.*folder"):
        load_index(config, tmp_path)


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("path,label\na.png,cat\n", ""),
        ("path;label\na.png;cat\n", "The table images.csv has semicolons between its fields"),
        (
            "Filename,Species,Patient ID\na.png,cat,p\n",
            "The table images.csv has Filename as the path, Species as the label, Patient ID as the group "
            "(dataset.columns.path=NAME names another column)",
        ),
        ("path,label\n# old\na.png,cat\n", "Lines of images.csv that begin with # were left out as comments (1)"),
        ("path,label\ndeep\\e.png,cat\n", "Backslashes in paths of the table were read as slashes (1)"),
    ],
)
def test_the_detected_layout_is_noted(tmp_path: Path, content: str, note: str) -> None:
    assert "\n".join(read(tmp_path, content).notes) == note


def test_splits_and_groups_are_read_without_blanks(tmp_path: Path) -> None:
    listing = read(tmp_path, "path,label,split,group\na.png,cat, Train ,p1\nb.png,dog,train,p1\u00a0\n")
    assert [(row.split, row.group) for row in listing.rows] == [("train", "p1")] * 2


@pytest.mark.parametrize(("written", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_is_found_by_its_accents_in_another_encoding(tmp_path: Path, written: str, on_disk: str) -> None:
    name = unicodedata.normalize(on_disk, "café/é.png")
    listing = read(tmp_path, f"path,label\n{unicodedata.normalize(written, name)},cat\n", name)
    if listing.rows[0].path != name:  # a disk that does not tell the two apart has found it at once
        assert not listing.notes
    else:
        assert listing.notes[0].endswith("whose accents the table encodes differently were matched (1)")


def test_the_exact_name_decides_between_files_that_look_the_same(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    assert [row.path for row in read(tmp_path, f"path,label\n{names[1]},cat\n", *names).rows] == names[1:]
    mixed = [f"{names[0]}{names[1]}", f"{names[1]}{names[0]}"]
    asked = unicodedata.normalize("NFD", mixed[0])
    with pytest.raises(HeadstartError, match="1 that are not, row 2"):
        read(tmp_path, f"path,label\n{asked},cat\n", *mixed)


@pytest.mark.parametrize("name", [".", "nowhere.csv", "/dev/zero"])
def test_a_table_that_is_not_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(HeadstartError, match=r"Expected dataset\.csv to be a file\. Received: "):
        list_csv(tmp_path / name, tmp_path)
