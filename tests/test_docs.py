"""Documentation that fails when it is wrong: commands, task files, links, sizes."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return sorted({line.split("  #")[0].strip() for line in lines if line.startswith("vireo ")})


def test_the_readme_is_short_and_starts_with_what_to_type():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 120
    assert any("make demo" in line for line in lines[:25])
    assert any("make test" in line for line in lines[:25])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("line", commands())
def test_every_shown_command_parses(line):
    """The verb exists and takes these arguments and options; nothing is run."""
    import typer

    from vireo.cli.main import app

    command = typer.main.get_command(app)
    context, words = None, ["vireo", *shlex.split(line.removesuffix(" &"))[1:]]
    while words:
        context = command.make_context(words[0], words[1:], parent=context)
        if not hasattr(command, "resolve_command"):
            break
        _, command, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        words = [command.name, *rest]


def test_task_files_in_the_pages_are_tasks(tmp_path):
    from vireo.tasks import find_task

    shown = [block for page in PAGES for block in blocks(page, "toml") if "[data]" in block]
    assert shown
    for number, block in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        assert find_task(str(path)).name


def test_every_study_and_task_file_reads():
    from vireo.study import read_plan
    from vireo.tasks import find_task

    for path in sorted((ROOT / "studies" / "tasks").glob("*.toml")):
        assert find_task(str(path)).summary
    for path in sorted((ROOT / "studies").glob("*.toml")):
        assert read_plan(path).tasks
