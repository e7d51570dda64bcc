"""Hostile pickles: nothing of them runs, the rest of the file is read, and no walk is endless."""

import collections
import copyreg
import enum
import io
import os
import pickle
import struct
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.encoders.reading.torch_files import (
    MARK,
    Call,
    dump,
    run_carelessly,
    save,
    splice,
    storage,
    tensor,
    write_archive,
)
from torch.testing import assert_close

from vireo.encoders.reading import pickles
from vireo.encoders.reading.files import read_file
from vireo.encoders.reading.machine import Machine
from vireo.encoders.reading.pickles import DamageError, Inert, Limits, Vocabulary
from vireo.encoders.reading.trees import survey
from vireo.errors import CheckpointError

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.tensor([1, 2])}
FOUR = torch.arange(4.0).numpy().tobytes()


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def short(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


def called(module, name, *arguments):
    """Opcodes of a call of module.name, by REDUCE."""
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


@pytest.fixture
def witness(tmp_path):
    return tmp_path / "code-ran"


@pytest.fixture
def trap(witness, monkeypatch):
    """A module whose objects leave the witness when they are made, set or filled."""
    module = types.ModuleType("trap")

    def run(*_, **__):
        witness.touch()

    class Made:
        def __new__(cls, *_, **__):
            run()
            return super().__new__(cls)

    class Stated:
        __setstate__ = run

    class Entries(dict):
        __setitem__ = run

    class Items(list):
        append = extend = run

    class Equal:
        def __hash__(self):
            run()
            return 1

    parts = {"run": run, "Made": Made, "Stated": Stated, "Entries": Entries, "Items": Items}
    for name, part in {**parts, "Equal": Equal}.items():
        setattr(module, name, part)
    monkeypatch.setitem(sys.modules, "trap", module)
    copyreg.add_extension("trap", "run", 240)
    yield module
    copyreg.remove_extension("trap", "run", 240)
    copyreg.clear_extension_cache()


def touch(witness):
    return text(f"touch {witness}")


HOSTILE = {
    "os.system": (lambda w: called("posix", "system", touch(w)), "posix.system"),
    "subprocess": (lambda w: called("subprocess", "getoutput", touch(w)), "subprocess.getoutput"),
    "eval": (
        lambda w: called("__builtin__", "eval", text(f"open({str(w)!r}, 'w')")),
        "builtins.eval",
    ),
    "exec": (lambda w: called("builtins", "exec", text(f"open({str(w)!r}, 'w')")), "builtins.exec"),
    "getattr chain": (
        lambda w: (
            called(
                "builtins", "getattr", called("builtins", "__import__", text("os")), text("system")
            )
            + b"("
            + touch(w)
            + b"tR"
        ),
        "builtins.getattr",
    ),
    "partial": (
        lambda w: called("functools", "partial", b"cposix\nsystem\n", touch(w)) + b")R",
        "functools.partial",
    ),
    "INST": (lambda w: b"(" + touch(w) + b"iposix\nsystem\n", "posix.system"),
    "OBJ": (lambda w: b"(cposix\nsystem\n" + touch(w) + b"o", "posix.system"),
    "dropped result": (lambda w: called("posix", "system", touch(w)) + b"0N", "posix.system"),
    "bytes of torch.load": (
        lambda w: called("torch.storage", "_load_from_bytes", b"B" + inner(w)),
        "torch.storage._load_from_bytes",
    ),
    "numpy.load": (
        lambda w: called("numpy", "load", text(str(array_file(w))), b"N", b"\x88"),
        "numpy.load",
    ),
    "torch.hub": (
        lambda w: called("torch.hub", "_load_local", text(str(hub(w))), text("model")),
        "torch.hub._load_local",
    ),
    "NEWOBJ": (lambda _: b"ctrap\nMade\n)\x81", "trap.Made"),
    "__setstate__": (lambda _: b"ctrap\nStated\n)\x81K\x01b", "trap.Stated"),
    "__setitem__": (lambda _: b"ctrap\nEntries\n)\x81(K\x01K\x02u", "trap.Entries"),
    "append": (lambda _: b"ctrap\nItems\n)\x81K\x01a", "trap.Items"),
    "extend": (lambda _: b"ctrap\nItems\n)\x81(K\x01e", "trap.Items"),
    "__hash__": (lambda _: b"}ctrap\nEqual\n)\x81K\x01s", "trap.Equal"),
    "EXT1": (lambda _: b"\x82\xf0)R", "copyreg extension.240"),
    "EXT2": (lambda _: b"\x83\xf0\x00)R", "copyreg extension.240"),
    "EXT4": (lambda _: b"\x84\xf0\x00\x00\x00)R", "copyreg extension.240"),
}
# Opcodes of protocol 4, which files in the stream format (protocol 2) cannot have.
HOSTILE_4 = {
    "NEWOBJ_EX": (lambda _: b"ctrap\nMade\n)}\x92", "trap.Made"),
    "dotted name": (
        lambda w: short("os") + short("path.os.system") + b"\x93(" + touch(w) + b"tR",
        "os.path.os.system",
    ),
    "dotted torch name": (
        lambda w: (
            short("torch._utils")
            + short("_rebuild_tensor.__globals__.__class__")
            + b"\x93)R0"
            + called("posix", "system", touch(w))
        ),
        "torch._utils._rebuild_tensor.__globals__.__class__",
    ),
}


def inner(witness):
    buffer = io.BytesIO()
    torch.save(Call(os.system, f"touch {witness}"), buffer, _use_new_zipfile_serialization=False)
    content = buffer.getvalue()
    return len(content).to_bytes(4, "little") + content


def array_file(witness):
    path = witness.with_name("array.npy")
    np.save(path, np.array([Call(os.system, f"touch {witness}")]), allow_pickle=True)
    return path


def hub(witness):
    (witness.parent / "hubconf.py").write_text(
        f"def model():\n    open({str(witness)!r}, 'w').close()\n"
    )
    return witness.parent


CASES = [(form, name) for form in ("zip", "legacy") for name in HOSTILE]
CASES += [("zip", name) for name in HOSTILE_4]


@pytest.mark.parametrize(("form", "name"), CASES)
def test_nothing_runs_and_the_rest_of_the_file_is_read(tmp_path, witness, trap, form, name):
    fragment, kind = {**HOSTILE, **HOSTILE_4}[name]
    content = {"state_dict": STATE, "extra": MARK, "epoch": 7}
    protocol = 4 if name in HOSTILE_4 else 2
    path = splice(tmp_path / "x.pth", content, form, fragment(witness), protocol)
    read = read_file(path)
    assert not witness.exists()
    assert kind in read.foreign
    assert read.reader == "torch, foreign classes inert"
    assert read.tree["epoch"] == 7
    assert_close(read.tree["state_dict"], STATE, rtol=0, atol=0)
    run_carelessly(path)
    assert witness.exists(), "the file is not hostile, so the test shows nothing"


def test_a_bare_hostile_pickle_is_one_inert_record(tmp_path, witness):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Call(os.system, f"touch {witness}")))
    read = read_file(tmp_path / "x.pkl")
    assert not witness.exists()
    assert read.tree.kind == "posix.system"
    assert read.tree.state == {"__args__": (f"touch {witness}",)}
    pickle.loads((tmp_path / "x.pkl").read_bytes())
    assert witness.exists()


