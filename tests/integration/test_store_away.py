"""PostgreSQL goes away: between two calls, in the middle of one, and between a commit and its answer."""

import socket
import threading
import time
from contextlib import suppress

import pytest

from firstbad.errors import InfrastructureError
from firstbad.job import Job
from firstbad.store import Queue, Store


class Wire:
    """Between a client and the server; cuts the client off after a COMMIT went through, before its answer comes."""

    def __init__(self, port: int) -> None:
        self.server = port
        self.cuts = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_next(self, times: int) -> None:
        self.cuts = times

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                server = socket.create_connection(("127.0.0.1", self.server))
                threading.Thread(target=self._forth, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self.cuts and b"COMMIT" in data:
                    self.cuts -= 1
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(data)
                    time.sleep(0.2)
                    break
                server.sendall(data)
        client.close()
        server.close()

    def _pass(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)


@pytest.fixture
def job(tmp_path):
    return Job(repo=tmp_path, config=tmp_path / "c", repro=tmp_path / "r", title="BUG")


def test_what_was_committed_without_an_answer_is_not_done_again(postgres, job):
    url = postgres.new_database(f"wire{time.time_ns()}")
    there = Store(url)
    wire = Wire(postgres.port)
    store = Store(url.replace(f":{postgres.port}/", f":{wire.port}/"))
    queue = Queue(store)
    wire.cut_next(1)
    number = store.submit(job)
    assert [one.id for one in there.jobs()] == [number]
    wire.cut_next(1)
    made = queue.submit(job, key="k")
    assert len(there.jobs()) == 2
    wire.cut_next(2)
    lease = queue.claim()
    assert lease is not None
    assert lease.job == made.number
    assert there.job(lease.job).attempts == 1
    for i in range(3):
        wire.cut_next(2)
        event = store.append(lease.job, "build", {"i": i, "seconds": 1.0}, lease.token)
        assert event.seq == i
    assert [event.data["i"] for event in there.events(lease.job)] == [0, 1, 2]
    assert (there.job(lease.job).builds, there.job(lease.job).cost) == (3, 3.0)
    assert wire.cuts == 0


def test_a_restart_is_waited_for_and_loses_nothing(postgres, job):
    store = Store(postgres.new_database(f"restart{time.time_ns()}"))
    number = store.submit(job)
    told: list[list[int]] = [[], []]
    enough = threading.Event()

    def tell(own: list[int]) -> None:
        while not enough.is_set():
            own.append(store.append(number, "run", {"by": id(own)}).seq)

    threads = [threading.Thread(target=tell, args=(own,)) for own in told]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    postgres.stop()
    time.sleep(1)
    postgres.start()
    before = [len(own) for own in told]
    deadline = time.monotonic() + 30
    while any(len(own) < count + 5 for own, count in zip(told, before, strict=True)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    enough.set()
    for thread in threads:
        thread.join()
    assert sorted(told[0] + told[1]) == list(range(len(told[0]) + len(told[1])))
    assert [event.seq for event in store.events(number)] == sorted(told[0] + told[1])


def test_who_waits_no_longer_says_so(postgres, job):
    url = postgres.new_database(f"gone{time.time_ns()}")
    Store(url)
    with pytest.raises(InfrastructureError, match="does not exist"):
        Store(url + "_not")
    store = Store(url, patience=0.5)
    postgres.stop()
    try:
        with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1"):
            store.jobs()
    finally:
        postgres.start()
    assert store.jobs() == []


def test_a_lease_lasts_as_long_again_after_the_server_was_down(postgres, job):
    store = Store(postgres.new_database(f"lease{time.time_ns()}"))
    queue = Queue(store, seconds=2)
    queue.submit(job)
    lease = queue.claim("elsewhere/1/1")
    postgres.stop()
    time.sleep(2.5)
    postgres.start()
    assert queue.claim() is None, "it could not be prolonged meanwhile"
    assert queue.heartbeat(lease)
    time.sleep(2.6)
    assert queue.claim().job == lease.job
