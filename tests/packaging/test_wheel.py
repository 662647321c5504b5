"""What the wheel carries, built as a release would be and installed where no checkout is."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ["component", "schema", "crossbar", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "key.*", "*.pid", "*.sock")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, checkout / name, ignore=ignored)
        else:
            shutil.copy(source, checkout / name)
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", out, checkout],
        check=True,
        capture_output=True,
        text=True,
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and our own environment's packages beside it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--no-deps",
            "--no-index",
            wheel,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    # As a plain path it brings packages, but not the editable install's own finder.
    (site,) = folder.glob("lib/*/site-packages")
    (site / "beside.pth").write_text(sysconfig.get_path("purelib"))
    return python


def run(python: Path, code: str) -> str:
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, cwd=python.parent
    ).stdout.strip()


def test_every_package_folder_is_listed_in_setup_cfg() -> None:
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    on_disk = {
        ".".join(path.parent.relative_to(ROOT / "component").parts)
        for path in (ROOT / "component").rglob("__init__.py")
    }
    on_disk |= {
        ".".join(("pgwamp", *path.parent.relative_to(ROOT).parts))
        for path in (ROOT / "schema").rglob("__init__.py")
    }
    assert listed == on_disk


def test_the_wheel_carries_every_source_file(wheel: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    expected = set()
    for root, prefix in (
        (ROOT / "component" / "pgwamp", "pgwamp"),
        (ROOT / "schema", "pgwamp/schema"),
    ):
        for path in root.rglob("*"):
            if path.suffix in {".py", ".sql", ".ts", ".mako", ".typed"}:
                expected.add(f"{prefix}/{path.relative_to(root).as_posix()}")
    assert "pgwamp/schema/env.py" in expected
    assert expected <= carried, sorted(expected - carried)


def test_the_wheel_installs_the_node_configuration(installed: Path) -> None:
    code = "from pgwamp.dev.environment import shipped; print(shipped('config.yaml').read_text())"
    assert run(installed, code) == (ROOT / "crossbar" / "config.yaml").read_text().strip()
    code = "from pgwamp.dev.environment import shipped; print(shipped('requirements.txt'))"
    assert Path(run(installed, code)).is_relative_to(installed.parents[1])


def test_an_installed_pgwamp_is_not_taken_for_a_checkout(installed: Path) -> None:
    assert (
        run(installed, "from pgwamp.dev.environment import checkout; print(checkout())") == "None"
    )


def test_the_schema_is_found_as_a_resource(installed: Path) -> None:
    code = (
        "from importlib.resources import files; schema = files('pgwamp.schema');"
        "print((schema / 'env.py').is_file(), any((schema / 'versions').iterdir()))"
    )
    assert run(installed, code) == "True True"


def test_the_command_and_the_alembic_plugin_are_registered(installed: Path) -> None:
    code = (
        "from importlib.metadata import distribution;"
        "print(*sorted(f'{e.group} {e.name} = {e.value}'"
        " for e in distribution('pgwamp').entry_points), sep=', ')"
    )
    assert run(installed, code) == (
        "alembic.plugins pgwamp = pgwamp.schema.plugin, "
        "console_scripts pgwamp = pgwamp.__main__:main"
    )
