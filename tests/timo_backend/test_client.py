# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: what the plugin carries of it, and how it fares when the server is not there."""

import ast
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq

from tests.timo_backend.conftest import PATIENCE_S, wait_until_running
from timo_backend import client as client_module
from timo_backend.client import Client, default_home
from timo_backend.core import Core
from timo_backend.errors import ConnectionFailed, ProtocolError
from timo_backend.protocol import read_connection

PACKAGE = Path(client_module.__file__).parent
CARRIED = ("client.py", "core.py", "other_release.py", "protocol.py", "errors.py")


@pytest.mark.parametrize("name", CARRIED)
def test_a_carried_file_is_python_3_9_with_stdlib_zmq_and_relative_imports_alone(name):
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            assert f"{node.module or node.names[0].name}.py" in CARRIED
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert all(found.split(".")[0] in {*sys.stdlib_module_names, "zmq"} for found in names)


def interpreters():
    system = "/usr/bin/python3"  # QGIS's Python on Debian
    command = [system, "-I", "-c", "import zmq"]
    has_zmq = (
        Path(system).exists() and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    return [sys.executable, system] if has_zmq else [sys.executable]


@pytest.mark.parametrize("python", interpreters())
def test_the_carried_files_work_as_a_package_of_another_name(server, spec, tmp_path, python):
    package = tmp_path / "lib" / "_client"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name in CARRIED:
        shutil.copy(PACKAGE / name, package / name)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import json\n"
        "from _client.client import Client\n"
        "with Client.connect(sys.argv[2], timeout=60) as client:\n"
        "    job = client.submit('predict', json.loads(sys.argv[3]), key='k')\n"
        "    for event in client.events(job):\n"
        "        print(event.kind, event.body.get('state'))\n"
        "assert not {'timo', 'timo_backend', 'msgspec'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [python, "-I", "-c", program, str(package.parent), str(server.home), json.dumps(spec("succeed"))],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "state succeeded"


def test_no_connection_file_is_one_sentence(tmp_path):
    with pytest.raises(
        ConnectionFailed, match=r"No backend runs here: .*connection\.json\. Start the backend"
    ):
        Client.connect(tmp_path / "connection.json")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"endpoint": 5}', '{"endpoint": "tcp://127.0.0.1:1"}'])
def test_a_file_that_is_no_connection_file_is_named(tmp_path, content):
    (tmp_path / "connection.json").write_text(content)
    with pytest.raises(ConnectionFailed, match=r"connection\.json") as caught:
        read_connection(tmp_path)
    assert caught.value.code == "connection_invalid"


