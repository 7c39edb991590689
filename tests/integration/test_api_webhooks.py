"""Webhooks: what is sent to a real HTTP server, signed, again until it is taken; and where nothing is ever sent."""

import hashlib
import hmac
import http.server
import json
import socket
import threading

import pytest
import sqlalchemy as sa
from tests.support.service import OURS, SECRET, THEIRS, make_service

from firstbad import network
from firstbad.errors import UserError
from firstbad.network import is_public, resolve, url_parts
from firstbad.session.materials import check_place
from firstbad.store.service import deliveries
from firstbad.web.delivery import Courier, send


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("FIRSTBAD_ALLOW_NETWORKS", "127.0.0.0/8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.answers = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    return make_service(tmp_path_factory.mktemp("hooks"))


@pytest.fixture
def hook(service, receiver):
    """Of the project net; and nothing of what was told before is left."""
    url = f"http://127.0.0.1:{receiver.server_port}/told?x=1"
    made = service.client("net/admin").post("/api/v1/webhooks", json={"url": url}).json()
    yield made
    service.client("net/admin").delete(f"/api/v1/webhooks/{made['id']}")


def finish(service, number):
    data = next(e.data for e in reversed(service.store.events(number)) if e.kind == "finished")
    service.store.append(number, "finished", data)


def make_due(service):
    change = sa.update(deliveries).where(deliveries.c.next > 0).values(next=1.0)
    service.store.database.write(lambda connection, _: connection.execute(change))


def test_told_once_signed_and_of_own_public_jobs_alone(service, receiver, hook):
    courier = Courier(service.store, "https://bisect.example.org/")
    for number in (OURS, THEIRS, SECRET):
        finish(service, number)
    assert courier.deliver_one()
    assert not courier.deliver_one()
    ((path, headers, body),) = receiver.got
    assert path == "/told?x=1"
    told = json.loads(body)
    assert (told["event"], told["job"]["job"], told["job"]["project"]) == ("finished", OURS, "net")
    assert told["job"]["url"] == f"https://bisect.example.org/jobs/{OURS}"
    # As a receiver checks it.
    signed = headers["Firstbad-Timestamp"].encode() + b"." + body
    assert (
        headers["Firstbad-Signature"] == "v1=" + hmac.new(hook["secret"].encode(), signed, hashlib.sha256).hexdigest()
    )
    assert hook["secret"] not in service.client("net/admin").get("/api/v1/webhooks").text
    listed = service.client("net/admin").get(f"/api/v1/webhooks/{hook['id']}/deliveries").json()
    assert [(one["kind"], one["attempts"], one["next"]) for one in listed] == [("finished", 1, 0.0)]


def test_again_until_it_is_taken_and_no_redirect_is_followed(service, receiver, hook):
    receiver.answers = [500, 302]
    courier = Courier(service.store)
    finish(service, OURS)
    for error in ("answered 500", "answered 302; redirects are not followed", ""):
        make_due(service)
        assert courier.deliver_one()
        (one,) = service.app.state.site.hooks.deliveries(hook["id"])
        assert one.error == error
    assert [path for path, *_ in receiver.got] == ["/told?x=1"] * 3
    assert not courier.deliver_one()


def test_given_up_in_the_end(service, receiver, hook):
    receiver.answers = [500] * 20
    courier = Courier(service.store)
    finish(service, OURS)
    pauses = []
    for _ in range(20):
        make_due(service)
        if not courier.deliver_one():
            break
        (one,) = service.app.state.site.hooks.deliveries(hook["id"])
        pauses.append(one.next)
    assert (len(receiver.got), pauses[-1]) == (12, 0.0)


def test_two_servers_do_not_tell_twice(service, receiver, hook):
    finish(service, OURS)
    one, two = Courier(service.store), Courier(service.store)
    claimed = one.hooks.claim()
    assert claimed is not None
    assert not two.deliver_one()
    assert receiver.got == []


def test_written_with_the_event_or_not_at_all(service, receiver, hook):
    """What is to be told survives the process that wrote the event."""
    before = len(service.app.state.site.hooks.deliveries(hook["id"]))
    service.store.append(OURS, "told", {})
    assert len(service.app.state.site.hooks.deliveries(hook["id"])) == before
    service.store.append(OURS, "failed", {"error": "x", "status": "untestable"})
    assert service.app.state.site.hooks.deliveries(hook["id"])[0].kind == "failed"


INSIDE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "192.0.0.1", "198.18.0.1",
    "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_no_address_inside_is_connected_to(service, address):
    host = f"[{address}]" if ":" in address else address
    for url in (f"http://{host}/", f"https://{host}:8443/x"):
        answer = service.client("net/admin").post("/api/v1/webhooks", json={"url": url})
        assert answer.status_code == 400, (url, answer.text)
        with pytest.raises(UserError):
            check_place(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/", "http://LOCALHOST./", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
        "http://127.1/",
        "file:///etc/passwd", "gopher://example.org/", "ftp://example.org/", "http:///x", "http://user:pass@example.org/",
        "http://example.org:99999/", "http://exa mple.org/", "http://example.org/\r\nX: y",
        "ext::sh -c id", "javascript:alert(1)", "",
        "http://127.0.0.1#@example.org/", "http://example.org\\@127.0.0.1/", "http://[::1", "//127.0.0.1/",
    ],
)  # fmt: skip
def test_no_url_leads_inside(service, url, monkeypatch):
    def only_numbers(host, port, **more):
        if host == "example.org" or host.startswith("example.org\\"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]
        return real(host, port, **more)

    real = socket.getaddrinfo
    monkeypatch.setattr(network.socket, "getaddrinfo", only_numbers)
    answer = service.client("net/admin").post("/api/v1/webhooks", json={"url": url})
    assert answer.status_code == 400, (url, answer.text)
    if "://" in url:
        with pytest.raises(UserError):
            check_place(url)


