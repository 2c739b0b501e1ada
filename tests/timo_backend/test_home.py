# SPDX-License-Identifier: GPL-3.0-or-later
"""The home folder: whose it is, who can read it, and that it has one server."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

import timo_backend
from timo_backend.auth import Home, Keys
from timo_backend.errors import HomeError, StoreError
from timo_backend.migrations import MIGRATIONS
from timo_backend.store import Store


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_home_and_connection_file_are_their_owner_s_alone(server):
    assert mode(server.home) == 0o700
    assert mode(server.home / "connection.json") == 0o600


def test_a_new_run_has_new_keys(server):
    before = (server.home / "connection.json").read_text()
    server.kill()
    server.start()
    after = (server.home / "connection.json").read_text()
    assert mode(server.home / "connection.json") == 0o600
    assert not {line for line in before.splitlines() if "key" in line} & set(after.splitlines())


def test_the_server_s_secret_key_is_written_nowhere(tmp_path):
    home, keys = Home(tmp_path / "home"), Keys.generate()
    home.write_connection("tcp://127.0.0.1:1", keys, "0")
    assert keys.server_secret.decode() not in home.connection_file.read_text()


def test_an_empty_folder_is_closed_to_others(tmp_path):
    (tmp_path / "home").mkdir(mode=0o755)
    assert mode(Home(tmp_path / "home").path) == 0o700


def test_a_folder_with_other_things_in_it_is_not_taken(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir(mode=0o755)
    (folder / "holiday.tif").touch()
    with pytest.raises(HomeError, match=r"pictures.*other files.*new folder"):
        Home(folder)
    assert mode(folder) == 0o755


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match=r"file/home.*--home"):
        Home(tmp_path / "file" / "home")


def test_a_home_has_one_server(server):
    with pytest.raises(HomeError, match="already runs"):
        Home(server.home).lock()
    server.kill()
    Home(server.home).lock()


def test_a_file_left_by_another_run_is_not_removed(tmp_path):
    home, mine = Home(tmp_path), Keys.generate()
    home.write_connection("tcp://127.0.0.1:1", Keys.generate(), "0")
    home.remove_connection(mine)
    assert home.connection_file.exists()
    home.write_connection("tcp://127.0.0.1:1", mine, "0")
    home.remove_connection(mine)
    assert not home.connection_file.exists()


def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(tmp_path):
    store = Store(tmp_path / "jobs.sqlite")
    store.submit("predict", {}, "k")
    store._db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    store.close()
    with pytest.raises(StoreError, match="newer release"):
        Store(tmp_path / "jobs.sqlite")


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path):
    (tmp_path / "jobs.sqlite").write_text("no database" * 1000)
    with pytest.raises(StoreError, match=r"jobs\.sqlite"):
        Store(tmp_path / "jobs.sqlite")


def test_every_module_of_the_server_is_kept_from_importing_what_is_heavy():
    """A module that the contract of import-linter leaves out could import torch unseen."""
    tomllib = pytest.importorskip("tomllib", reason="Python has it from 3.11 on")
    root = Path(timo_backend.__file__).parents[1]
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {name for contract in contracts for name in contract.get("source_modules", [])}
    modules = {f"timo_backend.{path.stem}" for path in Path(timo_backend.__file__).parent.glob("[!_]*.py")}
    assert modules - named == {"timo_backend.worker", "timo_backend.probe"}


def test_the_server_loads_neither_torch_nor_numpy_nor_rasters():
    program = (
        "import sys, timo_backend.cli\n"
        "print([name for name in ('torch', 'numpy', 'rasterio', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
