"""Checkpoints: whole or not at all, the last two, nothing executed."""

import errno
import os
import pickle

import pytest
import torch

from vireo import files
from vireo.errors import CheckpointError, StoreError
from vireo.pretrain.state import checkpoints, load_checkpoint, save_checkpoint


def save(folder, step, recipe="run"):
    return save_checkpoint(folder, recipe=recipe, step=step, content={"w": torch.full((3,), step)})


def test_the_newest_comes_back_and_two_are_kept(tmp_path):
    for step in (5, 10, 100000000, 100000001):
        save(tmp_path, step)
    assert [path.stem for path in checkpoints(tmp_path)] == [
        "checkpoint-100000000",
        "checkpoint-100000001",
    ]
    state = load_checkpoint(tmp_path, "run")
    assert state["step"] == 100000001
    assert state["w"].tolist() == [100000001] * 3


def test_an_empty_folder_has_no_state(tmp_path):
    assert load_checkpoint(tmp_path, "run") is None


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, capsys):
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    path.write_bytes(path.read_bytes()[:100])
    assert load_checkpoint(tmp_path, "run")["step"] == 1
    assert "checkpoint-00000002.pt is damaged" in capsys.readouterr().err


def test_nothing_but_damaged_checkpoints_is_said(tmp_path):
    save(tmp_path, 1).write_bytes(b"")
    with pytest.raises(CheckpointError, match="None of the 1 checkpoints"):
        load_checkpoint(tmp_path, "run")


def test_another_runs_checkpoint_is_refused(tmp_path):
    save(tmp_path, 1, recipe="other")
    with pytest.raises(CheckpointError, match="belongs to another run"):
        load_checkpoint(tmp_path, "run")


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    (tmp_path / ".checkpoint-00000001.pt.abc.tmp").write_bytes(b"half")
    save(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000002.pt"]


class Attack:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("by_torch", [True, False])
def test_a_hostile_checkpoint_executes_nothing(tmp_path, by_torch):
    path, mark = tmp_path / "checkpoint-00000001.pt", tmp_path / "executed"
    with path.open("wb") as file:
        if by_torch:
            torch.save(Attack(mark), file)
        else:
            pickle.dump(Attack(mark), file, protocol=2)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path, "run")
    assert not mark.exists()


@pytest.mark.parametrize("moment", ["write", "fsync"])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, moment):
    save(tmp_path, 1)

    def fail(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "fsync":
        monkeypatch.setattr(files.os, "fsync", fail)
    else:
        original = os.fdopen

        class Full:
            def __init__(self, handle, mode):
                self.file = original(handle, mode)

            def __enter__(self):
                return self

            def __exit__(self, *error):
                self.file.close()

            def __getattr__(self, name):
                return fail if name == "write" else getattr(self.file, name)

        monkeypatch.setattr(files.os, "fdopen", Full)
    with pytest.raises(StoreError, match="No space left"):
        save(tmp_path, 2)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001.pt"]
    assert load_checkpoint(tmp_path, "run")["step"] == 1
