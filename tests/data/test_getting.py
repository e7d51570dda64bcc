"""Datasets are fetched whole or not at all; what a licence wants of a person is said."""

import functools
import http.server
import inspect
import shutil
import tarfile
import threading

import numpy as np
import pytest
import torchvision.datasets
from scipy.io import savemat
from tests import miniatures

from vireo.data import DATASETS, dataset_card, find_dataset, open_split
from vireo.data.checking import check
from vireo.data.getting import get
from vireo.data.roots import placed
from vireo.errors import DataError, SettingError


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and logs nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path):
    """A folder that is served, and its address."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def published(site, tmp_path, monkeypatch):
    """DTD's archive in miniature, at an address and with a checksum that torchvision trusts."""
    miniatures.dtd(tmp_path / "made")
    folder, address = site
    archive = folder / "dtd-r1.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "made/dtd/dtd", arcname="dtd")
    monkeypatch.setattr(torchvision.datasets.DTD, "_URL", f"{address}/{archive.name}")
    monkeypatch.setattr(torchvision.datasets.DTD, "_MD5", miniatures.checksum(archive))
    return archive


def test_a_dataset_is_fetched_unpacked_and_read(published, tmp_path):
    root = tmp_path / "dtd"
    assert get("dtd", root) == root
    assert sorted(path.name for path in root.iterdir()) == [".partial.lock", "dtd"]
    assert not any(root.rglob("*.tar.gz"))
    assert [split.examples for split in check("dtd", root)] == [12, 6]


def test_one_that_is_there_is_left_alone(published, tmp_path, capsys):
    get("dtd", tmp_path / "dtd")
    published.unlink()
    get("dtd", tmp_path / "dtd")
    assert "already" in capsys.readouterr().err


def test_a_broken_archive_leaves_nothing_that_looks_whole(published, tmp_path):
    root, whole = tmp_path / "dtd", published.read_bytes()
    published.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"'dtd' could not be .* What came is in .*Run it again"):
        get("dtd", root)
    assert not (root / "dtd").exists()
    assert check("dtd", root)[0].problem.startswith("'dtd' is not whole")
    published.write_bytes(whole)
    get("dtd", root)
    assert [split.examples for split in check("dtd", root)] == [12, 6]


def test_without_a_network_it_says_so_and_leaves_nothing(published, tmp_path, monkeypatch):
    nowhere = "http://127.0.0.1:9/dtd-r1.0.1.tar.gz"  # the port of discard, where nobody listens
    monkeypatch.setattr(torchvision.datasets.DTD, "_URL", nowhere)
    with pytest.raises(DataError) as caught:
        get("dtd", tmp_path / "new/dtd")
    said = str(caught.value)
    assert "'dtd' could not be fetched: its publisher is out of reach from here ([Errno" in said
    assert (
        "Connection refused). Run it again where there is a network, or by hand: unpack dtd" in said
    )
    assert "vireo data get" not in said  # which has just failed
    assert f"https://www.robots.ox.ac.uk/~vgg/data/dtd/, the dataset's folder {tmp_path}" in said
    assert "What came" not in said
    assert not (tmp_path / "new").exists()


def test_a_page_that_is_gone_is_no_want_of_a_network(published, tmp_path):
    published.unlink()
    with pytest.raises(DataError, match=r"HTTP Error 404.*Run it again, or by hand"):
        get("dtd", tmp_path / "dtd")
    assert not (tmp_path / "dtd").exists()


def test_what_an_interrupted_unpacking_left_is_not_taken_for_whole(published, tmp_path):
    """torchvision's own reader takes any folder of this name for the dataset."""
    root = tmp_path / "dtd"
    half = root / ".partial/dtd/dtd/images/banded"
    half.mkdir(parents=True)
    (half / "banded_0001.jpg").write_bytes(b"half")
    shutil.copy(published, root / ".partial/dtd")
    published.unlink()  # the archive that came whole is not fetched again
    get("dtd", root)
    assert not (root / "dtd/dtd/images/banded/banded_0001.jpg").exists()
    assert [split.examples for split in check("dtd", root)] == [12, 6]


def test_a_folder_in_the_way_is_not_overwritten(published, tmp_path):
    kept = tmp_path / "dtd/dtd/mine.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(DataError, match="is there already and not whole; move it away"):
        get("dtd", tmp_path / "dtd")
    assert kept.read_text() == "mine"


