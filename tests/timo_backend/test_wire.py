# SPDX-License-Identifier: GPL-3.0-or-later
"""The server spoken to with bare pyzmq and json, as ``docs/protocol.md`` describes it, and by strangers."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from tests.timo_backend.conftest import PATIENCE_S
from timo_backend.auth import Authenticator, Keys, guard, listen, self_check
from timo_backend.errors import BackendError

GOLDEN = Path(__file__).parents[1] / "data" / "messages"


class Bare:
    """A socket with the keys of a connection file, and nothing else."""

    def __init__(self, home):
        self.connection = json.loads((home / "connection.json").read_text())
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(PATIENCE_S * 1000)
        self.socket.curve_serverkey = self.connection["server_public_key"].encode()
        self.socket.curve_publickey = self.connection["client_public_key"].encode()
        self.socket.curve_secretkey = self.connection["client_secret_key"].encode()
        self.socket.connect(self.connection["endpoint"])

    def ask(self, data):
        self.socket.send(data if isinstance(data, bytes) else json.dumps(data).encode())
        return self.receive()

    def receive(self):
        return json.loads(self.socket.recv())

    def greet(self):
        """Say that jobs may use every folder; a client that has said nothing submits nothing."""
        assert self.ask({"v": 1, "id": "hello", "type": "hello", "body": {"roots": None}})["type"] == "reply"

    def close(self):
        self.context.destroy(linger=0)


@pytest.fixture
def bare(server):
    talker = Bare(server.home)
    yield talker
    talker.close()


def keys(value):
    """The names in a message's body, to two levels."""
    if not isinstance(value, dict):
        return None
    return {
        name: sorted(item) if isinstance(item, dict) and name == "body" else None
        for name, item in value.items()
    }


def alike(answer, name):
    expected = json.loads((GOLDEN / "answers" / f"{name}.json").read_text())
    assert (
        answer["type"] == expected["type"] and answer["v"] == expected["v"] and set(answer) == set(expected)
    )
    assert keys(answer["body"]) == keys(expected["body"])
    return answer


def test_the_written_protocol_is_enough_to_speak_it(bare, spec):
    def request(name, ident, **body):
        message = json.loads((GOLDEN / "requests" / f"{name}.json").read_text())
        return {**message, "id": ident, "body": {**message["body"], **body}}

    assert alike(bare.ask(request("hello", "1")), "hello")["id"] == "1"
    alike(bare.ask(request("ping", "2")), "ping")
    submitted = alike(bare.ask(request("submit", "3", spec=spec("succeed"))), "submit")["body"]
    assert submitted["new"] is True
    job = submitted["job"]
    again = alike(bare.ask(request("submit", "4", spec=spec("succeed"))), "submit")["body"]
    assert (again["job"], again["new"]) == (job, False)
    alike(bare.ask(request("subscribe", "6", job=job, after=0)), "subscribe")
    golden = json.loads((GOLDEN / "answers" / "events.json").read_text())["body"]["events"]
    fields = {event["kind"]: (set(event), set(event["body"])) for event in golden}
    events, batches = [], 0
    while not events or events[-1]["body"].get("state") not in ("succeeded", "failed"):
        batch = alike(bare.receive(), "events")
        assert (batch["id"], batch["body"]["job"]) == ("6", job)
        events, batches = events + batch["body"]["events"], batches + 1
    for event in events:
        assert (set(event), set(event["body"])) == fields[event["kind"]]
    assert {event["kind"] for event in events} == {"state", "progress", "metric", "log", "artifact"}
    bare.socket.send(json.dumps(request("ack", "7", n=batches)).encode())
    alike(bare.ask(request("unsubscribe", "8", id="6")), "unsubscribe")
    alike(bare.ask(request("cancel", "9", job=job)), "cancel")
    row = alike(bare.ask(request("job", "10", job=job)), "job")["body"]
    listed = alike(bare.ask(request("jobs_limit", "11")), "jobs")["body"]
    assert len(row.pop("artifacts")) == 1
    assert listed["jobs"] == [row]
    metrics = alike(bare.ask(request("metrics", "14", job=job)), "metrics")["body"]
    assert metrics["curves"]["loss"] == {"steps": [1, 2, 3], "values": [1.0, 1 / 2, 1 / 3]}
    golden = json.loads((GOLDEN / "answers" / "job.json").read_text())["body"]
    assert {*row, "artifacts"} == set(golden) and set(row["spec"]) == set(golden["spec"])
    alike(bare.ask(request("cancel", "12", job="nobody")), "error")
    alike(bare.ask(request("stop", "13")), "stop")


