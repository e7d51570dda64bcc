"""Task files that are broken, enormous, or try to do more than describe a task."""

import os
import re

import pytest

from vireo.errors import SettingError
from vireo.tasks import find_task

TOP = """\
name = "leaves"
summary = "is the leaf ill"
target = "class"
outputs = 2
family = "semantic-image"
head = "linear"
loss = "cross-entropy"
metric = "top-1"
epochs = 30
"""
DATA = """
[data]
name = "leaves"
source = "image-folder"
options = { root = "$LEAVES" }
[data.carve.test]
fraction = 0.2
"""


@pytest.fixture
def refusal(tmp_path):
    """What is said of a file with this content."""

    def write_and_read(content: str | bytes) -> str:
        path = tmp_path / "task.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(SettingError) as caught:
            find_task(str(path))
        return str(caught.value)

    return write_and_read


def test_the_file_that_the_others_spoil_is_right(tmp_path):
    (tmp_path / "task.toml").write_text(TOP + DATA)
    assert find_task(str(tmp_path / "task.toml")).name == "leaves"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name = = 1", r"not valid TOML: Invalid value \(at line 1"),
        ("name = 'a'\nname = 'b'", "not valid TOML: Cannot overwrite a value"),
        ("[data]\n[data]", "not valid TOML: Cannot declare"),
        ("a = " + "[" * 5000 + "]" * 5000, "not valid TOML: "),
        ("a = " + "{b=" * 5000, "not valid TOML: "),
        ("a = " + "9" * 5000, "not valid TOML: "),
        ("a = '" + "x" * 2**21 + "'", "has more than 1048576 bytes"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"\x00", "not valid TOML"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
        ("", "name is missing"),
        (".".join("a" * 3000) + " = 1", "more than 8 others"),
        (TOP + "data = 3", "line 10: data should be a table; got 3"),
        (TOP + "data = []", "line 10: data should be a table"),
        (TOP + "[[data]]\nname = 'a'", "line 10: data should be a table"),
    ],
    ids=range(15),
)
def test_what_is_no_task_file_is_said_in_a_sentence(refusal, content, said):
    assert re.search(said, refusal(content))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs = 30", "epochs = 2030-01-01", "line 9: epochs should be text, number"),
        ("epochs = 30", "epochs = 07:30:00", "line 9: epochs should be text, number"),
        ("epochs = 30", "epochs = nan", "line 9: epochs should be a finite number; got nan"),
        ("epochs = 30", f"epochs = 1{'0' * 400}", "line 9: epochs should be within 2.53"),
        ("epochs = 30", "epochs = 10_000_000", "line 9: epochs must be at most 1000000"),
        ("epochs = 30", "epochs = -1", "line 9: epochs must be at least 1"),
        ("epochs = 30", "epochs = {}", "line 9: epochs should be a valid integer; got a table"),
        ("epochs = 30", "epochs = [[[30]]]", "line 9: epochs should be a valid integer"),
        ("outputs = 2", "outputs = 2_000_000", "line 4: outputs must be at most 1000000"),
        ("outputs = 2", "outputs = 2\nfloor = inf", "line 5: floor should be a finite number"),
        ("outputs = 2", "outputs = 2\nlearning_rate = 0", "line 5: learning_rate must be above"),
        (
            "outputs = 2",
            "outputs = 2\ninput_size = [99999, 1]",
            "line 5: input_size must be at most",
        ),
        ("outputs = 2", "outputs = 2\ninput_size = [-1, 1]", "line 5: input_size must be at least"),
        ("outputs = 2", "outputs = 2\ncrop = [99999, 1]", "line 5: crop must be at most"),
        (
            "outputs = 2",
            "outputs = 2\nextra_tests = ['imagenet-v9']",
            "line 5: extra_tests: Unknown",
        ),
        ("outputs = 2", 'outputs = 2\n"__class__" = 1', "line 5: Unknown key '__class__'"),
        ("outputs = 2", 'outputs = 2\n"" = 1', "line 5: Unknown key ''"),
        ('"leaves"\nsummary', '"../../etc/x"\nsummary', "line 1: name is of letters"),
        ('"leaves"\nsummary', '""\nsummary', "line 1: name is of letters"),
        ('"leaves"\nsummary', '"a\\nb"\nsummary', "line 1: name is of letters"),
        ('"leaves"\nsummary', f'"{"a" * 65}"\nsummary', "line 1: name is of letters"),
        ('head = "linear"', 'head = "os:system"', "is no Head; derive its class from it"),
        ('head = "linear"', 'head = "__import__(1):x"', "Unknown head '__import__"),
        ('metric = "top-1"', 'metric = "os:system"', "is no Metric; derive its class from it"),
        ('"image-folder"', '"subprocess:Popen"', "line 13: data.source: .* is no Source"),
        ('root = "$LEAVES"', "root = 3", "line 14: data.options.root: "),
        ('root = "$LEAVES"', "root = [[1]]", r"line 14: data.options.root\[0\] should be"),
        ('root = "$LEAVES"', "root = { a = { b = 1 } }", "line 14: data.options.root.a should be"),
        ('root = "$LEAVES"', 'root = "a", subfolder = "../../etc"', "is no folder below the root"),
        ('root = "$LEAVES"', 'root = "a", subfolder = "/etc"', "is no folder below the root"),
        ('root = "$LEAVES"', 'root = "a", subfolder = 3', "3 is no folder below the root"),
        ("fraction = 0.2", "fraction = 1.2", "line 16: data.carve.test.fraction must be in"),
        ("fraction = 0.2", "fraction = 0.2\nseed = 0.5", "line 17: data.carve.test.seed should be"),
    ],
    ids=range(33),
)
def test_values_that_no_task_can_have_are_refused_by_line(refusal, old, new, said):
    whole = TOP + DATA
    assert old in whole
    assert re.search(said, refusal(whole.replace(old, new))), refusal(whole.replace(old, new))


def test_a_hundred_mistakes_are_listed_and_long_values_cut_short(refusal):
    many = "".join(f"wrong{i} = 1\n" for i in range(100))
    said = refusal(f'outputs = "{"x" * 999}"\n' + many + (TOP + DATA).replace("outputs = 2", ""))
    assert "has 101 mistakes" in said
    assert "line 101: Unknown key 'wrong99'" in said
    assert "x" * 100 not in said


def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    (tmp_path / "folder.toml").mkdir()
    for name in ("pipe", "zero", "folder"):
        with pytest.raises(SettingError, match="is no file"):
            find_task(str(tmp_path / f"{name}.toml"))
    for name in ("loop", "absent", "absent/x", "long" * 100, "a\0b"):
        with pytest.raises(SettingError, match="cannot be read"):
            find_task(str(tmp_path / f"{name}.toml"))


def test_reading_neither_needs_nor_touches_the_data(tmp_path, monkeypatch):
    monkeypatch.delenv("LEAVES", raising=False)
    (tmp_path / "task.toml").write_text(TOP + DATA)
    before = sorted(tmp_path.iterdir())
    assert find_task(str(tmp_path / "task.toml")).dataset.options == {"root": "$LEAVES"}
    assert sorted(tmp_path.iterdir()) == before
