"""The journal of a bisection by hand, its fold, and what a person with a flaky test is told."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from tests.support.histories import History

from firstbad.errors import UserError
from firstbad.hand.bisection import ByHand, Wanted
from firstbad.hand.journal import Journal
from firstbad.hand.state import Terms, fold

WRITER = """
import sys
from pathlib import Path
from firstbad.hand.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.begin({"number": -1})
for number in range(100_000):
    journal.append("say", {"number": number, "text": "x" * 5_000})
    print(number, flush=True)
"""


@pytest.fixture
def history(tmp_path):
    found = History(tmp_path / "repo")
    for number in range(17):
        found.commit(f"c{number}", {"file": str(number)})
    found.git("reset", "-q", "--hard", "master")
    return found


def test_what_a_killed_process_recorded_is_all_there(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "j")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    told = [int(line) for line in process.stdout.read().split()]
    process.wait()
    journal = Journal(tmp_path / "j")
    numbers = [event.data["number"] for event in journal.events()]
    assert numbers == list(range(-1, len(numbers) - 1))
    assert len(numbers) > max(told, default=19)  # what was used is there
    journal.append("say", {"number": "after"})
    assert [event.data["number"] for event in journal.events()] == [*numbers, "after"]


def test_a_line_without_an_end_never_happened(tmp_path):
    journal = Journal(tmp_path)
    journal.begin({})
    with journal.path.open("a") as file:
        file.write('{"time": 1, "kind": "say", "da')
    assert [event.kind for event in journal.events()] == ["start"]
    journal.append("flaky", {"rate": None})
    assert [event.kind for event in journal.events()] == ["start", "flaky"]


def test_a_line_that_is_none_of_ours_is_named(tmp_path):
    journal = Journal(tmp_path)
    journal.begin({})
    with journal.path.open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(UserError, match=r"events\.jsonl: line 2"):
        journal.events()


def test_one_command_at_a_time(tmp_path):
    journal = Journal(tmp_path)
    with journal.locked(), pytest.raises(UserError, match="another firstbad"), Journal(tmp_path).locked():
        pass


def test_each_work_tree_has_its_own(history, tmp_path):
    history.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"), "master~3")
    first = ByHand(history.path)
    first.start(Wanted(("master", "master~8")))
    first.go(first.propose().commit, "search")
    other = ByHand(tmp_path / "other")
    assert not other.journal.under_way
    other.start(Wanted(("master", "master~4")))
    assert history.git("rev-parse", "HEAD") == history.commits["c12"]
    assert other.propose().commit == history.commits["c14"]


def test_a_bare_repository_checks_nothing_out(history, tmp_path):
    history.git("clone", "-q", "--bare", str(history.path), str(tmp_path / "bare"))
    work = ByHand(tmp_path / "bare")
    work.start(Wanted(("master", "master~8")))
    work.go(work.propose().commit, "search")
    assert work.repo.resolve("FIRSTBAD_HEAD") == history.commits["c12"]


def test_a_shallow_clone_that_ends_between_good_and_bad_is_no_ground_for_an_answer(history, tmp_path):
    shallow, good = tmp_path / "shallow", history.commits["c2"]
    history.git("clone", "-q", "--depth", "5", f"file://{history.path}", str(shallow))
    work = ByHand(shallow)
    work.repo.git("fetch", "-q", "--depth", "1", "origin", good)
    with pytest.raises(UserError, match="git fetch --unshallow"):
        work.start(Wanted(("HEAD", good)))
    assert not work.journal.under_way
    work.start(Wanted(("HEAD",)))
    with pytest.raises(UserError, match="git fetch --unshallow"):
        work.say("good", [good])
    work.say("good", ["HEAD~3"])
    assert work.propose().left == 3


def test_nothing_is_written_beside_a_repository_whose_name_is_not_utf_8(history, tmp_path):
    place = tmp_path / os.fsdecode(b"na\xffme")
    history.path.rename(place)
    work = ByHand(place)
    work.start(Wanted(("master", "master~8")))
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    assert work.journal.under_way


def test_a_start_that_is_refused_leaves_what_was_under_way(history):
    work = ByHand(history.path)
    work.start(Wanted(("master", "master~8")))
    with pytest.raises(UserError, match="nothing was begun"):
        work.start(Wanted(("master~8", "master")))
    assert work.propose().left == 8


def test_undo_takes_back_what_undo_did_not(history):
    work = ByHand(history.path)
    work.start(Wanted(("master", "master~16")))
    work.say("good", ["master~8"])
    work.say("bad", ["master~4"])
    work.undo(1)
    work.say("good", ["master~2"])
    assert [event.data["commits"][0] for event in work.undo(2)] == [history.commits["c14"], history.commits["c8"]]
    hand = fold(work.events())
    assert hand.olds == (history.commits["c0"],)
    assert hand.new == history.commits["c16"]


def test_good_is_a_weak_word_of_a_flaky_test_and_bad_is_not(history):
    work = ByHand(history.path)
    work.start(Wanted(("master", "master~16")))
    work.go(work.propose().commit, "search")
    work.say("good", ["master~8"])
    work.flaky(0.1)
    # Nine runs in ten pass where the bug is: the older half is nearly as likely as before.
    weak = work.propose()
    assert weak.left > 12
    work.say("good", ["master~8"], runs=20)
    assert work.propose().left < weak.left
    work.say("bad", ["master~12"])
    assert work.propose().commit in {history.commits[f"c{number}"] for number in range(1, 5)}


@pytest.mark.parametrize("fix", [False, True])
def test_flaky_answers_lead_to_the_culprit(history, fix):
    """Four runs in ten show the bug where it is; c6 brought it (or took it away)."""
    chance = random.Random(7)
    work = ByHand(history.path)
    terms = Terms("bad", "good") if fix else Terms()
    work.start(Wanted(("master", "master~16"), terms=terms, own_terms=fix, fix=fix, checkout=False))
    work.flaky(None)
    for _ in range(200):
        proposal = work.propose()
        if proposal.status != "test":
            break
        work.go(proposal.commit, proposal.phase)
        after = int(work.repo.commit(proposal.commit).title[1:]) >= 6
        shows = after != fix and chance.random() < 0.4
        work.say("bad" if shows else "good", [proposal.commit])
    assert (proposal.status, proposal.commit) == ("found", history.commits["c6"])
    assert proposal.confidence > 0.99


def test_steps_are_those_of_git_for_each_culprit(history):
    """As many tests as halving takes: seventeen commits, four answers."""
    for culprit in range(1, 17):
        work = ByHand(history.path)
        work.start(Wanted(("master", "master~16")))
        answers = 0
        while (proposal := work.propose()).status == "test":
            number = int(work.repo.commit(proposal.commit).title[1:])
            work.say("bad" if number >= culprit else "good", [proposal.commit])
            answers += 1
        assert (proposal.commit, answers) == (history.commits[f"c{culprit}"], 4)


def test_a_killed_checkout_is_made_up_for(history):
    """An answer that was recorded counts, though its revision was never checked out."""
    work = ByHand(history.path)
    work.start(Wanted(("master", "master~16")))
    work.say("bad", ["master~8"])  # killed here
    again = ByHand(history.path)
    assert again.propose().commit == history.commits["c4"]
    assert time.time() - again.events()[-1].time < 60


def test_paths_are_those_of_the_directory_where_they_were_named(tmp_path):
    history = History(tmp_path / "repo")
    for number in range(9):
        history.commit(f"c{number}", {f"{'lib/a' if number % 2 else 'app/lib/a'}": str(number)})
    history.git("reset", "-q", "--hard", "master")
    work = ByHand(history.path / "app")
    work.start(Wanted(("master", "master~8"), paths=("lib",)))
    for place in ("app", "lib", "."):
        proposal = ByHand(history.path / place).propose()
        assert (proposal.left, proposal.commit) == (4, history.commits["c4"])
