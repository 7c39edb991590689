"""What one run says by the class of the bug, and that the search works with each."""

import pytest
from tests.support.lab import OOPS, WARNING, Lab
from tests.unit.test_session import bisect, contains, history, job_for, place  # noqa: F401 - fixtures

from firstbad.crash import Bug
from firstbad.errors import UserError
from firstbad.job import NOTHING, Symptom, make_job
from firstbad.session.lab import machine_config
from firstbad.session.symptom import FAILED, HUNG, NO_BOOT, judge_as, last_number, may_be_cut
from firstbad.vm import MachineRun

TITLE = "BUG: unable to handle kernel NULL pointer dereference in demo_read"
CRASH = OOPS.replace("FUNC", "demo_read")
LEAK = """BUG: memory leak
unreferenced object 0xffff888100000000 (size 64):
  comm "repro", pid 31, jiffies 4294937000
  backtrace (crc 0):
    kmalloc_trace+0x1/0x2
    widget_open+0x11/0x22
"""
OTHER, LOST = "WARNING in other_thing", "memory leak in widget_open"
STRANGER, OPEN, GADGET = Bug([OTHER]), Bug([LOST]), Bug(["memory leak in gadget_read"])
STALL = """[   30.000000] INFO: task repro:31 blocked for more than 20 seconds.
[   30.000001]       Not tainted 6.12.0 #1
[   30.000002] task:repro state:D stack:0 pid:31 tgid:31 ppid:1 flags:0x00004000
[   30.000003] Call Trace:
[   30.000004]  <TASK>
[   30.000005]  __schedule+0x10/0x20
[   30.000006]  schedule+0x10/0x20
[   30.000007]  widget_wait+0x10/0x20
[   30.000008]  </TASK>
[   30.000009] Kernel panic - not syncing: hung_task: blocked tasks
"""


def symptom(kind, **more):
    return Symptom.model_validate({"class": kind, **more})


def run(how, console="", *, status=None, output=b"", booted=True):
    return MachineRun(how, booted, console.encode(), status, 1.0, 1.0, "what the machine said", output)


def printed(output):
    return run("finished", output=output)


SLOW = {"metric": "latency_us", "threshold": 50}
SLOWER, FASTER = symptom("metric", **SLOW), symptom("metric", **SLOW, worse="below")


@pytest.mark.parametrize(
    ("wanted", "seen", "bug", "outcome", "title"),
    [
        (symptom("hang"), run("hang"), None, "crash", HUNG),
        (symptom("hang"), run("panic", STALL), Bug([HUNG]), "crash", HUNG),
        (symptom("hang"), run("panic", CRASH), None, "other", TITLE),
        (symptom("hang"), run("timeout"), None, "ok", ""),
        (symptom("hang"), run("lost"), None, "other", "lost connection to test machine"),
        (symptom("hang"), run("boot-failed", booted=False), None, "boot", "what the machine said"),
        (symptom("leak"), run("crash", LEAK), None, "crash", LOST),
        (symptom("leak"), run("crash", LEAK), OPEN, "crash", LOST),
        (symptom("leak"), run("crash", LEAK), GADGET, "other", LOST),
        (symptom("leak"), run("panic", WARNING), None, "other", OTHER),
        (symptom("leak"), run("finished"), None, "ok", ""),
        (symptom("leak"), run("hang"), None, "other", "no output from test machine"),
        (symptom("boot"), run("finished"), None, "ok", ""),
        (symptom("boot"), run("panic", CRASH), Bug([NO_BOOT]), "ok", ""),
        (symptom("boot"), run("boot-failed", booted=False), None, "crash", NO_BOOT),
        (symptom("boot"), run("boot-failed", booted=False), Bug([NO_BOOT]), "crash", NO_BOOT),
        (symptom("boot"), run("boot-failed", booted=False), STRANGER, "other", NO_BOOT),
        (symptom("boot"), run("boot-failed", WARNING, booted=False), STRANGER, "crash", OTHER),
        (symptom("boot"), run("boot-failed", CRASH, booted=False), STRANGER, "other", TITLE),
        (symptom("boot"), run("lost", booted=False), None, "infra", "what the machine said"),
        (symptom("boot"), run("infrastructure", booted=False), None, "infra", "what the machine said"),
        (symptom("test"), run("finished", status=0), None, "ok", ""),
        (symptom("test"), run("finished", status=1), Bug([FAILED]), "crash", FAILED),
        (symptom("test"), run("finished", status=139), None, "crash", FAILED),
        (symptom("test"), run("timeout"), None, "crash", FAILED),
        (symptom("test"), run("finished", status=125), None, "other", "test without a verdict"),
        (symptom("test"), run("finished", status=127), None, "other", "test without a verdict"),
        (symptom("test"), run("finished"), None, "other", "test without a verdict"),
        (symptom("test"), run("panic", CRASH, status=1), None, "other", TITLE),
        (symptom("test"), run("boot-failed", booted=False), None, "boot", "what the machine said"),
        (SLOWER, printed(b"latency_us 50\n"), None, "ok", ""),
        (SLOWER, printed(b"latency_us: 50.5\n"), None, "crash", "latency_us above 50"),
        (FASTER, run("timeout", output=b"latency_us=12"), None, "crash", "latency_us below 50"),
        (SLOWER, printed(b"nothing\n"), None, "other", "no number after 'latency_us'"),
        (SLOWER, run("panic", CRASH, output=b"latency_us 70\n"), None, "other", TITLE),
    ],
)
def test_outcomes(wanted, seen, bug, outcome, title):
    found = judge_as(seen, bug, wanted)
    assert (found.outcome, found.title) == (outcome, title), found.why