def test_names_are_shown_without_control_characters(tmp_path):
    fragment = short("\x1b[2J" + "a" * 240) + short("b") + b"\x93"
    path = splice(tmp_path / "x", {"a": torch.ones(1), "b": MARK}, "zip", fragment, 4)
    (name,) = read_file(path).foreign
    assert name.isprintable()
    assert len(name) < 250


def test_honest_numbers_give_the_tensor(tmp_path):
    path = write_archive(tmp_path / "x", dump({"a": tensor(storage())}), _0=FOUR)
    assert_close(read_file(path).tree["a"], torch.arange(4.0))


@pytest.mark.parametrize(
    "identity",
    [
        storage(key="../../etc/passwd"),
        storage(key="/etc/passwd"),
        storage(key="../data.pkl"),
        storage(key="../version", elements=2, kind=torch.ByteStorage),
        storage(key="1"),
        storage(key=""),
        storage(key=0),
        storage(key=("0",)),
        storage(elements=10**15),
        storage(elements=2**70),
        storage(elements=5),
        storage(elements=3),
        storage(elements=-4),
        storage(elements=4.0),
        storage(elements=True),
        storage(elements="4"),
        storage(kind=torch.DoubleStorage),
        storage(kind=os.system),
        storage(kind="torch.FloatStorage"),
        storage()[:4],
        ("storage",),
        ("other", 1, 2, 3, 4),
        (),
        "0",
        7,
    ],
)
@pytest.mark.parametrize("foreign", [False, True])
def test_a_storage_that_is_tampered_with_is_refused(tmp_path, identity, foreign):
    content = {"a": tensor(identity), "args": Call(os.getenv, "HOME") if foreign else None}
    path = write_archive(tmp_path / "x", dump(content), _0=FOUR, _2=b"")
    with pytest.raises(CheckpointError, match=r"damaged or tampered with: .*; download it again"):
        read_file(path)