def test_an_archive_of_something_else_is_refused(published, tmp_path, monkeypatch):
    (tmp_path / "site/other").mkdir()
    with tarfile.open(published, "w:gz") as tar:
        tar.add(tmp_path / "site/other", arcname="dtd")
    monkeypatch.setattr(torchvision.datasets.DTD, "_MD5", miniatures.checksum(published))
    monkeypatch.setattr(torchvision.datasets.DTD, "__init__", _only_download)
    with pytest.raises(DataError, match="What came of 'dtd' has no dtd/dtd/images"):
        get("dtd", tmp_path / "dtd")
    assert not (tmp_path / "dtd/dtd").exists()


def _only_download(dataset, root, download):
    torchvision.datasets.utils.download_and_extract_archive(
        dataset._URL, download_root=str(root / "dtd"), md5=dataset._MD5
    )


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_what_a_card_lets_be_fetched_torchvision_fetches(name):
    card = dataset_card(name)
    if card.downloader:
        kind = getattr(torchvision.datasets, card.downloader)
        fetches = "download" in inspect.signature(kind).parameters
        assert fetches == (name != "imagenet")
        assert card.checksums
        assert f"vireo data get {name}" in card.how_to_get


@pytest.mark.parametrize("name", ["nuscenes-egomotion", "kinetics-action", "thor-num-steps"])
def test_steps_for_a_person_are_said(name, tmp_path):
    with pytest.raises(SettingError) as caught:
        get(name, tmp_path / name)
    message = str(caught.value)
    for words in ("cannot be fetched for you", "Licence: ", "https://", f"data check {name}"):
        assert words in message
    assert not (tmp_path / name).exists()


def test_what_needs_no_fetching_says_so(tmp_path):
    with pytest.raises(SettingError, match=r"'digits' needs no fetching. It comes with"):
        get("digits", tmp_path)
    with pytest.raises(SettingError, match="'nonsense' is no named dataset"):
        get("nonsense", tmp_path)


@pytest.fixture
def archives(tmp_path, monkeypatch):
    """ImageNet's three archives in miniature, in a folder where a person has put them."""
    root, made = tmp_path / "imagenet", tmp_path / "made"
    root.mkdir()
    miniatures.imagenet(made)
    for wnid in miniatures.WNIDS:
        with tarfile.open(made / f"{wnid}.tar", "w") as tar:
            for path in sorted((made / "train" / wnid).iterdir()):
                tar.add(path, arcname=path.name)
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as tar:
        for wnid in miniatures.WNIDS:
            tar.add(made / f"{wnid}.tar", arcname=f"{wnid}.tar")
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as tar:
        for path in sorted((made / "val").rglob("*.JPEG")):
            tar.add(path, arcname=path.name)
    _devkit(root, made)
    meta = {
        part: (name, miniatures.checksum(root / name))
        for part, (name, _) in torchvision.datasets.imagenet.ARCHIVE_META.items()
    }
    monkeypatch.setattr(torchvision.datasets.imagenet, "ARCHIVE_META", meta)
    return root


def _devkit(root, made):
    fields = [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "gloss")]
    synsets = np.empty(len(miniatures.WNIDS), dtype=[*fields, ("num_children", object)])
    for place, wnid in enumerate(miniatures.WNIDS):
        synsets[place] = (place + 1, wnid, f"word {place}, other {place}", "gloss", 0)
    data = made / "ILSVRC2012_devkit_t12/data"
    data.mkdir(parents=True)
    savemat(data / "meta.mat", {"synsets": synsets})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n3\n")
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        tar.add(data.parent, arcname=data.parent.name)


def test_imagenets_archives_are_verified_and_unpacked(archives):
    names = sorted(path.name for path in archives.iterdir())
    get("imagenet", archives)
    assert {*names, "train", "val"} <= {path.name for path in archives.iterdir()}
    assert not (archives / ".partial").exists()
    spec = placed(find_dataset("imagenet"), archives)
    train, test = open_split(spec, "train"), open_split(spec, "test")
    assert (len(train), len(test)) == (12, 3)
    assert train.class_names == miniatures.WNIDS
    assert [test.target(place, "class") for place in range(3)] == [0, 1, 2]


def test_imagenet_without_its_archives_says_where_to_get_them(archives):
    (archives / "ILSVRC2012_img_val.tar").unlink()
    with pytest.raises(SettingError, match=r"has no ILSVRC2012_img_val.tar.*non-commercial.*Regis"):
        get("imagenet", archives)
    assert not list(archives.glob(".*"))


def test_an_imagenet_archive_that_is_cut_off_is_refused(archives):
    path = archives / "ILSVRC2012_img_val.tar"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"ILSVRC2012_img_val.tar is not present .* corrupted"):
        get("imagenet", archives)
    assert not (archives / "val").exists()
    assert not (archives / "train").exists()
