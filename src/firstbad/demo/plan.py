"""The shape of the demo's history: which commit carries which edit, where it forks, what merges it. No git here."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from firstbad.demo.edits import Edit

FIRST_MINOR = 13
RELEASES = 6
SEGMENTS = RELEASES + 1  # stretches of history between release tags; the last one ends at HEAD


@dataclass(frozen=True)
class Node:
    """One commit: its parents (numbers, first parent first; 0 is the import) and the edit it carries.

    A merge has no edit; ``topic`` names the branch it takes in, ``onto`` the branch it is made on (empty: master).
    """

    number: int
    parents: tuple[int, ...]
    edit: str | None = None
    kind: Literal["edit", "merge", "release"] = "edit"
    topic: str = ""
    onto: str = ""
    segment: int = 0


@dataclass
class Plan:
    """A history: nodes in creation order (parents first), where every edit is, and the first-parent line."""

    nodes: list[Node] = field(default_factory=list)
    mainline: list[int] = field(default_factory=lambda: [0])
    where: dict[str, int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._holds: list[int] = [0]

    @property
    def head(self) -> int:
        """The number of the branch's tip."""
        return self.mainline[-1]

    def add(self, parents: Sequence[int], **facts: object) -> int:
        """Append a node and return its number."""
        node = Node(len(self.nodes) + 1, tuple(parents), **facts)  # type: ignore[arg-type]
        self.nodes.append(node)
        bits = 1 << node.number
        for parent in parents:
            bits |= self._holds[parent]
        self._holds.append(bits)
        if node.edit is not None:
            self.where[node.edit] = node.number
        return node.number

    def holds(self, number: int, ancestor: int) -> bool:
        """Whether ``ancestor`` is ``number`` itself or in its history."""
        return ancestor == 0 or bool(self._holds[number] >> ancestor & 1)

    def has(self, number: int, edit: str) -> bool:
        """Whether the edit ``edit`` is in the tree of node ``number``."""
        return edit in self.where and self.holds(number, self.where[edit])

    def shows(self, number: int, bug: str) -> bool:
        """Whether the tree of node ``number`` has ``bug`` and not its fix."""
        return self.has(number, bug) and not self.has(number, f"{bug}-fix")

    def edits(self, number: int) -> list[str]:
        """The edits in the tree of node ``number``, in the order of their nodes."""
        return [node.edit for node in self.nodes if node.edit and self.holds(number, node.number)]

    def untestable(self, number: int) -> bool:
        """Whether node ``number`` does not build or does not boot."""
        return self.shows(number, "build") or self.shows(number, "boot")


def make_plan(pool: Sequence[Edit], seed: int) -> Plan:
    """Return the history of ``seed``: the same seed and pool, the same plan.

    Shapes that would make an unfair demo (see ``fair``) are thrown away and drawn again.
    """
    for attempt in range(1000):
        rng = random.Random(f"firstbad demo {seed} {attempt}")  # noqa: S311 - reproducible on purpose
        plan = _Builder(pool, rng).build()
        if fair(plan):
            return plan
    raise AssertionError("no fair history in a thousand draws")


def fair(plan: Plan) -> bool:
    """Whether every task can be solved and has what makes it hard.

    No culprit, parent of one, tag or tip is untestable; the warning (d) covers a quarter of history, with commits
    that are good for (a) or (c) among them; a branch older than bug (g) is merged after its fix.
    """
    nodes = plan.nodes
    watched = [plan.where[bug] for bug in ("a", "b", "c", "g", "g-fix")]
    watched += [parent for number in watched for parent in nodes[number - 1].parents]
    if any(map(plan.untestable, [*watched, *plan.tags.values(), plan.head])):
        return False
    warned = [node.number for node in nodes if plan.shows(node.number, "d")]
    clean = [number for number in warned if not plan.has(number, "a") or not plan.has(number, "c")]
    if not 0.2 <= len(warned) / len(nodes) <= 0.32 or len(clean) < 8:
        return False
    return any(
        node.kind == "merge" and plan.has(node.parents[0], "g-fix") and not plan.has(node.parents[1], "g")
        for node in nodes
    )


@dataclass
class _Topic:
    name: str
    edits: list[str]
    back: int  # oldest segment that it may fork from
    inner: list["_Topic"] = field(default_factory=list)  # branches merged into this one first


