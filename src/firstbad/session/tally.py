"""What the runs of one revision said, counted; what they come to is the belief's business."""

from collections import Counter
from dataclasses import dataclass, field, replace

from firstbad.inference import Evidence, Exposure
from firstbad.session.outcome import Run

# Boot failures of a revision, with no other run seen, after which it counts as one that does not boot: few where the
# kernel was silent, more where it crashed with a report, which may be another bug that shows now and then.
SILENT_BOOTS = 2
CRASHED_BOOTS = 5
# Runs lost to other bugs, with no other run seen, after which a revision counts as one that can't be tested.
LOST_RUNS = 20
# Runs that did not come near the crash's code, with fewer that did, after which a revision can't be tested either.
ASTRAY_RUNS = 5
# How alike two runs of one snapshot are, beyond what the revision makes them: 0 independent, 1 the same run twice.
# Cautious: docs/lab.md says what was measured.
SNAPSHOT_CORRELATION = 0.3


@dataclass
class Group:
    """The runs of one snapshot: they began in the same state."""

    crashes: int = 0
    clean: int = 0
    cut: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """What one of its runs is worth, in independent ones: 1 / (1 + (n - 1) rho), the design effect of a cluster
        sample (Kish, Survey Sampling, 1965)."""
        runs = self.crashes + self.clean + len(self.cut)
        return 1.0 / (1.0 + (runs - 1) * SNAPSHOT_CORRELATION)

    @property
    def repeated(self) -> int:
        """Crashes that only repeat another one."""
        return self.crashes - max(1, round(self.crashes * self.share)) if self.crashes else 0


@dataclass
class Tally:
    """What the runs of one revision said."""

    crashes: int = 0
    clean: int = 0
    lost: int = 0  # runs that ended in another bug's crash
    boot: int = 0
    boot_reports: int = 0  # those of the failed boots that left a crash report
    infra: int = 0
    cut: list[float] = field(default_factory=list)  # clean runs that were ended early: after how many seconds
    reached: int = 0  # of the clean ones, those known to have come to the crash's code
    unreached: int = 0  # clean runs known not to have come there; they are not in ``clean`` or ``cut``
    absent: bool = False  # the crash's code does not exist here
    groups: dict[str, Group] = field(default_factory=dict)  # runs of snapshots, which are counted above too
    told: Counter[str] = field(default_factory=Counter)  # outcomes of runs made elsewhere, which are not counted above

    def add(self, run: Run) -> None:
        """Count one run."""
        group = self.groups.setdefault(run.group, Group()) if run.group else Group()
        group.crashes += run.outcome == "crash"
        if run.outcome == "ok" and run.reached is not False:
            if run.cut:
                group.cut.append(run.seconds)
            else:
                group.clean += 1
        if run.outcome == "ok":
            self._add_clean(run)
            return
        name = {"crash": "crashes", "other": "lost", "boot": "boot", "infra": "infra"}[run.outcome]
        setattr(self, name, getattr(self, name) + 1)
        self.boot_reports += run.outcome == "boot" and run.report is not None

    def _add_clean(self, run: Run) -> None:
        self.absent |= run.reached == "absent"
        if run.reached is False:
            self.unreached += 1
            return
        self.reached += run.reached is True
        if run.cut:
            self.cut.append(run.seconds)
        else:
            self.clean += 1

    def forget_reach(self, run: Run) -> None:
        """Count a clean run again as one of which it is not known what it reached."""
        self.absent = False
        self.reached -= run.reached is True
        if run.reached is False:
            self.unreached -= 1
            self.add(replace(run, reached=None))

    @property
    def useful(self) -> int:
        """Runs that showed the bug or came to their end without it."""
        return self.crashes + self.clean + len(self.cut)

    def evidence(self, exposure: Exposure) -> Evidence:
        """The counts as the belief takes them; ``exposure`` says what a run that was ended early is worth.

        Where most clean runs did not come near the crash's code, those that did say nothing either: what keeps the
        others away may keep the bug from showing in them too. Runs of one snapshot are worth less each, the more they
        are (:class:`Group`).
        """
        if self.astray:
            return Evidence(lost=self.total)
        groups = list(self.groups.values())
        alone = Counter(self.cut) - Counter(seconds for group in groups for seconds in group.cut)
        found = Evidence(
            self.crashes - sum(group.repeated for group in groups),
            self.clean - sum(group.clean for group in groups),
            self.lost + self.infra,
            exposure.shares(list(alone.elements())),
            self.reached,
            self.unreached,
            self.absent,
        )
        for group in groups:
            clean = ((group.share, group.clean),) if group.clean else ()
            cut = tuple((share * group.share, runs) for share, runs in exposure.shares(group.cut))
            found = found.plus(Evidence(cut=clean)).plus(Evidence(cut=cut))
        return found

    @property
    def total(self) -> int:
        """All runs."""
        return self.useful + self.unreached + self.lost + self.boot + self.infra

    @property
    def astray(self) -> bool:
        """Whether most runs don't come near the code of the crash."""
        return self.unreached > self.reached + self.crashes

    @property
    def drowned(self) -> bool:
        """Whether other bugs leave no run to this one."""
        return self.lost >= LOST_RUNS and self.useful == 0

    @property
    def boots(self) -> bool | None:
        """Whether the revision boots; None while that is open."""
        if self.useful + self.unreached + self.lost:
            return True
        silent = self.boot - self.boot_reports
        return False if silent >= SILENT_BOOTS or self.boot >= CRASHED_BOOTS else None