@pytest.mark.parametrize("act", ["succeed-30000", "chat-3000"])
def test_the_server_holds_back_what_the_client_has_not_acknowledged(bare, spec, act):
    bare.greet()
    ask = {"v": 1, "id": "1", "type": "submit", "body": {"task": "predict", "spec": spec(act), "key": "k"}}
    job = bare.ask(ask)["body"]["job"]
    wait_until_ended(bare, job)
    bare.ask({"v": 1, "id": "2", "type": "subscribe", "body": {"job": job}})
    came = receive_until_answered(bare, "3")
    assert 0 < len(came) <= 64
    assert sum(len(json.dumps(batch)) for batch in came) < 5 * 2**20
    bare.socket.send(json.dumps({"v": 1, "id": "4", "type": "ack", "body": {"n": 10}}).encode())
    more = receive_until_answered(bare, "5")
    assert len(more) == 10
    numbers = [event["seq"] for batch in came + more for event in batch["body"]["events"]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_subscriptions_of_one_client_take_turns(bare, spec):
    bare.greet()
    jobs = []
    for key in "ab":
        body = {"task": "predict", "spec": spec("succeed-30000"), "key": key}
        jobs.append(bare.ask({"v": 1, "id": key, "type": "submit", "body": body})["body"]["job"])
    for job in jobs:
        wait_until_ended(bare, job)
    for ident, job in zip("cd", jobs):
        bare.socket.send(
            json.dumps({"v": 1, "id": ident, "type": "subscribe", "body": {"job": job}}).encode()
        )
    came = [batch["id"] for batch in receive_until_answered(bare, "e") if batch["type"] == "events"]
    bare.socket.send(json.dumps({"v": 1, "id": "f", "type": "ack", "body": {"n": len(came)}}).encode())
    later = [batch["id"] for batch in receive_until_answered(bare, "g")]
    assert abs(later.count("c") - later.count("d")) <= 1


def test_every_job_that_is_accepted_can_be_listed(bare, spec):
    """Also one whose parameters are as large as they may be, and that says as much as it may in the end."""
    bare.greet()

    def submit(size):
        """Of parameters with so many characters that take three bytes each."""
        body = {"task": "predict", "spec": {**spec("boast"), "ray": "林" * size}, "key": str(size)}
        asked = {"v": 1, "id": "a", "type": "submit", "body": body}
        return bare.ask(json.dumps(asked, ensure_ascii=False).encode())["body"]

    assert submit(340_000)["code"] == "spec_too_large"
    assert submit(175_000)["code"] == "spec_too_large"
    job = submit(174_500)["job"]
    wait_until_ended(bare, job)
    rows = bare.ask({"v": 1, "id": "b", "type": "jobs", "body": {}})["body"]["jobs"]
    assert [(row["id"], row["state"], len(row["message"])) for row in rows] == [(job, "succeeded", 4000)]


def wait_until_ended(bare, job):
    deadline = time.monotonic() + PATIENCE_S
    while bare.ask({"v": 1, "id": "row", "type": "job", "body": {"job": job}})["body"]["ended"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def receive_until_answered(bare, ident):
    """What comes before the answer to a ping: nothing is under way any more."""
    bare.socket.send(json.dumps({"v": 1, "id": ident, "type": "ping", "body": {}}).encode())
    came = []
    while (message := bare.receive())["id"] != ident:
        came.append(message)
    return came


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem) for p in sorted((GOLDEN / "refused").iterdir())])
def test_a_wrong_message_is_answered_with_an_error_and_the_server_lives_on(bare, path):
    mistake = json.loads(path.read_text())
    answer = bare.ask(mistake["data"].encode())
    assert answer["type"] == "error"
    assert (answer["id"], answer["body"]["code"]) == (mistake["id"], mistake["code"])
    assert bare.ask({"v": 1, "id": "after", "type": "ping", "body": {}})["id"] == "after"


def test_a_message_over_the_limit_is_answered_with_an_error(bare):
    assert bare.ask(b"x" * (1024 * 1024 + 1))["body"]["code"] == "message_too_large"
    assert bare.ask(b"[" * 900_000)["body"]["code"] == "message_invalid"


@pytest.mark.parametrize("less", [0, 20, 40, 80])
def test_a_field_s_name_as_long_as_a_message_is_refused_and_the_server_lives_on(bare, less):
    message = b'{"v":1,"id":"a","type":"ping","body":{},"%s":1}'
    data = message % (b"x" * (1024 * 1024 - len(message) + 2 - less))
    assert len(data) == 1024 * 1024 - less
    assert bare.ask(data)["body"]["code"] == "message_invalid"
    assert bare.ask({"v": 1, "id": "after", "type": "ping", "body": {}})["id"] == "after"


@pytest.mark.parametrize("path", ["/vsicurl/" + "x" * 400_000, "/" + "\x01" * 80_000, "/a" * 200_000])
def test_a_path_as_long_as_a_message_is_refused_at_once_and_quoted_in_part(bare, spec, path):
    bare.greet()
    body = {"task": "predict", "spec": {**spec("succeed"), "model": path}, "key": "k"}
    answer = bare.ask({"v": 1, "id": "a", "type": "submit", "body": body})
    assert answer["body"]["code"] == "path_denied"
    assert " ... " in answer["body"]["message"] and len(json.dumps(answer)) < 50_000
    assert bare.ask({"v": 1, "id": "after", "type": "ping", "body": {}})["id"] == "after"


