"""Decisions for any project, on small histories of git, without processes."""

import random
import subprocess

import pytest
from tests.support.projects import below, line, make_repo, merging, search

HISTORIES = {"line of 2": line(2), "line of 3": line(3), "line": line(60)}
HISTORIES |= {f"merges {seed}": merging(50, seed) for seed in (1, 2, 3)}


@pytest.fixture(scope="module", params=HISTORIES)
def history(request, tmp_path_factory):
    parents = HISTORIES[request.param]
    directory = tmp_path_factory.mktemp("histories") / "repo"
    return directory, make_repo(directory, parents), parents


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    directory = tmp_path_factory.mktemp("histories") / "line"
    return directory, make_repo(directory, line(60)), line(60)


def culprits(parents, count):
    everything = range(1, len(parents))
    return everything if len(everything) <= count else random.Random(7).sample(everything, count)


def git_bisect(directory, hashes, parents, culprit):
    """Commands that `git bisect run` runs, and its answer: its own loop, in a bare repository."""

    def git(*words):
        done = subprocess.run(["git", "-C", str(directory), *words], capture_output=True, text=True, check=True)
        return done.stdout

    git("bisect", "start", "--no-checkout", hashes[-1], hashes[0])
    tests = 0
    while True:
        head = git("rev-parse", "BISECT_HEAD").strip()
        bad = culprit in below(parents, hashes.index(head))
        if (tests, len(hashes)) == (0, 2):
            said = "is the first bad commit"
        else:
            tests, said = tests + 1, git("bisect", "bad" if bad else "good")
        if "is the first bad commit" in said:
            found = git("rev-parse", "refs/bisect/bad").strip()
            git("bisect", "reset")
            return tests, found


def test_a_test_that_always_says_the_same_takes_no_more_commands_than_git_bisect_run(history):
    directory, hashes, parents = history
    if len(hashes) == 2:
        pytest.skip("git knows the answer without a test; see the next one")
    for culprit in culprits(parents, 10):
        commands, commit = git_bisect(directory, hashes, parents, culprit)
        assert commit == hashes[culprit]
        plain = search(directory, hashes, parents, culprit, confirm=False)
        assert (plain.commit, plain.tests <= commands) == (commit, True), culprit
        proved = search(directory, hashes, parents, culprit)
        assert proved.commit == commit
        assert proved.tests - proved.confirming <= commands
        assert proved.confirming <= 8 + 2 * len(parents[culprit])
        tested = {commit for commit, tally in proved.state.tallies.items() if tally.total}
        ends = {hashes[culprit], *(hashes[p] for p in parents[culprit])}
        assert ends <= tested, "culprit and parents were run themselves"
        assert proved.finish.confidence >= 0.99


def test_nothing_is_run_without_confirmation_where_nothing_lies_between(tmp_path):
    hashes = make_repo(tmp_path / "r", line(2))
    ran = search(tmp_path / "r", hashes, line(2), 1, confirm=False)
    assert (ran.commit, ran.tests) == (hashes[1], 0)


def test_two_workers_take_fewer_rounds(straight):
    directory, hashes, parents = straight
    for culprit in culprits(parents, 8):
        one = search(directory, hashes, parents, culprit)
        two = search(directory, hashes, parents, culprit, machines=2)
        assert one.commit == two.commit == hashes[culprit]
        assert two.rounds < one.rounds


@pytest.mark.parametrize("rate", [0.9, 0.7, 0.5, 0.3, 0.1])
def test_a_flaky_test_gets_the_right_answer_at_the_stated_probability(straight, rate):
    directory, hashes, parents = straight
    wrong = 0
    seeds = 10 if rate > 0.2 else 4
    for seed in range(seeds):
        culprit = random.Random(seed).randrange(1, 60)
        ran = search(directory, hashes, parents, culprit, rate=rate, seed=seed)
        assert ran.finish.status in ("found", "candidates")
        assert ran.finish.confidence >= 0.98
        wrong += hashes[culprit] not in ran.finish.commits
    assert wrong <= 1, "at .99 two of ten wrong are a chance of one in two hundred"


def test_two_workers_are_sooner_done_with_a_flaky_test_where_builds_take_the_time(straight):
    directory, hashes, parents = straight
    seconds = {1: 0.0, 2: 0.0}
    for seed in range(8):
        culprit = random.Random(seed).randrange(1, 60)
        for machines in seconds:
            times = {"build_seconds": 30.0, "run_seconds": 1.0}
            ran = search(directory, hashes, parents, culprit, rate=0.7, seed=seed, machines=machines, **times)
            assert hashes[culprit] in ran.finish.commits
            seconds[machines] += ran.seconds
    assert seconds[1] / seconds[2] > 1.4, "one at a time with two workers for its runs: 1.36"


def test_failures_where_the_bug_is_not_do_not_mislead(straight):
    directory, hashes, parents = straight
    for seed in range(5):
        ran = search(directory, hashes, parents, 31, rate=0.8, false_rate=0.02, seed=seed)
        assert hashes[31] in ran.finish.commits


@pytest.mark.parametrize("confirm", [True, False])
def test_what_does_not_build_is_skipped(straight, confirm):
    directory, hashes, parents = straight
    ran = search(directory, hashes, parents, 31, broken=frozenset(range(27, 31)), confirm=confirm)
    assert ran.finish.status == "candidates"
    assert set(ran.finish.commits) == {hashes[i] for i in range(27, 32)}
    ran = search(directory, hashes, parents, 20, broken=frozenset(range(27, 31)), confirm=confirm)
    assert ran.commit == hashes[20]


def test_what_can_not_be_told_apart_is_the_answer_as_soon_as_that_is_sure(straight):
    """The culprit does not build, and all tests say the same: no run is made that could not change the answer."""
    directory, hashes, parents = straight
    ran = search(directory, hashes, parents, 31, broken=frozenset({31}))
    assert ran.finish.status == "candidates"
    assert set(ran.finish.commits) == {hashes[31], hashes[32]}
    assert ran.finish.confidence >= 0.99
    assert ran.tests <= 15, "log2 of 60 and a few more to know that it fails each time"


def test_a_fix_is_found(history):
    directory, hashes, parents = history
    for culprit in culprits(parents, 6):
        ran = search(directory, hashes, parents, culprit, fix=True)
        assert ran.commit == hashes[culprit], culprit


def test_a_test_that_never_fails_does_not_reproduce(straight):
    directory, hashes, parents = straight
    ran = search(directory, hashes, parents, 31, rate=0.0)
    assert ran.finish.status == "not_reproduced"
    assert hashes[-1][:12] in ran.finish.why
    assert ran.finish.why.endswith("in 200 runs: does it in a clean checkout, with nothing before it but --build?")
    assert ran.rounds < 30, "batches grow while nothing fails"


def test_a_test_that_always_fails_blames_nobody_for_sure(straight):
    directory, hashes, parents = straight
    ran = search(directory, hashes, parents, 31, rate=1.0, false_rate=1.0)
    assert ran.finish.status != "found", ran.finish