class _Builder:
    """Draws one history, segment by segment."""

    def __init__(self, pool: Sequence[Edit], rng: random.Random) -> None:
        self.rng, self.plan = rng, Plan()
        self.files = {edit.ident: edit.files[0] for edit in pool}
        self.pool = rng.sample(list(self.files), len(self.files))
        self.by_segment: list[list[int]] = [[] for _ in range(SEGMENTS)]  # testable mainline nodes
        self.by_segment[0].append(0)
        self.special: list[list[str]] = [[] for _ in range(SEGMENTS)]
        self.topics = 0

    def build(self) -> Plan:
        self._place()
        broken = dict(zip(self.rng.sample(range(SEGMENTS), 2), ("build", "boot"), strict=True))
        share = len(self.pool) // SEGMENTS
        for segment in range(SEGMENTS):
            count = len(self.pool) if segment == SEGMENTS - 1 else share
            edits, self.pool = self.pool[:count], self.pool[count:]
            self._segment(segment, edits, broken.get(segment))
            if segment < RELEASES:
                self._release(segment)
        return self.plan

    def _place(self) -> None:
        """Choose each bug's segment: the three that stay one early, one in the middle, one late."""
        rng = self.rng
        for bug, segments in zip(rng.sample("abc", 3), ((0, 1), (2, 3), (5, 6)), strict=True):
            self.special[rng.choice(segments)].append(bug)
        warning = rng.choice((1, 2))
        self.special[warning].append("d")
        self.special[warning + 2].append("d-fix")
        self.special[rng.choice((1, 2))].append("g")
        self.special[rng.choice((4, 5))].append("g-fix")

    def _segment(self, segment: int, edits: list[str], broken: str | None) -> None:
        rng, items = self.rng, []
        if broken:
            inside = [edits.pop() for _ in range(rng.randint(4, 6))]
            items.append([broken, *inside, f"{broken}-fix"])
        aside = [bug for bug in self.special[segment] if bug in "abc" and rng.random() < 0.4]
        items += [[bug] for bug in self.special[segment] if bug not in aside]
        topics = self._topics(segment, edits, aside)
        items += [[edit] for edit in edits]
        for item in rng.sample([*items, *topics], len(items) + len(topics)):
            if isinstance(item, _Topic):
                self._merge(item, segment)
            else:
                self._line(item, segment)

    def _topics(self, segment: int, edits: list[str], aside: list[str]) -> list["_Topic | list[str]"]:
        """Take edits off the list into topic branches; a bug may go with them."""
        rng = self.rng
        topics: list[_Topic] = []
        while len(edits) > 6:
            length = min(max(1, round(rng.lognormvariate(1.1, 0.6))), 6, len(edits) - 4)
            taken = [edits.pop() for _ in range(length)]
            # an old branch now and then: what is merged late was often begun long ago
            back = segment - (rng.choice((3, 4)) if segment > 3 and rng.random() < 0.3 else rng.choice((0, 1, 2)))
            topics.append(_Topic(self._name(taken[0]), taken, max(back, 0)))
        for bug in aside:
            chosen = rng.choice(topics)
            chosen.edits.insert(rng.randint(0, len(chosen.edits)), bug)
        if len(topics) > 2 and rng.random() < 0.7:  # two of them go through a maintainer's branch
            first, second, *topics = topics
            own = [first.edits.pop()] if len(first.edits) > 1 else []
            outer = _Topic(self._area(first.edits[0]), own, max(first.back, second.back), [first, second])
            topics.append(outer)
        return list(topics)

    def _area(self, edit: str) -> str:
        return self.files.get(edit, "kernel/").rpartition("/")[0].replace("/", "-") or "misc"

    def _name(self, edit: str) -> str:
        self.topics += 1
        stem = self.files[edit].rpartition("/")[2].partition(".")[0].replace("_", "-")
        return f"{stem}-{self.topics}"

    def _fork(self, back: int, segment: int) -> int:
        """Choose a testable mainline commit of segment ``back``, or of the next one that has any."""
        for candidate in range(back, segment + 1):
            if self.by_segment[candidate]:
                return self.rng.choice(self.by_segment[candidate])
        return self.by_segment[0][0] if segment == 0 else self.plan.tags[f"v6.{FIRST_MINOR + segment - 1}"]

    def _branch(self, topic: _Topic, segment: int) -> int:
        tip = self._fork(topic.back, segment)
        for inner in topic.inner:
            taken = self._branch(inner, segment)
            tip = self.plan.add((tip, taken), kind="merge", topic=inner.name, onto=topic.name, segment=segment)
        for edit in topic.edits:
            tip = self.plan.add((tip,), edit=edit, segment=segment)
        return tip

    def _merge(self, topic: _Topic, segment: int) -> None:
        tip = self._branch(topic, segment)
        self._grow(segment, (self.plan.head, tip), kind="merge", topic=topic.name)

    def _line(self, edits: list[str], segment: int) -> None:
        for edit in edits:
            self._grow(segment, (self.plan.head,), edit=edit)

    def _release(self, segment: int) -> None:
        minor = FIRST_MINOR + segment
        self._grow(segment, (self.plan.head,), edit=f"release-{minor}", kind="release")
        self.plan.tags[f"v6.{minor}"] = self.plan.head

    def _grow(self, segment: int, parents: tuple[int, ...], **facts: object) -> None:
        number = self.plan.add(parents, segment=segment, **facts)
        self.plan.mainline.append(number)
        if not self.plan.untestable(number):
            self.by_segment[segment].append(number)
