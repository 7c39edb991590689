"""A host's part: what it offers, and how it does what it is told."""

import logging
import os
import platform
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from firstbad.crash import first_sign
from firstbad.errors import InfrastructureError, UserError
from firstbad.fleet.orders import Answer, BuildOrder, Order, RunOrder
from firstbad.fleet.shelf import Parcel, Shelf
from firstbad.history.git import Repo
from firstbad.home import Home
from firstbad.kernel import toolchain
from firstbad.kernel.architecture import architecture
from firstbad.kernel.artifacts import Artifacts, Built
from firstbad.kernel.build import Builder
from firstbad.kernel.data import load
from firstbad.kernel.process import GivenUp, Slot
from firstbad.references import is_reference, path_of
from firstbad.vm import Acceleration, MachineRun, build_initramfs, probe_acceleration, run_machine
from firstbad.vm.architecture import architecture as machines

_log = logging.getLogger(__name__)

_ARCHITECTURES = ("x86_64", "aarch64", "riscv64")


def offers(home: Home) -> frozenset[str]:
    """What this machine has: compilers by their identity and architecture, machines by theirs, KVM where it may be."""
    found = set[str]()
    for rule in load("toolchains.toml")["toolchain"]:
        for arch in _ARCHITECTURES:
            tools = toolchain.installed(rule, arch, None, (home.toolchains,))
            if tools is not None:
                found.add(compiler(arch, rule["name"], tools.identity))
    found |= {machine(arch) for arch in _ARCHITECTURES if shutil.which(machines(arch).qemu)}
    return frozenset(found | ({"kvm"} if os.access("/dev/kvm", os.R_OK | os.W_OK) else set()))


def compiler(arch: str, name: str, identity: str) -> str:
    """The word for a compiler: another one makes another kernel, so it has to be this very one."""
    return f"cc:{arch}:{name}:{identity}"


def machine(arch: str) -> str:
    """The word for machines of an architecture."""
    return f"machine:{arch}"


class Crew:
    """All that one host does at a time. Its methods are called by as many threads as there are slots."""

    def __init__(self, home: Home, shelf: Shelf, builders: int, jobs: int = 0) -> None:
        """``builders``: builds at a time, each with ``jobs`` compilers (0: the CPUs that we may use, shared out)."""
        self.home, self.shelf = home, shelf
        self.artifacts = Artifacts(home.artifacts, home.budget // 2)
        jobs = jobs or max(1, len(os.sched_getaffinity(0)) // max(1, builders))
        self._slots = [Slot(home.builders) for _ in range(builders)]
        limit = home.budget // 4 // max(1, builders)
        self._builders = [Builder(slot.directory, self.artifacts, home.ccache, jobs, limit) for slot in self._slots]
        self._idle = threading.Condition()
        self._cancels: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._acceleration: dict[str, Acceleration] = {}

    def do(self, order: Order) -> Answer:
        """Do what one is told; never raises for what may go wrong."""
        began = time.monotonic()
        answer = self._do(order)
        facts = {"order": order.id, "status": answer.status, "seconds": round(time.monotonic() - began, 1)}
        _log.info("order", extra=facts | ({"why": answer.why} if answer.why else {}))
        return answer

    def _do(self, order: Order) -> Answer:
        cancel = threading.Event()
        with self._lock:
            self._cancels[order.id] = cancel
        began = time.monotonic()
        try:
            value = self._build(order, cancel) if isinstance(order, BuildOrder) else self._run(order, cancel)
            if cancel.is_set():
                return Answer("withdrawn")
            return Answer("done", value, facts=self._facts(order) | {"seconds": round(time.monotonic() - began, 3)})
        except GivenUp:
            return Answer("withdrawn")
        except UserError as error:
            return Answer("wrong", why=str(error))
        except (InfrastructureError, OSError, MemoryError) as error:
            return Answer("fault", why=f"{platform.node()}: {error}")
        finally:
            with self._lock:
                self._cancels.pop(order.id, None)

    def _facts(self, order: Order) -> dict[str, Any]:
        if isinstance(order, BuildOrder):
            return {}
        how = self._acceleration[machines(order.machine.arch).name]
        return {"acceleration": how.name, "why": how.why}

    def withdraw(self, order: str) -> None:
        """End an order that is under way; one that is not is no matter."""
        with self._lock:
            cancel = self._cancels.get(order)
        if cancel is not None:
            cancel.set()

    def withdraw_all(self) -> None:
        """End everything that is under way."""
        with self._lock:
            for cancel in self._cancels.values():
                cancel.set()

    def close(self) -> None:
        """End everything, and let others have the builders' directories."""
        self.withdraw_all()
        for slot in self._slots:
            slot.close()

    def _build(self, order: BuildOrder, cancel: threading.Event) -> Parcel:
        repo = self._repo(order)
        with self._idle:
            while not self._builders:
                if cancel.is_set():
                    raise GivenUp
                self._idle.wait(0.5)
            builder = self._builders.pop()
        try:
            spec = replace(order.spec, toolchain_dirs=(*order.spec.toolchain_dirs, self.home.toolchains))
            built = builder.build(repo, order.commit, spec, cancel, order.fresh)
        finally:
            with self._idle:
                self._builders.append(builder)
                self._idle.notify()
        return self.shelf.put(built)

    def _repo(self, order: BuildOrder) -> Repo:
        path = path_of(order.repo, self.home.root) if is_reference(order.repo) else Path(order.repo)
        repo = Repo(path)
        if not repo.has(order.commit):
            repo.run("fetch", "--quiet", "--all", "--tags", check=False)
            if not repo.has(order.commit):
                raise InfrastructureError(f"{path} has no commit {order.commit[:12]}")
        return repo

    def _run(self, order: RunOrder, cancel: threading.Event) -> MachineRun:
        built = self._kernel(order)
        arch = architecture(order.machine.arch).name
        initramfs = build_initramfs(self.home.machines, arch=arch)
        with self._lock:
            how = self._acceleration.get(arch)
        if how is None:
            how = probe_acceleration(built.kernel, initramfs, arch)
            with self._lock:
                self._acceleration[arch] = how
        return run_machine(
            built.kernel, initramfs, order.payload, order.machine, how, crash_sign=first_sign, cancel=cancel
        )

    def _kernel(self, order: RunOrder) -> Built:
        with self.artifacts.lock(order.parcel.key):
            known = self.artifacts.get(order.parcel.key)
            if known is None or known.signature != order.parcel.facts["signature"]:
                return self.shelf.get(order.parcel, self.artifacts)
            return known