@pytest.fixture
def connection(tmp_path):
    """A connection file's content with keys that nobody has; nobody listens at its endpoint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = zmq.curve_keypair()
    return {
        "protocol": 1,
        "endpoint": f"tcp://127.0.0.1:{port}",
        "server_public_key": zmq.curve_keypair()[0].decode(),
        "client_public_key": own[0].decode(),
        "client_secret_key": own[1].decode(),
    }


def test_another_protocol_version_is_refused_with_what_to_do(tmp_path, connection):
    (tmp_path / "connection.json").write_text(json.dumps({**connection, "protocol": 2}))
    with pytest.raises(ConnectionFailed, match="same release") as caught:
        Client.connect(tmp_path)
    assert caught.value.code == "protocol_unsupported"


def test_the_file_of_a_dead_server_is_noticed_without_waiting_for_the_timeout(tmp_path, connection):
    (tmp_path / "connection.json").write_text(json.dumps(connection))
    with pytest.raises(ConnectionFailed, match="does not run any more") as caught:
        Client.connect(tmp_path, timeout=10 * PATIENCE_S)
    assert caught.value.code == "backend_gone" and caught.value.retryable


def test_a_port_that_another_program_has_taken_is_noticed(tmp_path, connection):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        (tmp_path / "connection.json").write_text(json.dumps({**connection, "endpoint": endpoint}))
        with pytest.raises(ConnectionFailed) as caught:
            Client.connect(tmp_path, timeout=10 * PATIENCE_S)
    assert caught.value.code == "backend_mute" and caught.value.retryable


def test_a_server_that_has_no_time_at_the_moment_is_waited_for(server):
    server.process.send_signal(signal.SIGWINCH)  # ZeroMQ's own thread goes on
    with server.client() as client:
        assert client.hello()["pid"] == server.process.pid


def test_the_keys_of_an_earlier_run_are_refused_with_a_sentence(server, tmp_path, connection):
    present = read_connection(server.home)
    for keep, code in (
        (("endpoint", "server_public_key"), "access_denied"),
        (("endpoint",), "backend_mute"),
    ):
        (tmp_path / "connection.json").write_text(
            json.dumps({**connection, **{key: present[key] for key in keep}})
        )
        with pytest.raises(ConnectionFailed) as caught:
            Client.connect(tmp_path, timeout=10 * PATIENCE_S)
        assert caught.value.code == code


def take(core, count, matches=lambda message: True):
    """The next ``count`` messages that match."""
    found, deadline = [], time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline, "nothing more comes"
        found.extend(message for message in core.poll(int(PATIENCE_S * 1000)) if matches(message))
    return found


def test_the_core_tells_once_that_the_server_is_gone_and_goes_on_with_the_next(server, spec):
    core = Core(read_connection(server.home))
    core.send("hello", {"roots": None})
    submit = core.send("submit", {"task": "predict", "spec": spec("hold"), "key": "k"})
    job = take(core, 1, lambda message: message.id == submit)[0].body["job"]
    subscription = core.send("subscribe", {"job": job, "after": 0})
    before = take(core, 4, lambda message: message.type == "event")
    assert core.connected
    server.kill()
    assert take(core, 1)[0].type == "lost"
    assert [message for _ in range(5) for message in core.poll(100)] == []
    assert not core.connected
    unanswered = core.send("ping", {})
    server.start()
    core.reconnect(read_connection(server.home))
    after = take(core, 2, lambda message: message.type == "event" and message.body["kind"] == "state")
    assert {message.id for message in before + after} == {subscription}
    assert [message.body["seq"] for message in before] == [1, 2, 3, 4]
    assert [message.body["body"]["state"] for message in after] == ["interrupted", "failed"]
    again = core.send("ping", {})
    assert unanswered not in core._pending
    assert take(core, 1)[0].id == again
    core.close()


def test_the_core_reads_no_more_messages_at_once_than_its_caller_wants(server):
    core = Core(read_connection(server.home))
    ids = [core.send("jobs", {"limit": 1}) for _ in range(3)]
    seen = []
    while len(seen) < len(ids):
        messages = core.poll(int(PATIENCE_S * 1000), most=1)
        assert len(messages) <= 1
        seen += [message.id for message in messages]
        time.sleep(0.1)  # the others lie there
    assert seen == ids
    core.close()


def test_a_stop_is_not_sent_again_to_the_next_server(server):
    core = Core(read_connection(server.home))
    ping = core.send("ping", {})
    assert take(core, 1)[0].id == ping
    server.kill()
    assert take(core, 1)[0].type == "lost"
    stop = core.send("stop", {})
    server.start()
    core.reconnect(read_connection(server.home))
    answer = take(core, 1)[0]
    assert (answer.id, answer.type, answer.body["code"]) == (stop, "error", "backend_gone")
    for _ in range(3):
        ping = core.send("ping", {})
        assert take(core, 1)[0].id == ping
    core.close()


def test_a_request_that_timed_out_is_not_sent_again(server, spec):
    with server.client() as client:
        client._timeout = 0.3
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(ConnectionFailed) as caught:
            client.submit("predict", spec("succeed"))
        assert caught.value.code == "backend_silent"
        assert client.core._pending == {}
        server.process.send_signal(signal.SIGCONT)


def test_a_client_that_reads_none_of_a_hundred_subscriptions_gets_all_of_each_later(server, client, spec):
    job = client.submit("predict", spec("chat-100"))
    last = list(client.events(job))[-1].seq
    core = Core(read_connection(server.home))
    ids = [core.send("subscribe", {"job": job, "after": 0}) for _ in range(100)]
    assert core._socket.poll(int(PATIENCE_S * 1000)), "something lies there, unread"
    seen = {ident: [] for ident in ids}
    while any(not events or events[-1] < last for events in seen.values()):
        for message in take(core, 1, lambda message: message.type == "event"):
            seen[message.id].append(message.body["seq"])
    assert all(events == list(range(1, last + 1)) for events in seen.values())
    while core._pending:  # the answers to `subscribe`
        take(core, 1)
    core.close()


def test_events_that_were_not_read_to_their_end_may_outlive_the_client(server, spec):
    with server.client() as client:
        events = client.events(client.submit("predict", spec("hold")))
        next(events)
    events.close()


def test_the_core_resumes_by_itself_when_the_connection_breaks_and_the_server_lives(server, spec):
    with server.client() as other:
        job = other.submit("predict", spec("hold"))
        wait_until_running(other, job)
        core = Core(read_connection(server.home))
        core.send("subscribe", {"job": job, "after": 0})
        seen = [message.body["seq"] for message in take(core, 4, lambda message: message.type == "event")]
        core._socket.send(b"x" * (8 * 1024 * 1024))  # the server hangs up on this
        ping = core.send("ping", {})
        assert take(core, 1)[0].id == ping
        other.cancel(job)
        seen += [message.body["seq"] for message in take(core, 2, lambda message: message.type == "event")]
        assert seen == [1, 2, 3, 4, 5, 6]
        assert core.connected
        core.close()


def test_a_core_does_not_wait_for_a_server_that_is_not_there(connection):
    core = Core(connection)
    core.send("ping", {})
    assert take(core, 1)[0].body["code"] == "backend_gone"
    core.close()


CLOSING_LATE = """
import json, sys, time
from timo_backend import core

core.RECONNECT_MS = 1  # as much of ZeroMQ's news as comes in minutes otherwise
one = core.Core(json.loads(sys.argv[1]))
time.sleep(float(sys.argv[2]))
one.close()
"""


def test_a_core_that_was_not_asked_for_long_after_its_server_was_gone_can_be_closed(connection):
    # In a process of its own: one that hangs would do so for ever.
    program = [sys.executable, "-c", CLOSING_LATE, json.dumps(connection), "10"]
    assert subprocess.run(program, check=False, timeout=PATIENCE_S).returncode == 0


def test_a_request_too_large_is_not_kept(server):
    core = Core(read_connection(server.home))
    with pytest.raises(ProtocolError):
        core.send("submit", {"spec": "x" * 2**21})
    assert core._pending == {}
    core.close()


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"TIMO_HOME": "/x/y", "HOME": "/home/a"}, "/x/y"),
        ("linux", {"HOME": "/home/a"}, "/home/a/.local/share/timo"),
        ("linux", {"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data/timo"),
        ("darwin", {"HOME": "/Users/a"}, "/Users/a/Library/Application Support/TiMo"),
        ("win32", {"LOCALAPPDATA": "C:/Users/a/AppData/Local"}, "C:/Users/a/AppData/Local/TiMo"),
    ],
)
def test_the_default_home_is_the_platform_s(platform, environ, expected):
    assert default_home(platform, environ) == Path(expected)