@pytest.mark.parametrize(
    "numbers",
    [
        {"size": (5,)},
        {"offset": 1},
        {"offset": 5, "size": (0,)},
        {"offset": -1},
        {"offset": 0.0},
        {"size": (2, 2), "stride": (3, 1)},
        {"size": (2, 2), "stride": (1,)},
        {"size": (2,), "stride": (-1,)},
        {"size": (-1,)},
        {"size": (10**12,), "stride": (0,)},
        {"size": (10**5, 10**5), "stride": (0, 0)},
        {"size": (2**61, 2**61), "stride": (0, 0)},
        {"size": 4},
        {"size": ("4",)},
        {"size": [4.0]},
        {"size": (1,) * 65, "stride": (1,) * 65},
    ],
)
@pytest.mark.parametrize("foreign", [False, True])
def test_a_tensor_that_reads_beyond_its_storage_is_refused(tmp_path, numbers, foreign):
    content = {"a": tensor(storage(), **numbers), "b": Call(os.getenv, "HOME") if foreign else 0}
    path = write_archive(tmp_path / "x", dump(content), _0=FOUR)
    with pytest.raises(CheckpointError, match="damaged or tampered with"):
        read_file(path)


def test_many_views_of_one_storage_cannot_claim_more_than_the_file_allows(tmp_path):
    views = [tensor(storage(), size=(2**20,), stride=(0,)) for _ in range(8)]
    path = write_archive(tmp_path / "x", dump(views), _0=FOUR)
    with pytest.raises(CheckpointError, match="claim more than 16 times the bytes of the file"):
        read_file(path)
    read_file(write_archive(tmp_path / "x", dump(views[:2]), _0=FOUR))


def doubled(levels, start, pair):
    """Opcodes of a container that holds the one below twice, `levels` times over."""
    return start + b"".join(b"q" + bytes([n]) + pair(b"h" + bytes([n])) for n in range(levels))


