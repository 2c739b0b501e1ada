# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies outside an owner's folders, another owner's files or the network, is named in vain."""

import errno
import json
import os
import socket

import pytest

from tests.timo_backend.conftest import PATIENCE_S, ServerProcess, final
from timo_backend.client import Client
from timo_backend.errors import RequestError

FILES = {"default": "connection.json", "nightly": "connection-nightly.json"}


@pytest.fixture
def roots(tmp_path):
    """A folder for each owner, with a file whose opening would be seen: a pipe that nobody fills."""
    made = {}
    for owner in FILES:
        made[owner] = tmp_path / owner
        made[owner].mkdir()
        os.mkfifo(made[owner] / "secret_20200101.tif")
    return made


@pytest.fixture
def owners(home, roots):
    """A client of each owner, on one server."""
    home.mkdir(mode=0o700)
    allowed = {owner: {"roots": [str(root)]} for owner, root in roots.items()}
    (home / "settings.json").write_text(json.dumps({"owners": allowed}))
    server = ServerProcess(home).start()
    clients = {owner: Client.connect(home / file, timeout=PATIENCE_S) for owner, file in FILES.items()}
    yield clients
    for client in clients.values():
        client.close()
    server.kill()


def predict(root, **more):
    return {"series": [str(root)], "model": str(root / "succeed"), "out": str(root / "map.tif"), **more}


def demand_denied(client, spec, field):
    with pytest.raises(RequestError) as caught:
        client.submit("predict", spec)
    assert caught.value.code == "path_denied" and f"'{field}'" in caught.value.message
    assert caught.value.action


def demand_unopened(path):
    """A pipe that somebody reads, or waits for, can be written to."""
    with pytest.raises(OSError) as caught:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    assert caught.value.errno == errno.ENXIO


@pytest.mark.parametrize(("mine", "other"), [("default", "nightly"), ("nightly", "default")])
def test_no_owner_names_a_path_of_another_s(owners, roots, mine, other):
    client, own, theirs = owners[mine], roots[mine], roots[other]
    secret = theirs / "secret_20200101.tif"
    (own / "link.tif").symlink_to(secret)
    (own / "folder").symlink_to(theirs)
    for path in (
        secret,
        theirs,
        own / ".." / other / secret.name,
        own / "link.tif",
        own / "folder" / "x.tif",
    ):
        demand_denied(client, predict(own, series=[str(path)]), "series")
        demand_denied(client, predict(own, model=str(path)), "model")
        demand_denied(client, predict(own, out=str(path)), "out")
    assert client.jobs() == []
    demand_unopened(secret)
    assert {path.name for path in theirs.iterdir()} == {secret.name}
    job = client.submit("predict", predict(own))
    assert final(client, job)["state"] == "succeeded", "its own it may use"
    assert owners[other].jobs() == []


@pytest.mark.parametrize("field", ["series", "model", "out", "aoi"])
def test_an_address_for_gdal_itself_is_refused_before_anybody_dials_it(owners, roots, field):
    with socket.create_server(("127.0.0.1", 0)) as web:
        web.setblocking(False)
        for prefix in ("/vsicurl/", "/vsicurl_streaming/", "/vsizip//vsicurl/"):
            path = f"{prefix}http://127.0.0.1:{web.getsockname()[1]}/x_20200101.tif"
            spec = predict(roots["default"], **{field: [path] if field == "series" else path})
            demand_denied(owners["default"], spec, field)
        assert owners["default"].jobs() == []
        with pytest.raises(BlockingIOError):
            web.accept()
