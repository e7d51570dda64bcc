"""Study files: what reads, and every mistake told at once, before anything is opened."""

import pytest

from vireo.errors import SettingError
from vireo.records import StudyPlan
from vireo.store.folder import StudyFolder
from vireo.study import check_plan, read_plan
from vireo.study.cells import Cell, plan_cells, run_folder


def test_a_file_becomes_a_plan(write):
    plan = read_plan(write())
    assert isinstance(plan, StudyPlan)
    assert [task.name for task in plan.tasks] == ["digits", "rooms-count"]
    assert [spec.name for spec in plan.encoders] == ["random", "other"]
    assert plan.pretrain["moco"].batch_size == 64
    assert plan.probe.seeds == (0, 1)


def test_an_encoder_without_a_name_is_called_by_its_spec(write):
    plan = read_plan(write(('name = "other"\n', "")))
    assert plan.encoders[1].name == "random:resnet20"


def test_cells_are_runs_first_then_encoder_by_encoder(write):
    assert plan_cells(read_plan(write())) == [
        Cell("moco"),
        Cell("random", "digits"),
        Cell("random", "rooms-count"),
        Cell("other", "digits"),
        Cell("other", "rooms-count"),
        Cell("moco", "digits"),
        Cell("moco", "rooms-count"),
    ]


def test_a_task_file_is_found_beside_the_study(write, tmp_path):
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nsummary = "s"\ntarget = "class"\noutputs = 10\nfamily = "semantic-image"\n'
        'head = "linear"\nloss = "cross-entropy"\nmetric = "top-1"\nepochs = 1\n'
        '[data]\nname = "digits"\nsource = "digits"\n[data.carve.test]\nfraction = 0.2\n'
    )
    plan = read_plan(write(('"rooms-count"', '"mine.toml"')))
    assert plan.tasks[1].name == "mine"


def test_all_mistakes_are_told_at_once(write):
    path = write(
        ('"rooms-count"', '"rooms-cuont"'),
        ('summary = "a small study"', 'sumary = "a small study"'),
        ("epochs = 1", 'epochs = "one"'),
        ("seeds = [0, 1]", "seedz = [0, 1]"),
    )
    with pytest.raises(SettingError) as caught:
        read_plan(path)
    text = str(caught.value)
    assert "5 mistakes" in text
    assert "Did you mean 'rooms-count'?" in text
    assert "Unknown key 'sumary'. Did you mean 'summary'?" in text
    assert "summary is missing" in text
    assert "pretrain.moco.epochs should be a valid integer; got 'one'" in text
    assert "Did you mean 'seeds'?" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "other"', 'name = "random"', "two encoders are called 'random'"),
        ('"rooms-count"', '"digits"', "two tasks are called 'digits'"),
        ('baseline = "random"', 'baseline = "randon"', "Did you mean 'random'?"),
        ('method = "moco-v2"', 'method = "moco"', "Did you mean 'moco-v2'?"),
        ("image_size = 32", "image_size = 32\noptions = { tempature = 1.0 }", "'temperature'?"),
        ("[pretrain.moco]", '[pretrain."../up"]', "names a folder"),
        ('name = "small"', 'name = "../up"', "name names a folder: letters"),
        ("seeds = [0, 1]", "seeds = []", "seeds is empty"),
        ('tasks = ["digits", "rooms-count"]', "tasks = []", "tasks should be a list"),
        ("seeds = [0, 1]", "seeds = [0, true]", "should be a valid integer"),
        ("seeds = [0, 1]", "validation = nan", "finite number"),
    ],
)
def test_each_mistake_is_named(write, old, new, message):
    with pytest.raises(SettingError) as caught:
        read_plan(write((old, new)))
    assert message in str(caught.value)


def test_a_missing_or_broken_file_says_so(tmp_path):
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        read_plan(tmp_path / "none.toml")
    with pytest.raises(SettingError, match="is no file; give the path of a study"):
        read_plan(tmp_path)
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(SettingError, match="not valid TOML"):
        read_plan(tmp_path / "broken.toml")


def test_what_is_not_on_disk_is_found_before_the_run(write):
    path = write(
        ('spec = "random:resnet20"\nseed = 7', 'spec = "file:/nowhere/x.pth"'),
        ('architecture = "resnet20"', 'architecture = "resnet21"'),
        ('data = "digits"', 'data = "folder:/nowhere/photos"'),
        ('"rooms-count"', '"digits"'),
        ('tasks = ["digits", "digits"]', 'tasks = ["digits"]'),
    )
    with pytest.raises(SettingError) as caught:
        check_plan(read_plan(path))
    text = str(caught.value)
    assert "encoder 'other'" in text
    assert "/nowhere/x.pth" in text
    assert "pretrain.moco" in text
    assert "2 mistakes" in text


@pytest.mark.parametrize("side", [0, -8, 1])
def test_a_network_that_cannot_take_the_images_is_a_mistake_and_no_crash(write, side):
    path = write(
        ("image_size = 32", f"image_size = {side}"), ('"digits", "rooms-count"', '"digits"')
    )
    with pytest.raises(SettingError, match=r"one mistake.*\n  - pretrain\.moco: "):
        check_plan(read_plan(path))


def test_a_plan_that_can_run_passes(write):
    check_plan(read_plan(write(('"digits", "rooms-count"', '"digits"'))))


def test_changed_settings_are_another_run_folder(write, tmp_path):
    folder = StudyFolder(tmp_path)
    one, two = read_plan(write()), read_plan(write(("epochs = 1", "epochs = 2")))
    assert run_folder(one, folder, "moco") != run_folder(two, folder, "moco")
    assert run_folder(one, folder, "moco").name.startswith("moco-")


@pytest.mark.parametrize("name", ["../../x", "a/b", "", ".", "x" * 300, "\N{SNOWMAN}"])
def test_the_name_of_an_error_file_stays_in_its_folder(name):
    file = Cell(name, "digits").file_name
    assert "/" not in file
    assert not file.startswith(".")
    assert len(file) < 120
    assert file != Cell(name + "y", "digits").file_name
