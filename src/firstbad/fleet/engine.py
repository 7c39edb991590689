"""A fleet as an engine: what a session asks for is done by whichever hosts can."""

import hashlib
import shutil
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstbad.engine.base import BuildRequest, RunRequest, looked_over, spec_for
from firstbad.errors import BuildError, InfrastructureError, UserError
from firstbad.fleet.host import compiler, machine
from firstbad.fleet.link import Link, failed
from firstbad.fleet.orders import Answer, BuildOrder, RunOrder
from firstbad.fleet.settings import HOPE
from firstbad.fleet.shelf import Parcel, Shelf, SpoiledError
from firstbad.history.git import Repo
from firstbad.history.releases import base_release
from firstbad.home import Home
from firstbad.kernel import toolchain
from firstbad.kernel.architecture import architecture
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Spec
from firstbad.kernel.process import GivenUp
from firstbad.kernel.signature import signature
from firstbad.references import reference_of
from firstbad.repro import Reproducer
from firstbad.vm.limits import Acceleration, MachineRun

LIARS = 5  # hosts that may be found out over one order
MOST = 32  # tasks of a kind that one session gives at a time
BUILD_SECONDS = 432.0  # of a build, before one was made
PAUSE = 0.5  # seconds between looks for hosts that are not there yet


class FleetEngine:
    """One session's share of a fleet. What hosts say of a build is checked when it arrives here."""

    def __init__(
        self,
        home: Home,
        spec: Spec,
        reproducer: Reproducer,
        link: Link,
        shelf: Shelf,
        project: str = "default",
        hope: float = HOPE,
    ) -> None:
        """``project``: among which hosts are shared out fairly. ``hope``: seconds in which a host that is needed may
        yet join. Raises InfrastructureError where none is there by then."""
        self.home, self.link, self.shelf, self.project = home, link, shelf, project
        self.reproducer = reproducer
        self.artifacts = Artifacts(home.artifacts, home.budget // 2)
        dirs = tuple(path for path in spec.toolchain_dirs if path != home.toolchains)
        self._spec = replace(spec, config=spec.config + reproducer.config, toolchain_dirs=dirs)
        self._payload = reproducer.payload()
        self._hope = time.monotonic() + hope
        found = self._first_offers()
        self._offers, slots = frozenset(found["offers"]), found["slots"]
        self.machines, self.builders = max(1, min(slots["machine"], MOST)), max(1, min(slots["build"], MOST))
        self.acceleration: Acceleration | None = None
        # Some builds that were given up may yet have to be heard of.
        self._waiters = ThreadPoolExecutor(self.machines + 2 * self.builders + 1, "fleet")
        self._ahead: dict[str, Future[Built]] = {}
        self._compilers: dict[tuple[Path, str], tuple[str, str]] = {}  # by repository and revision
        self._lock = threading.Lock()
        self._parcels: dict[str, Parcel] = {}
        self._makers: dict[str, str] = {}  # hosts by the orders that they did

    def _first_offers(self) -> dict[str, Any]:
        """What hosts offer, once there is one: hub, hosts and session may have been started at the same moment."""
        while not (found := self.link.offers())["hosts"]:
            if time.monotonic() >= self._hope:
                why = "start one with `firstbad worker --server ADDRESS --shelf PLACE`"
                raise InfrastructureError(f"no host has joined the fleet at {self.link.address}: {why}")
            time.sleep(PAUSE)
        return found

    # What an engine has, see `engine.Engine`.

    def build(self, request: BuildRequest) -> Future[Built]:
        """Have it built by a host, or find what was built before."""
        return self._waiters.submit(self._build, request)

    def run(self, request: RunRequest) -> Future[MachineRun]:
        """One boot, one run, on a host."""
        return self._waiters.submit(self._run, request)

    def close(self) -> None:
        """Want nothing any more: hosts end what they do for this session alone."""
        self.link.close()
        self._waiters.shutdown(wait=True, cancel_futures=True)

    def ahead(self, requests: Sequence[tuple[BuildRequest, float]]) -> list[Future[Built]]:
        """See `engine.Engine`: what is not sure to be needed hosts do when nobody waits for anything."""
        orders: list[tuple[BuildOrder, dict[str, Any]]] = []
        futures = dict[str, Future[Built]]()
        for request, chance in requests:
            try:
                orders.append((self._order(request), self._task(request, chance)))
            except UserError as error:  # no host can: that is for whoever needs it
                futures[request.commit] = _failed(error)
        before, self._ahead = self._ahead, {}
        for (order, task), answer in zip(orders, self.link.ahead(orders), strict=True):
            known = before.get(order.id)
            if known is None or failed(known):
                known = self._waiters.submit(self._taken, order, task, answer)
            self._ahead[order.id] = futures[order.commit] = known
        return [futures[request.commit] for request, _ in requests]

    # Builds.

    def _build(self, request: BuildRequest) -> Built:
        order, task = self._order(request), self._task(request, 1.0)
        maker = self._maker(request) if request.fresh else ""
        avoid = [maker] if maker else []
        built, answer = self._honest(order, task, self.link.do(order, task, avoid), avoid)
        return self._arbitrated(request, order, task, built, answer) if request.fresh else built

    def _taken(self, order: BuildOrder, task: dict[str, Any], answer: Future[Answer]) -> Built:
        return self._honest(order, task, answer, [])[0]

    def _honest(
        self, order: BuildOrder, task: dict[str, Any], future: Future[Answer], avoid: Sequence[str]
    ) -> tuple[Built, Answer]:
        """A build that is what it is said to be, and who made it; ``future``: the first answer."""
        for _ in range(LIARS):
            answer = self._waited(future)
            try:
                built = self._received(answer.value)
            except SpoiledError as error:
                self.link.accuse(answer.host, f"{order.commit[:12]}: {error}")
                future = self.link.do(order, task, avoid)
                continue
            with self._lock:
                self._makers[order.id] = answer.host
            return built, answer
        raise InfrastructureError(f"{LIARS} hosts of the fleet sent spoiled builds of {order.commit[:12]}")

    def _received(self, parcel: Parcel | MachineRun | None) -> Built:
        """The build, here, after it was looked at. Raises SpoiledError."""
        if not isinstance(parcel, Parcel):
            raise SpoiledError("it sent no build")
        known = self.artifacts.get(parcel.key)
        if known is not None and known.signature == parcel.facts["signature"]:
            return replace(known, fixes=tuple(parcel.facts["fixes"]))
        built = self.shelf.get(parcel, self.artifacts)
        kernel = built.directory / "vmlinux"
        if not built.error and kernel.exists():
            try:
                said = signature(kernel)
            except BuildError as error:
                said = str(error)
            if said != built.signature:
                shutil.rmtree(built.directory, ignore_errors=True)
                raise SpoiledError("its signature is not that of its kernel")
        return built

    def _arbitrated(
        self, request: BuildRequest, order: BuildOrder, task: dict[str, Any], built: Built, answer: Answer
    ) -> Built:
        """A fresh build that differs from the first one: whoever a third host agrees with is right."""
        first = self.artifacts.get(built.key.removesuffix(f"-{request.fresh}"))
        maker = self._maker(request)
        if first is None or first.signature == built.signature or not maker or maker == answer.host:
            return built
        third = self._waited(self.link.do(replace(order, again=1), task, [maker, answer.host]))
        if third.host in (maker, answer.host):
            return built
        judge = self._received(third.value)
        if judge.signature == first.signature != built.signature:
            self.link.accuse(answer.host, f"{request.commit[:12]}: two other hosts build another kernel")
            return judge
        return built

    def _maker(self, request: BuildRequest) -> str:
        """Which host made the build of a revision that is known here; empty where that is not known."""
        return self._makers.get(self._order(replace(request, fresh="")).id, "")

    def _order(self, request: BuildRequest) -> BuildOrder:
        name, _ = self._compiler(request)
        spec = replace(spec_for(request, self._spec, self.reproducer), toolchain=name)
        return BuildOrder(reference_of(request.repo, self.home.root), request.commit, spec, request.fresh)

    def _task(self, request: BuildRequest, urgency: float) -> dict[str, Any]:
        _, identity = self._compiler(request)
        like = hashlib.sha256(f"{request.repo}\0{self._spec.config}".encode()).hexdigest()[:16]
        return {
            "project": self.project,
            "urgency": urgency,
            "needs": [identity],
            "like": like,
            "seconds": BUILD_SECONDS,
        }

    def _compiler(self, request: BuildRequest) -> tuple[str, str]:
        """The compiler of a release that hosts have: its name, and the word for it. All of a job's hosts must have the
        same one, or kernels of one revision would differ. Raises UserError."""
        place = (request.repo, request.commit)
        if place not in self._compilers:
            self._compilers[place] = self._compiler_for(*place)
        return self._compilers[place]

    def _compiler_for(self, repo: Path, commit: str) -> tuple[str, str]:
        release = base_release(Repo(repo), commit)
        arch = architecture(self._spec.arch).name
        rules = list(toolchain.candidates(release.version if release else None, self._spec.toolchain))
        while True:
            for rule in rules:
                found = sorted(word for word in self._offers if word.startswith(compiler(arch, rule["name"], "")))
                if found:
                    return rule["name"], found[0]
            if time.monotonic() >= self._hope:
                break
            time.sleep(PAUSE)
            self._offers = frozenset(self.link.offers()["offers"])
        raise UserError(f"no host of the fleet has a compiler for {commit[:12]} ({arch})")

    # Runs.

    def _run(self, request: RunRequest) -> MachineRun:
        if request.machine.disk is not None:
            raise UserError("a fleet's machines boot our initramfs only: machine.image can't be used")
        arch = architecture(request.machine.arch).name
        kvm = ["kvm"] if "kvm" in self._offers else []  # all or none: how often a race shows depends on it
        machine_config = replace(request.machine, snapshot=0, keep=False)
        order = RunOrder(self._parcel(request.kernel), self._payload, machine_config, uuid.uuid4().hex)
        seconds = request.machine.boot_seconds / 2 + request.machine.run_seconds
        task = {"project": self.project, "urgency": 1.0, "needs": [machine(arch), *kvm], "like": "", "seconds": seconds}
        answer = self._waited(self.link.do(order, task))
        if not isinstance(answer.value, MachineRun):
            raise InfrastructureError(f"{answer.host} sent no run")
        if self.acceleration is None:
            self.acceleration = Acceleration(answer.facts["acceleration"], answer.facts["why"])
        request.console.parent.mkdir(parents=True, exist_ok=True)
        request.console.write_bytes(answer.value.console)
        return looked_over(answer.value, self.reproducer)

    def _parcel(self, kernel: Path) -> Parcel:
        """The build that a kernel is of, on the shelf."""
        key = kernel.parent.name
        with self._lock:
            if key not in self._parcels:
                built = self.artifacts.get(key)
                if built is None:
                    raise InfrastructureError(f"{kernel} is no longer kept")
                self._parcels[key] = self.shelf.put(built)
            return self._parcels[key]

    def _waited(self, future: Future[Answer]) -> Answer:
        """What hosts make of an order. Raises UserError, InfrastructureError, GivenUp."""
        try:
            answer = future.result()
        except CancelledError:
            raise GivenUp from None
        if answer.status == "wrong":
            raise UserError(answer.why)
        if answer.status == "fault":
            raise InfrastructureError(f"several hosts of the fleet failed: {answer.why}")
        if answer.status == "withdrawn":
            raise GivenUp
        return answer


def _failed(error: UserError) -> Future[Built]:
    future: Future[Built] = Future()
    future.set_exception(error)
    return future