@pytest.mark.parametrize(
    ("output", "value"),
    [
        (b"latency 1\nlatency 2.5\n", 2.5),
        (b"latency: -3e2 us", -300.0),
        (b"max_latency 7", None),
        (b"latency\n8", None),
        (b"latency9", None),
        (b"latency = 9", 9.0),
        (b"the latency =9", 9.0),
        (b"latency 1e999", None),
        (b"\xff\xfe latency 4\xff", 4.0),
    ],
)
def test_numbers(output, value):
    assert last_number(output, "latency") == value


@pytest.mark.parametrize(
    ("bug", "error"),
    [
        ({"class": "metric"}, "needs the number's name"),
        ({"class": "metric", "metric": "x"}, "needs the number's name"),
        ({"class": "test", "threshold": 3}, "only"),
        ({"class": "warts"}, "bug.class"),
    ],
)
def test_a_wrong_table_is_refused(history, bug, error):  # noqa: F811
    with pytest.raises(UserError, match=error):
        job_for(history, bug=bug)


def test_only_a_boot_needs_no_reproducer(history):  # noqa: F811
    job = job_for(history)
    data = {"repo": str(job.repo), "config": str(job.config)}
    assert make_job({**data, "bug": {"class": "boot"}}).repro == NOTHING
    assert make_job({**data, "bug": {"class": "boot"}, "repro": str(job.repro)}).repro == job.repro
    with pytest.raises(UserError, match="repro: missing"):
        make_job(data)


def test_a_job_survives_the_store(history):  # noqa: F811
    job = job_for(history, bug={"class": "metric", "metric": "us", "threshold": 3.5, "worse": "below"})
    assert type(job).model_validate(job.model_dump(mode="json")) == job


def test_user_mode_linux_is_a_machine_and_an_architecture(history):  # noqa: F811
    for fields in ({"machine": {"backend": "uml"}}, {"build": {"arch": "um"}}):
        job = job_for(history, **fields)
        assert (job.machine.backend, job.build.arch) == ("uml", "um")
        assert type(job).model_validate(job.model_dump(mode="json")) == job
        assert machine_config(job).arch == "um"
    with pytest.raises(UserError, match=r"can't run build\.arch 'aarch64'"):
        job_for(history, machine={"backend": "uml"}, build={"arch": "aarch64"})
    with pytest.raises(UserError, match=r"'qemu' can't run build\.arch 'um'"):
        job_for(history, machine={"backend": "qemu"}, build={"arch": "um"})


def test_an_image(history, tmp_path):  # noqa: F811
    (tmp_path / "disk").touch()
    machine = {"image": str(tmp_path / "disk"), "root": "/dev/vda3"}
    disk = machine_config(job_for(history, machine=machine)).disk
    assert (disk.image, disk.key, disk.root) == (tmp_path / "disk", None, "/dev/vda3")
    with pytest.raises(UserError, match=r"machine\.ssh_key: no such file"):
        job_for(history, machine={**machine, "ssh_key": str(tmp_path / "none")})
    with pytest.raises(UserError, match="machines of QEMU"):
        job_for(history, machine={**machine, "backend": "uml"})
    with pytest.raises(UserError, match="can't be had"):
        job_for(history, machine=machine, bug={"class": "leak"})


def test_a_leak_is_looked_for_after_the_run(history):  # noqa: F811
    machine = machine_config(job_for(history, bug={"class": "leak"}, machine={"run_seconds": 7, "append": "quiet"}))
    assert machine.append == "quiet firstbad.leak=7"
    assert machine.run_seconds > 7
    assert machine_config(job_for(history)).append == ""


def test_only_crashes_come_with_time():
    assert [kind for kind in ("crash", "hang", "leak", "boot", "test") if may_be_cut(symptom(kind))] == ["crash"]


class Played(Lab):
    """Where the bug is, runs end as ``bad`` says; elsewhere as ``good`` does."""

    def run(self, request):
        done = super().run(request)
        seen = self.bad if done.result().ended == "panic" else self.good
        done = type(done)()
        done.set_result(seen)
        return done


@pytest.mark.parametrize(
    ("bug", "bad", "good"),
    [
        ({"class": "boot"}, run("boot-failed", booted=False), run("finished")),
        ({"class": "boot"}, run("boot-failed", WARNING, booted=False), run("finished")),
        ({"class": "test"}, run("timeout"), run("finished", status=0)),
        ({"class": "hang"}, run("hang"), run("finished", status=0)),
        ({"class": "metric", **SLOW}, printed(b"latency_us 51"), printed(b"latency_us 9")),
    ],
)
def test_the_search(history, place, tmp_path, bug, bad, good):  # noqa: F811
    lab = Played(tmp_path, contains(history, "c33"))
    lab.bad, lab.good = bad, good
    finished, store, number = bisect(place, job_for(history, bug=bug, good=[history.commits["c22"]]), lab)
    assert (finished["status"], finished["commits"]) == ("found", [history.commits["c33"]])
    outcomes = {event.data["outcome"] for event in store.events(number) if event.kind == "run"}
    assert outcomes == {"crash", "ok"}