def test_an_answer_over_the_limit_is_an_error(bare):
    roots = [f"/{number}" + "\U0001f332" * 4093 for number in range(64)]
    ask = {"v": 1, "id": "a", "type": "hello", "body": {"roots": roots}}
    data = json.dumps(ask, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(data) < 1024 * 1024
    assert bare.ask(data)["body"]["code"] == "message_too_large"
    assert bare.ask({"v": 1, "id": "after", "type": "ping", "body": {}})["id"] == "after"


def test_a_message_far_over_the_limit_costs_the_connection_alone(server, bare, client):
    bare.socket.send(b"x" * (8 * 1024 * 1024))
    monitor = bare.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    assert monitor.poll(int(PATIENCE_S * 1000))
    assert client.hello()["pid"] == server.process.pid


def test_frames_too_many_reach_no_handler(bare):
    bare.socket.send_multipart([b'{"v":1,"id":"a","type":"stop","body":{}}', b"more"])
    assert bare.ask({"v": 1, "id": "after", "type": "ping", "body": {}})["id"] == "after"


def outcome(endpoint, server_key=None, own=None):
    """How the handshake of a socket with these keys ends."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.linger = 0
    dealer.handshake_ivl = 2000
    if own is not None:
        dealer.curve_serverkey = server_key
        dealer.curve_publickey, dealer.curve_secretkey = own
    monitor = dealer.get_monitor_socket()
    dealer.connect(endpoint)
    with suppress(zmq.Again):  # turned away already: a send would wait for a connection that never comes
        dealer.send(b'{"v":1,"id":"a","type":"stop","body":{}}', zmq.DONTWAIT)
    try:
        while monitor.poll(int(PATIENCE_S * 1000)):
            event = zmq.Event(parse_monitor_message(monitor.recv_multipart())["event"])
            if event.name.startswith("HANDSHAKE"):
                return event.name
        raise AssertionError("the handshake has no outcome")
    finally:
        dealer.disable_monitor()
        context.destroy(linger=0)


def test_a_stranger_is_not_let_in(server, client):
    server_key = json.loads((server.home / "connection.json").read_text())["server_public_key"].encode()
    own = zmq.curve_keypair()
    assert outcome(server.endpoint, server_key, own) == "HANDSHAKE_FAILED_AUTH"
    assert outcome(server.endpoint, zmq.curve_keypair()[0], own).startswith("HANDSHAKE_FAILED")
    assert outcome(server.endpoint).startswith("HANDSHAKE_FAILED"), "no key at all"
    assert client.hello()["pid"] == server.process.pid, "no stranger's `stop` was heard"


def guarded(context, made):
    router = context.socket(zmq.ROUTER)
    guard(router, made)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    return router, f"tcp://127.0.0.1:{port}"


def test_nobody_is_let_in_while_the_authenticator_does_not_run():
    async def check():
        context, made = zmq.asyncio.Context(), Keys.generate()
        router, endpoint = guarded(context, made)
        try:
            own = made.clients["default"]
            found = await asyncio.to_thread(outcome, endpoint, made.server_public, own)
            assert not await router.poll(0)
            return found
        finally:
            context.destroy(linger=0)

    assert asyncio.run(check()).startswith("HANDSHAKE_FAILED")


class OpenDoor(Authenticator):
    def callback(self, _domain, _key):
        return True


class ShutDoor(Authenticator):
    def callback(self, _domain, _key):
        return False


@pytest.mark.parametrize(
    ("door", "fault"), [(OpenDoor, "stranger"), (ShutDoor, "own"), (Authenticator, None)]
)
def test_the_self_check_finds_a_door_that_does_not_work(door, fault):
    async def check():
        context, made = zmq.asyncio.Context(), Keys.generate()
        authenticator = door(context, made)
        authenticator.start()
        router, endpoint = guarded(context, made)
        try:
            await self_check(endpoint, made)
            assert not router.closed
        finally:
            authenticator.stop()
            context.destroy(linger=0)

    if fault is None:
        asyncio.run(check())
        return
    with pytest.raises(BackendError, match="strangers") as caught:
        asyncio.run(check())
    assert caught.value.code == "not_guarded"
    wrong = {"stranger": "HANDSHAKE_SUCCEEDED", "own": "HANDSHAKE_FAILED_AUTH"}
    assert caught.value.detail[fault] == wrong[fault]


def test_a_zmq_without_curve_is_one_sentence(monkeypatch):
    def lacks():
        raise zmq.ZMQError(zmq.ENOTSUP)

    monkeypatch.setattr(zmq, "curve_keypair", lacks)
    with pytest.raises(BackendError, match="keep strangers out") as caught:
        Keys.generate()
    assert caught.value.code == "not_guarded"


def test_no_port_is_one_sentence():
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.close()
        with pytest.raises(BackendError, match=r"can't open a port.*restart the computer") as caught:
            listen(socket)
    assert caught.value.code == "no_port"


def test_keys_are_not_shown_where_they_are_printed():
    made = Keys.generate()
    assert made.server_secret.decode() not in repr(made) and made.clients["default"][1].decode() not in repr(
        made
    )
