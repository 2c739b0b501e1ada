# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken out of a text that an analyst sends away, and what stays readable."""

import json
from pathlib import Path, PureWindowsPath

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

import timo_backend
from timo_backend.scrub import Scrubber

HOME = Path("/home/adä lovelace/.local/share/timo")
FOREST = "/data/secret client/forest 2"
scrub = Scrubber(
    HOME, ["/home/adä lovelace"], ["adä"], ["engine.example", "engine"], [FOREST, "/data/plan.tif"]
)
windows = Scrubber(
    PureWindowsPath(r"C:\Users\Ada L\AppData\Local\TiMo"), [r"C:\Users\Ada L"], ["Ada"], ["ENGINE"]
)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"See the log file {HOME}/logs/4706fe470051.log.", "See the log file HOME/logs/4706fe470051.log."),
        (f"The database {HOME}/jobs.sqlite is full: disk", "The database HOME/jobs.sqlite is full: disk"),
        (f"in {HOME}, on tcp://127.0.0.1:4711", "in HOME, on tcp://127.0.0.1:4711"),
        (f"{HOME}/results/secret.tif: is gone", "<path>.tif: is gone"),
        ("'/home/adä lovelace/a b.gpkg' is gone", "'<path>.gpkg' is gone"),
        (f"{FOREST} has no rasters.", "<path> has no rasters."),
        (f"{FOREST}/S2 secret.vrt has no rasters.", "<path>.vrt"),
        ("/data/plan.tif has no band 'red'.", "<path>.tif has no band 'red'."),
        ("'/data/it's.tif' has no band 'red'", "'<path>.tif' has no band 'red'"),
        ("'/data/clients' files/x.tif' has no band 'red'", "'<path>.tif' has no band 'red'"),
        ("'/a/b' and '/c/d.tif' differ", "'<path>' and '<path>.tif' differ"),
        ("Warning 1: /data/secret client/x.tif: No such file", "<path>.tif: No such file"),
        (r"\\server\secret share\x.tif: No such file", "<path>.tif: No such file"),
        (r"{'out': 'D:\\secret\\x.tif', 'n': 1}", "{'out': '<path>.tif', 'n': 1}"),
        ("'/data/clients' files' has no band 'red'", "'<path>' has no band 'red'"),
        ("file:///data/secret client/x", "<path>"),
        ("from https://ada:pass@example.org/secret?sig=1 now", "from <url> now"),
        ("'/home/ada\u0308 lovelace', as macOS spells it", "'~', as macOS spells it"),
        ("ADÄ on engine.example, engine", "USER on HOST, HOST"),
        ("TIMO_WORKER=0123456789abcdef:0123456789abcdef", "KEY"),
        ("3/10 and/or m/s, 1 / 2", "3/10 and/or m/s, 1 / 2"),
        ("\x1b[31mred\x1b[0m\0", "red"),
    ],
)
def test_what_is_private_is_replaced_and_the_rest_stays(text, left):
    assert scrub(text).endswith(left)
    assert "secret" not in scrub(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (r"C:\Users\Ada L\AppData\Local\TiMo\logs\server.log", "HOME/logs/server.log"),
        (r'{"home":"C:\\Users\\Ada L\\AppData\\Local\\TiMo"}', '{"home":"HOME"}'),
        ("c:/users/ada l/appdata/local/timo/results/x.tif", "<path>.tif"),
        (r"'C:\Users\Ada L\x y.tif' of ada on engine", "'<path>.tif' of USER on HOST"),
    ],
)
def test_windows_paths_are_known_in_every_spelling(text, left):
    assert windows(text) == left


def test_a_traceback_still_tells_where_in_the_code_it_was():
    file = Path(timo_backend.__file__).with_name("server.py")
    assert scrub(f'  File "{file}", line 12, in f') == '  File "CODE/timo_backend/server.py", line 12, in f'
    other = f'  File "{file.parents[1]}/secret/x.py", line 3, in g'
    assert scrub(other) == '  File "<path>.py", line 3, in g'


def test_a_linked_home_is_known_by_both_names(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    known = Scrubber(tmp_path / "link")
    assert known(f"{tmp_path}/link/lock, {tmp_path}/real/lock") == "HOME/lock, HOME/lock"


part = st.builds(
    "{}zq{}".format, *[st.text("abé漢 -_.,;+#'()1/\\"[:-2], max_size=6).map(str.strip)] * 2
)  # every part of a path holds the mark
root = st.sampled_from(
    ["/", "/home/adä lovelace/", f"{HOME}/", f"{FOREST}/", "C:\\", "d:/", "\\\\zq\\", "~/"]
)
path = st.builds(
    lambda root, parts, sep: root + sep.join(parts), root, st.lists(part, min_size=1), st.sampled_from("/\\")
)
place = st.sampled_from(
    [
        "{}",
        "'{}' is damaged.",
        "{} has no labels of place 'north'.",
        "ERROR 4: {}: No such file or directory",
        '  File "{}", line 1, in f',
        "path={}",
        "({})",
        "file://{}",
        "/vsizip/{}",
        "of '{}' and '/x'",
        "{}\n{}",
    ]
)


# Of two apostrophes in a quoted name nothing says that they are no quotes.
@given(path.filter(lambda path: path.count("'") < 2), place)
def test_no_part_of_a_path_is_left(path, place):
    for text in (place.replace("{}", path), json.dumps({"message": place.replace("{}", path)}), repr(path)):
        assert "zq" not in scrub(text).lower()


z85 = st.text(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
    min_size=40,
    max_size=40,
)


@given(
    st.one_of(z85, st.just(zmq.curve_keypair()[0].decode())),
    st.sampled_from(
        ["{}", "key={}", '{{"server_public_key":"{}","pid":1}}', "b'{}'", "x_{}_y", "of {}, {}.", "a: {}: b"]
    ),
)
def test_no_piece_of_a_key_is_left(key, place):
    left = scrub(place.replace("{{", "{").replace("}}", "}").replace("{}", key))
    assert not any(key[n : n + 8] in left for n in range(33)), left


@given(st.text(max_size=200))
def test_no_text_keeps_what_stands_beside_it_from_being_taken_out(text):
    assert not set(scrub(text)) & {"\0", "\r", "\x1b"}
    hidden = scrub(f"adä\n{text}\nengine {HOME}/secret")
    assert hidden.startswith("USER\n") and hidden.endswith("\nHOST <path>")