def test_public_addresses_are_public():
    import ipaddress

    for address in ("93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
        assert is_public(ipaddress.ip_address(address))


def test_a_name_with_one_address_inside_is_refused(monkeypatch):
    answers = [("93.184.215.14", 80), ("10.0.0.1", 80)]
    monkeypatch.setattr(network.socket, "getaddrinfo", lambda *a, **b: [(2, 1, 6, "", one) for one in answers])
    with pytest.raises(UserError, match=r"10\.0\.0\.1"):
        resolve("rebind.example", 80)


def test_a_name_is_asked_for_once_and_that_address_is_connected_to(service, receiver, hook, monkeypatch):
    """A name server that answers with an address inside the second time gets no second question."""
    asked, real = [], socket.getaddrinfo

    def answer(host, port, *words, **more):
        if host != "rebind.example":
            return real(host, port, *words, **more)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    hooks = service.app.state.site.hooks
    made = hooks.create("net", f"http://rebind.example:{receiver.server_port}/x", "x")
    finish(service, OURS)
    due = next(one for one in hooks.deliveries(made.id))
    assert send(made, due, b"{}") == ""
    assert asked == ["rebind.example"]
    assert receiver.got[0][1]["Host"] == f"rebind.example:{receiver.server_port}"
    assert "169.254.169.254" in send_error(made, due)
    hooks.remove(made.id)


def send_error(hook, due):
    with pytest.raises(UserError) as error:
        send(hook, due, b"{}")
    return str(error.value)


def test_allowed_networks_are_what_the_administrator_says(monkeypatch):
    monkeypatch.setenv("FIRSTBAD_ALLOW_NETWORKS", "10.0.0.0/8, fd00::/8")
    assert resolve("10.1.2.3", 80) == "10.1.2.3"
    assert resolve("fd00::1", 80) == "fd00::1"
    for inside in ("127.0.0.1", "192.168.0.1", "::1", "::ffff:192.168.0.1"):
        with pytest.raises(UserError):
            resolve(inside, 80)
    monkeypatch.setenv("FIRSTBAD_ALLOW_NETWORKS", "ten")
    with pytest.raises(UserError, match="FIRSTBAD_ALLOW_NETWORKS"):
        resolve("8.8.8.8", 80)


def test_urls_that_are_fine():
    assert url_parts("https://example.org:8443/a?b=c", ("https",)).port == 8443
