"""The lines of keys in TOML files, against a table written by hand and against every prefix."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vireo.records.lines import key_lines

TEXT = '''\
# a comment
name = "a"   # another

sizes = [
  1,  # one
  2,
]
"quoted key" = """
[no.table]
no = "key"
"""
a.b.c = 3

[data]
options = { root = "x = 1", "list" = ["]", "["] }

[ data . "splits" . train ]
lines = [[1, 2],
  [3]]
[[steps]]
one = 1
[[steps]]
two = 2
'''
LINES = {
    ("name",): 2,
    ("sizes",): 4,
    ("quoted key",): 8,
    ("a",): 12,
    ("a", "b"): 12,
    ("a", "b", "c"): 12,
    ("data",): 14,
    ("data", "options"): 15,
    ("data", "options", "root"): 15,
    ("data", "options", "list"): 15,
    ("data", "splits"): 17,
    ("data", "splits", "train"): 17,
    ("data", "splits", "train", "lines"): 18,
    ("steps",): 20,
    ("steps", "one"): 21,
    ("steps", "two"): 23,
}


def test_every_key_and_table_has_its_line():
    assert key_lines(TEXT) == LINES


def test_an_empty_text_has_no_keys():
    assert key_lines("") == {}
    assert key_lines("\n# nothing\n") == {}


NAMES = st.text("abc", min_size=1, max_size=2)
VALUES = st.sampled_from(["1", '"x"', "[1,\n2]", "'''\n[a]\n'''", "{ a = 1 }", "[\n# ]\n]"])
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, NAMES, VALUES),
    st.builds("[{}.{}]".format, NAMES, NAMES),
    st.sampled_from(["", "# [b]"]),
)


@given(st.lists(STATEMENTS, max_size=8))
def test_a_key_is_there_from_its_line_on_and_not_before(statements):
    text = "\n".join(statements)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    whole = text.split("\n")
    for path, line in key_lines(text).items():
        assert not _holds("\n".join(whole[: line - 1]), path)
        ends = (end for end in range(line, len(whole) + 1) if _reads("\n".join(whole[:end])))
        assert _holds("\n".join(whole[: next(ends)]), path)


def _reads(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _holds(text: str, path: tuple[str, ...]) -> bool:
    values = tomllib.loads(text)
    for part in path:
        if part not in values:
            return False
        values = values[part]
    return True


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_the_end_of_the_file_does_not_matter(ending):
    assert key_lines(TEXT.strip() + ending) == LINES