LAUGHS = doubled(60, b"]", lambda get: b"0]" + b"(" + get + get + b"e")
BOMBS = {
    "billion laughs": (LAUGHS, "repeats its own parts"),
    "laughing key": (
        b"}" + doubled(60, b")", lambda get: b"0" + get + get + b"\x86") + b"K\x01s",
        "a tuple as a dictionary's key",
    ),
    "deep key": (b"}" + b")" + b"\x85" * 2000 + b"K\x01s", "a tuple as a dictionary's key"),
    "deep list": (b"]" * 2000 + b"a" * 1999, "more than 100 levels"),
    "deep tuple": (b")" + b"\x85" * 2000, "more than 100 levels"),
    "list in itself": (b"]q\x00h\x00a", "contains itself"),
    "dictionary in itself": (b"}q\x00K\x01h\x00s", "contains itself"),
    "two lists in each other": (b"]q\x00]q\x01h\x00aa", "contains itself"),
    "list as key": (b"}]K\x01s", "a list as a dictionary's key"),
    "dictionary in a set": (b"\x8f(}\x90", "a dict as a dictionary's key"),
    "colliding keys": (
        b"}("
        + b"".join(
            b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little") + b"N" for n in range(1, 10_003)
        )
        + b"u",
        "more than 10000 keys",
    ),
    "copies of copies": (
        b"}q\x00("
        + b"".join(b"M" + struct.pack("<H", n) + b"N" for n in range(5000))
        + b"u0"
        + b"ca\nb\nq\x010"
        + b"h\x01h\x00b0" * 5000
        + b"N",
        "copies itself over and over",
    ),
    "copies of lists": (
        b"]("
        + b"K\x01" * 20_000
        + b"eq\x000cbuiltins\nset\nq\x010"
        + b"h\x01h\x00\x85R0" * 500
        + b"N",
        "copies itself over and over",
    ),
    "laughing persistent id": (
        doubled(60, b")", lambda get: b"0" + get + get + b"\x86") + b"K\x02\x86Q",
        "repeats its own parts",
    ),
    "shape of many large numbers": (
        b"\x8a\xff" + bytes(254) + b"\x40q\x000"
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01(" + b"h\x00" * 20_000 + b"t"
        b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R\x89C\x04abcdtb",
        "an array is described by values of the wrong kind",
    ),
    "colliding memo": (
        b"N" + b"".join(b"p%d\n" % (5 + n * (2**61 - 1)) for n in range(1, 100)),
        "numbers its values as no honest one does",
    ),
    "huge integer": (b"\x8b" + struct.pack("<i", 1000) + b"\x7f" * 1000, "integer of 7999 bits"),
    "LONG4 without bytes": (b"\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01", "broken"),
    "LONG4 of negative length": (b"\x8b" + struct.pack("<i", -1), "broken"),
    "BINBYTES8 without bytes": (b"\x8e" + struct.pack("<Q", 2**62) + b"\x01", "broken"),
    "BINUNICODE8 beyond any size": (b"\x8d" + struct.pack("<Q", 2**64 - 1), "broken"),
    "long decimal": (b"L" + b"9" * 5000 + b"L\n", "broken"),
    "call of a number": (b"K\x01)R", "calls a value that is no class"),
    "call without a tuple": (b"ca\nb\nK\x01R", "calls a value that is no class"),
    "name that is no text": (b"K\x01K\x02\x93", "a name that is no text"),
    "entries of a list": (b"]K\x01K\x02s", "sets entries of a list"),
    "odd entries": (b"}(K\x01u", "sets entries of a dict"),
    "append to a number": (b"K\x01K\x02a", "appends to a int"),
    "buffer out of band": (b"\x97", "uses NEXT_BUFFER"),
    "unknown memo": (b"h\x63", "broken"),
    "tuple of nothing": (b"(\x86", "more values than it has"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_that_would_exhaust_time_or_memory_is_refused(tmp_path, monkeypatch, name):
    def never(*_, **__):
        pytest.fail("the bytes reached torch's own reader, which does not bear them")

    monkeypatch.setattr(torch, "load", never)
    fragment, said = BOMBS[name]
    path = write_archive(tmp_path / "x", b"\x80\x02" + fragment + b".")
    with pytest.raises(CheckpointError, match=said):
        read_file(path)


def test_a_pickle_of_empty_containers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "_OBJECTS", 1000)
    content = b"\x80\x04](" + b"\x8f" * 900 + b"e."
    assert read_file(write_archive(tmp_path / "x", content)).tree == [set()] * 900
    content = b"\x80\x04](" + b"\x8f" * 1000 + b"e."
    with pytest.raises(CheckpointError, match="more than 1000 containers and records"):
        read_file(write_archive(tmp_path / "x", content))


@pytest.mark.parametrize(
    "fragment",
    [
        b"\x95" + struct.pack("<Q", 2**63),  # a frame's length is not believed
        b"K\x01r\xff\xff\xff\xff0",  # nor a memo's index
    ],
)
def test_numbers_that_say_how_much_to_allocate_are_not_believed(tmp_path, fragment):
    path = write_archive(tmp_path / "x", b"\x80\x04" + fragment + b"}.")
    assert read_file(path).tree == {}


def test_inert_records_may_hold_each_other_in_circles(tmp_path):
    circle = b"ca\nB\n)\x81q\x00}" + text("parent") + b"h\x00sb"
    path = splice(tmp_path / "x", {"a": torch.ones(2), "b": MARK}, "zip", circle)
    record = read_file(path).tree["b"]
    assert record.state["parent"] is record
    assert survey({"b": record}) == {"a.B"}
    assert "a.B" in repr(record)


def unrolled(tree):
    """Naive oracle: how many values plain recursion meets."""
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + sum(map(unrolled, children))


def test_a_tree_of_shared_parts_is_read_while_plain_recursion_stays_small(tmp_path):
    few = doubled(10, b"]", lambda get: b"0]" + b"(" + get + get + b"e")
    tree = read_file(write_archive(tmp_path / "x", b"\x80\x02" + few + b".")).tree
    assert unrolled(tree) == 2**11 - 1


class Colour(enum.Enum):
    RED = 1


class AttrDict(dict):
    """As VISSL's and others' settings: a dictionary that is its own attributes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.__dict__ = self


class Slotted:
    __slots__ = ("a", "b")


def raw_run(value, protocol):
    vocabulary = Vocabulary()
    content = pickle.dumps(value, protocol=protocol)
    return Machine(vocabulary, Limits(len(content))).run(io.BytesIO(content))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_those_that_pickle_gives(protocol):
    plain = [
        {"a": 1, "b": [1.5, -0.0, None, True, False], 3: ("x", ("y",), ()), (1, "k"): []},
        [0, -1, 255, 256, 65535, 65536, 2**31, -(2**31), 2**200, -(2**200)],
        ["", "ascii", "ümläut", "\n\\ \x00", "a" * 300],
        ([[1]] * 3, {"self": {}}),
    ]
    assert raw_run(plain, protocol) == plain


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes_and_sets_are_those_that_pickle_gives(tmp_path, protocol):
    plain = {
        "bytes": [b"", b"\x00\xff", b"b" * 300],
        "sets": [{1, 2}, frozenset({3, "x"}), set()],
        "array": bytearray(b"123"),
        "complex": 1 - 2j,
        "ordered": collections.OrderedDict(b=1, a=2),
        "default": collections.defaultdict(list, a=[1]),
        "counter": collections.Counter("aab"),
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(plain, protocol=protocol))
    read = read_file(tmp_path / "x.pkl")
    assert read.tree == plain
    assert read.foreign in ((), ("builtins.list",))
    assert list(read.tree["ordered"]) == ["b", "a"]


def test_bytes_and_sets_of_protocol_2_are_read(tmp_path):
    plain = {
        "bytes": [b"", b"\x00\xff"],
        "sets": [{1}, frozenset({2})],
        "array": bytearray(b"\xff"),
    }
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(plain, protocol=2))
    assert read_file(tmp_path / "x.pkl").tree == plain


def test_the_state_of_foreign_objects_is_kept_under_its_names(tmp_path):
    slotted = Slotted()
    slotted.a = 3
    content = {
        "settings": AttrDict(lr=0.1, model=AttrDict(depth=50)),
        "colour": Colour.RED,
        "slots": slotted,
        "counts": collections.deque([1, 2], maxlen=5),
        "class": Colour,
        "a": torch.ones(2),
    }
    tree = read_file(save(tmp_path / "x", content, "zip")).tree
    assert tree["settings"].kind.endswith("test_pickles.AttrDict")
    assert tree["settings"].state["lr"] == 0.1
    assert tree["settings"].state["model"].state == {"depth": 50}
    assert tree["colour"].state == {"__args__": (1,)}
    assert tree["slots"].state == {"a": 3}
    assert tree["counts"].state == {"__args__": ((), 5), "__items__": [1, 2]}
    assert isinstance(tree["class"], Inert)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_attributes_that_hide_methods_are_dropped(tmp_path, form):
    attributes = b"ccollections\nOrderedDict\n)R" + text("a") + b"K\x01s"
    attributes += b"}" + text("items") + b"K\x05sb"
    path = splice(tmp_path / "x", {"a": torch.ones(2), "b": MARK}, form, attributes)
    assert list(read_file(path).tree["b"].items()) == [("a", 1)]
    with pytest.raises(TypeError, match="not callable"):
        torch.load(path, weights_only=True)["b"].items()


@pytest.mark.filterwarnings("ignore:invalid escape")
@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_pickle_or_an_error_of_known_kind(content):
    run_known(content)


PIECES = [
    *(
        bytes([code])
        for code in b"(0.12NQRabdelopstu)]}\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94"
    ),
    *(
        b"K\x01",
        b"h\x00",
        b"h\x01",
        b"q\x00",
        b"q\x01",
        b"X\x01\x00\x00\x00a",
        b"ca\nb\n",
        b"\x82\x01",
    ),
    *(
        b"ccollections\nOrderedDict\n",
        b"cbuiltins\nset\n",
        b"cnumpy\ndtype\n",
        b"cnumpy\nndarray\n",
    ),
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch\nFloatStorage\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_opcodes_are_a_pickle_or_an_error_of_known_kind(pieces):
    run_known(b"".join(pieces) + b".")


def run_known(content):
    limits = Limits(len(content))
    try:
        survey(Machine(Vocabulary(), limits).run(io.BytesIO(content)))
    except (DamageError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        return
