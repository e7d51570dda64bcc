"""Frames out of real video files, written here with the same library's encoder."""

import numpy as np
import pytest
from PIL import Image

from vireo.data import open_split
from vireo.data.subsets.video import extract_frames
from vireo.errors import DataError

av = pytest.importorskip("av")


def write_video(path, num_frames, rate, size=(48, 32)):
    """Frame i is grey with brightness 10 + 5 i, so that a frame tells its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(num_frames):
            grey = np.full((size[1], size[0], 3), 10 + 5 * number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def brightness(path):
    with Image.open(path) as image:
        return float(np.asarray(image).mean())


def test_a_constant_rate_over_videos_of_different_speed(tmp_path):
    write_video(tmp_path / "videos/run/slow.mkv", 20, rate=10)
    write_video(tmp_path / "videos/jump/fast.mkv", 40, rate=20)
    assert extract_frames(tmp_path / "videos", tmp_path / "out", per_second=5.0) == []
    for name, step in (("run/slow", 2), ("jump/fast", 4)):
        found = sorted((tmp_path / "out" / name).iterdir())
        assert len(found) == 10
        numbers = [(brightness(path) - 10) / 5 for path in found]
        assert np.allclose(numbers, np.arange(10) * step, atol=0.6)
    source = open_split(f"folder:{tmp_path / 'out'}", "train")
    assert (len(source), source.class_names) == (20, ("jump", "run"))


def test_broken_videos_are_left_out_and_a_second_run_reads_nothing_again(tmp_path, capsys):
    write_video(tmp_path / "videos/a.mkv", 4, rate=4, size=(64, 32))
    (tmp_path / "videos/b.mkv").write_bytes(b"no video")
    broken = extract_frames(tmp_path / "videos", tmp_path / "out", per_second=4.0, short_side=16)
    assert broken == ["b.mkv"]
    assert "left out" in capsys.readouterr().err
    assert not (tmp_path / "out/b").exists()
    with Image.open(tmp_path / "out/a/000001.jpg") as image:
        assert image.size == (32, 16)
    (tmp_path / "videos/a.mkv").write_bytes(b"gone")
    assert extract_frames(tmp_path / "videos", tmp_path / "out", per_second=4.0) == ["b.mkv"]


def test_nothing_to_read_is_an_error(tmp_path):
    (tmp_path / "videos").mkdir()
    with pytest.raises(DataError, match="it is empty"):
        extract_frames(tmp_path / "videos", tmp_path / "out", per_second=1.0)
    (tmp_path / "videos/b.mkv").write_bytes(b"no video")
    with pytest.raises(DataError, match="None of the 1 videos"):
        extract_frames(tmp_path / "videos", tmp_path / "out", per_second=1.0)
    with pytest.raises(DataError, match="above 0"):
        extract_frames(tmp_path / "videos", tmp_path / "out", per_second=0.0)
