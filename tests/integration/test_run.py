"""`firstbad run` on small projects: real git, real processes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

COMMITS, CULPRIT = 20, 13
WHO = {f"GIT_{role}_{part}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


def git(repo, *words, **env):
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(repo), *words],
        env={**os.environ, **WHO, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Project:
    """A repository of which commit CULPRIT breaks ``prog``, and a place for firstbad."""

    def __init__(self, root: Path) -> None:
        self.root, self.repo, self.hashes = root, root / "repo", list[str]()
        git(root, "init", "-q", "-b", "main", str(self.repo))
        (self.repo / ".gitignore").write_text("built\n")
        for i in range(COMMITS):
            self.commit(i)
        git(self.repo, "tag", "v1", self.hashes[0])

    def commit(self, i: int) -> None:
        (self.repo / "prog").write_text(f"# {i}\n{'exit 1' if i >= CULPRIT else 'exit 0'}\n")
        (self.repo / "n").write_text(f"{i}\n")
        git(self.repo, "add", ".")
        git(self.repo, "commit", "-q", "-m", f"change {i}", GIT_COMMITTER_DATE=f"{1_700_000_000 + i} +0000")
        self.hashes.append(git(self.repo, "rev-parse", "HEAD"))

    @property
    def culprit(self) -> str:
        return self.hashes[CULPRIT]

    def start(self, *words: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        home = {"FIRSTBAD_HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        (self.root / "tmp").mkdir(exist_ok=True)
        ends = [] if "--bad" in words else ["--good", self.hashes[0], "--bad", self.hashes[-1]]
        return subprocess.Popen(
            [sys.executable, "-m", "firstbad", "run", "--json", *ends, *words],
            cwd=cwd or self.repo,
            env={**os.environ, **home, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, status: int = 0, **kwargs):
        process = self.start(*words, **kwargs)
        out, err = process.communicate(timeout=120)
        assert process.returncode == status, (out, err)
        found = json.loads(out) if out else {}
        found["err"] = err
        return found


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_the_culprit_is_found_and_the_users_repository_is_left_alone(project):
    log, index = project.root / "log", (project.repo / ".git/index").read_bytes()
    (project.repo / "n").write_text("my work\n")
    test = f'echo "$FIRSTBAD_COMMIT $(git rev-parse HEAD) $(git describe --tags) $FIRSTBAD_RUN" >>{log}; sh ./built'
    found = project.run("--build", "cp prog built; pwd > where", "--", "sh", "-c", test)
    assert (found["status"], found["commits"]) == ("found", [project.culprit])
    assert found["probabilities"][0] >= 0.99
    assert found["confidence"] >= 0.99
    names = ("revisions_tested", "builds", "runs", "wall_seconds")
    assert all(found[name] > 0 for name in names)
    rows = [row.split() for row in log.read_text().splitlines()]
    assert all(said == head for said, head, *_ in rows)
    assert all(described.startswith("v1-") for _, _, described, _ in rows)
    assert [int(row[3]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == found["runs"]
    assert (project.repo / "n").read_text() == "my work\n"
    assert (project.repo / ".git/index").read_bytes() == index
    assert git(project.repo, "worktree", "list").count("\n") == 0
    assert git(project.repo, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_second_search_builds_nothing_again(project):
    log = project.root / "builds"
    words = ("--build", f"cp prog built; echo x >> {log}", "--", "sh", "./built")
    first = project.run(*words)
    built = len(lines(log))
    again = project.run(*words)
    assert built == first["builds"] == len(lines(log))
    assert again["job"] != first["job"]
    assert again["commits"] == [project.culprit]


def test_builds_that_fail_and_tests_that_can_not_tell_are_skipped(project):
    n = "case $(cat n) in 9|10) exit 1;; esac; cp prog built"
    test = "case $(cat n) in 11) exit 125;; esac; sh ./built"
    found = project.run("--build", n, "--", "sh", "-c", test)
    assert found["commits"] == [project.culprit]
    everything = project.run("--build", "exit 1", "--", "true", status=10)
    assert everything["status"] == "candidates"
    assert len(everything["commits"]) >= COMMITS * 0.9


def test_files_and_the_report_speak_of_failures_and_of_skips(project):
    junit = project.root / "out.xml"
    test = "case $(cat n) in 8|9|10|11) exit 125;; esac; exec sh prog"
    found = project.run("--junit", str(junit), "--", "sh", "-c", test)
    assert found["commits"] == [project.culprit]
    suite = ET.parse(junit).getroot()[0]
    assert (suite.get("name"), suite.get("errors")) == (f"cause of a failure since {project.hashes[-1][:12]}", "0")
    skipped = {one.get("message") for one in suite.iter("skipped")}
    assert skipped == {"can't be tested: skip: exit status 125"}
    assert all(one.get("message", "").endswith("runs failed: exit status 1") for one in suite.iter("failure"))
    words = [sys.executable, "-m", "firstbad", "report"]
    home = {**os.environ, "FIRSTBAD_HOME": str(project.root / "home")}
    told = subprocess.run(words, env=home, capture_output=True, text=True, check=True)
    evidence = (told.stdout + told.stderr).partition("the evidence:")[2]
    assert "0 failed, 0 clean, 0 failed otherwise, 1 said nothing" in evidence
    assert "crash" not in evidence


def test_128_and_above_and_signals_end_the_search_as_in_git_bisect_run(project):
    for end in ("exit 128", "kill -SEGV $$"):
        found = project.run("--", "sh", "-c", f"sh ./prog || {end}", status=128)
        assert "--crash-is-bad" in found["err"]
        found = project.run("--crash-is-bad", "--", "sh", "-c", f"sh ./prog || {end}")
        assert found["commits"] == [project.culprit]


def test_an_untracked_script_is_found_wherever_the_search_runs(project):
    (project.repo / "check.sh").write_text("#!/bin/sh\nexec sh ./prog\n")
    (project.repo / "check.sh").chmod(0o755)
    assert project.run("--", "./check.sh")["commits"] == [project.culprit]
    assert "no-such-command" in project.run("--", "no-such-command", status=2)["err"]


def test_a_fix_is_found(project):
    words = ("--fix", "--good", project.hashes[-1], "--bad", project.hashes[0])
    found = project.run(*words, "--", "sh", "-c", "! sh ./prog")
    assert (found["kind"], found["commits"]) == ("fix", [project.culprit])


def test_ends_that_are_the_wrong_way_round_are_told(project):
    words = ("--good", project.hashes[-1], "--bad", project.hashes[0])
    assert "exchange --good and --bad" in project.run(*words, "--", "true", status=2)["err"]


def test_another_failure_is_not_taken_for_this_one(project):
    other = (
        "[ $(cat n) -ge 5 ] && [ $((FIRSTBAD_RUN % 3)) = 0 ] && { echo 'Assertion `x == 1'\"'\"' failed.'; exit 1; }"
    )
    test = f"{other}; sh ./prog || {{ echo 'ERROR: AddressSanitizer: heap-use-after-free on address 0x1'; exit 1; }}"
    for option in ("--title", "AddressSanitizer"), ("--match", "heap-use-.*-free"):
        found = project.run(*option, "--", "sh", "-c", test)
        assert found["commits"] == [project.culprit], option


def test_a_change_of_level_in_a_number_is_found(project):
    # A tenth more from the culprit on, in noise of a twentieth, and one outlier in eight.
    number = (
        "awk -v n=$(cat n) -v r=$FIRSTBAD_RUN 'BEGIN { srand(r * 7919); x = 100 + (n >= 13) * 10 + 10 * (rand() - .5);"
    )
    found = project.run("--metric", f'{number} if (rand() < .125) x *= 3; print "time", x }}\'', "--", "true")
    assert found["commits"] == [project.culprit]
    flat = project.run("--metric", "echo $((FIRSTBAD_RUN % 4))", "--", "true", status=14)
    assert "hardly differ" in flat["err"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_a_test_does_stays_its_own_affair(project, jobs):
    nap = f"{10_000 + os.getpid() % 1000}"
    test = (
        f"sleep {nap} & setsid sleep {nap} & (setsid sh -c 'sleep {nap} & sleep {nap}' &);"
        "head -c 1000000 /dev/zero > $TMPDIR/junk; echo changed > n; echo new > junk; sh ./prog"
    )
    found = project.run("--jobs", jobs, "--", "sh", "-c", test)
    assert found["commits"] == [project.culprit]
    assert not running(nap)
    assert not list((project.root / "tmp").iterdir())
    notes = " ".join(found["notes"])
    assert "left processes behind" in notes
    assert "junk" in notes


def running(nap: str) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if f"sleep {nap}" in line and "ps -eo" not in line]


def test_a_test_that_hangs_is_ended(project):
    nap = f"{20_000 + os.getpid() % 1000}"
    test = f"sh ./prog || sleep {nap}"
    found = project.run("--timeout", "0.5", "--timeout-is-bad", "--", "sh", "-c", test)
    assert found["commits"] == [project.culprit]
    assert not running(nap)
    # Without that a hang says nothing: everything from the culprit on can't be tested.
    found = project.run("--timeout", "0.5", "--", "sh", "-c", test, status=10)
    assert set(found["commits"]) == set(project.hashes[CULPRIT:])


def test_a_search_that_is_killed_goes_on_and_repeats_nothing(project):
    log = project.root / "log"
    words = ("--build", "cp prog built", "--", "sh", "-c", f"sleep .2; echo $FIRSTBAD_COMMIT >> {log}; sh ./built")
    kills = 0
    while True:
        process = project.start(*words)
        try:
            out, _ = process.communicate(timeout=1.2 + 0.3 * kills)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            kills += 1
        if out.endswith("\n"):  # it may be killed after its last word, too
            found = json.loads(out)
            break
    assert kills
    assert (found["commits"], found["job"]) == ([project.culprit], 1)
    # Only what was under way when it was killed may have run once more.
    assert found["runs"] <= len(lines(log)) <= found["runs"] + kills


def test_ctrl_c_twice_leaves_no_process(project):
    nap = f"{30_000 + os.getpid() % 1000}"
    process = project.start("--", "sh", "-c", f"setsid sleep {nap} & sleep {nap}")
    wait_for(lambda: len(running(nap)) >= 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode
    wait_for(lambda: not running(nap))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_says_how_to_go_on_and_leaves_nothing(project, number):
    nap, left = f"{50_000 + os.getpid() % 1000}", project.root / "tmp"
    process = project.start("--", "sh", "-c", f"setsid sleep {nap} & sleep {nap}")
    wait_for(lambda: len(running(nap)) >= 2)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.endswith("interrupted; `firstbad resume 1` goes on from here\n")
    assert not running(nap)
    assert list(left.iterdir()) == []


def test_a_killed_search_leaves_no_process(project):
    nap = f"{40_000 + os.getpid() % 1000}"
    process = project.start("--", "sh", "-c", f"setsid sleep {nap} & sleep {nap}")
    wait_for(lambda: len(running(nap)) >= 2)
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: not running(nap))


def wait_for(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_so_many_runs_and_no_more(project):
    found = project.run("--runs-max", "3", "--", "sh", "./prog", status=124)
    assert (found["status"], found["runs"]) == ("budget", 3)
    assert project.culprit in found["commits"]
    environment = {**os.environ, "FIRSTBAD_HOME": str(project.root / "home")}
    ends = []
    while not ends or ends[-1] == 124:
        words = [sys.executable, "-m", "firstbad", "resume", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=project.repo, check=False)
        ends.append(done.returncode)
        said = json.loads(done.stdout)
        assert said["runs"] <= 3 * (len(ends) + 1)
    assert (said["status"], said["commits"], ends.pop()) == ("found", [project.culprit], 0)
    assert ends, "as many more were enough at once: nothing was limited"


def test_evidence_is_told_by_the_answer(project):
    # Fails at every second run of a revision: one clean run beyond the culprit is no good revision.
    counted = 'n=$FIRSTBAD_COMMIT; echo >>"$0.$n"; test $(($(wc -l <"$0.$n") % 2)) = 1 || sh ./prog'
    script = project.root / "every-second"
    script.write_text(f"#!/bin/sh\n{counted}\n")
    script.chmod(0o755)
    found = project.run("--", str(script))
    assert found["commits"] == [project.culprit]
    environment = {**os.environ, "FIRSTBAD_HOME": str(project.root / "home")}
    words = [sys.executable, "-m", "firstbad", "report"]
    said = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=project.repo, check=True).stdout
    lines = said.partition("the evidence:")[2].splitlines()
    told = {line.split()[0]: line.split()[1] for line in lines if re.match(r"[0-9a-f]{12} ", line)}
    short = [commit[:12] for commit in project.hashes]
    assert told == {commit: "bad" if short.index(commit) >= CULPRIT else "good" for commit in told}
    assert "             good by its own runs, bad by the answer" in lines


def test_submodules_come_from_the_users_clone(project, tmp_path):
    (tmp_path / "library").mkdir()
    library = Project(tmp_path / "library")
    git(project.repo, "submodule", "--quiet", "add", str(library.repo), "lib")
    hashes = []
    for i in range(8):
        git(project.repo / "lib", "checkout", "-q", library.hashes[CULPRIT - 4 + i])
        git(project.repo, "commit", "-q", "-a", "-m", f"library {i}")
        hashes.append(git(project.repo, "rev-parse", "HEAD"))
    library.repo.rename(tmp_path / "gone")
    found = project.run("--good", hashes[0], "--bad", hashes[-1], "--", "sh", "lib/prog")
    assert found["commits"] == [hashes[4]]


def test_sparse_clones_stay_sparse(project):
    (project.repo / "big").mkdir()
    (project.repo / "big/file").write_text("much")
    project.commit(COMMITS)
    git(project.repo, "sparse-checkout", "set", "--no-cone", "/*", "!/big/")
    found = project.run(
        "--good", project.hashes[0], "--bad", project.hashes[-1], "--", "sh", "-c", "test ! -e big && sh ./prog"
    )
    assert found["commits"] == [project.culprit]


def test_files_that_a_partial_clone_lacks_are_fetched_for_the_revisions_that_are_tested(project):
    git(project.repo, "config", "uploadpack.allowFilter", "true")
    partial = project.root / "partial"
    git(project.root, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{project.repo}", str(partial))
    missing = ("rev-list", "--objects", "--all", "--missing=print")
    before = git(partial, *missing).count("?")
    assert before > COMMITS
    ends = ("--good", project.hashes[0], "--bad", project.hashes[-1])
    assert project.run(*ends, "--", "sh", "./prog", cwd=partial)["commits"] == [project.culprit]
    assert git(partial, *missing).count("?") > before / 2


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="needs git-lfs")
def test_files_of_git_lfs_stay_pointers(project):
    lfs = {"GIT_CONFIG_GLOBAL": str(project.root / "gitconfig")}
    (project.root / "gitconfig").write_text(
        '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n'
        "\tprocess = git-lfs filter-process\n\trequired = true\n"
    )
    (project.repo / ".gitattributes").write_text("*.bin filter=lfs\n")
    (project.repo / "big.bin").write_text("much\n")
    git(project.repo, "add", ".", **lfs)
    git(project.repo, "commit", "-q", "-m", "with a big file", **lfs)
    for i in range(5):
        project.commit(COMMITS + i)
    pointers = ("sh", "-c", "if test -e big.bin; then grep -q git-lfs big.bin || exit 200; fi; exec sh ./prog")
    ends = ("--good", project.hashes[0], "--bad", project.hashes[-1])
    for asks in (lfs, {}):  # with git-lfs set up for the user, and without
        found = project.run(*ends, "--", *pointers, **asks)
        assert found["commits"] == [project.culprit]


def test_a_shallow_clone_says_what_to_fetch(project):
    shallow = project.root / "shallow"
    git(project.root, "clone", "-q", "--depth", "10", f"file://{project.repo}", str(shallow))
    good = project.hashes[COMMITS - 9]
    found = project.run("--good", good, "--bad", "HEAD", "--", "sh", "./prog", cwd=shallow)
    assert found["commits"] == [project.culprit]
    git(shallow, "fetch", "-q", "--depth", "1", "origin", "tag", "v1")
    found = project.run("--good", "v1", "--bad", "HEAD", "--", "true", cwd=shallow, status=2)
    assert "git fetch --unshallow" in found["err"]


def test_the_merge_base_is_tested_where_the_good_end_is_on_another_branch(project):
    git(project.repo, "checkout", "-q", "-b", "side", project.hashes[4])
    (project.repo / "other").write_text("x")
    git(project.repo, "add", ".")
    git(project.repo, "commit", "-q", "-m", "side")
    found = project.run("--good", "side", "--bad", "main", "--", "sh", "./prog")
    assert found["commits"] == [project.culprit]
    git(project.repo, "checkout", "-q", "-b", "late", project.hashes[15])
    git(project.repo, "commit", "-q", "--allow-empty", "-m", "late")
    found = project.run("--good", "late", "--bad", "main", "--", "sh", "./prog", status=15)
    assert "merge base" in found["err"]


SCRIPTS = {
    "no interpreter is named": ("sh prog\n", 0o755, ""),
    "not executable": (
        "#!/bin/sh\nsh prog\n",
        0o644,
        "not executable: chmod +x check, or name what runs it, as in `sh check`",
    ),
    "Windows' line ends": ("#!/bin/sh\r\nsh prog\r\n", 0o755, "its lines end as on Windows"),
    "another machine's interpreter": (
        "#!/opt/none/python3 -u\n",
        0o755,
        "its first line names is not there: /opt/none/python3 -u",
    ),
    "an empty one": ("", 0o755, ""),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_a_script_that_can_not_be_run_is_told_with_the_way_out(project, what):
    text, mode, way_out = SCRIPTS[what]
    script = project.root / "check"
    script.write_text(text, newline="")
    script.chmod(mode)
    if way_out:
        assert way_out in project.run("--", str(script), status=2)["err"]
    elif text:
        assert project.run("--", str(script))["commits"] == [project.culprit]
    else:  # it says that all is well
        assert project.run("--runs-max", "2", "--", str(script), status=124)["runs"] == 2


def test_an_object_has_its_fields_whatever_became_of_the_search(project):
    fields = {"status", "commits", "probabilities", "confidence", "revisions_tested", "builds", "runs", "wall_seconds"}
    ended = project.run("--", "sh", "-c", "exit 200", status=128)
    assert "the test ended with exit status 200, which ends a search" in ended["why"]
    never = project.run("--", "true", status=14)
    assert (never["status"], never["commits"]) == ("not_reproduced", [])
    assert fields <= ended.keys() & never.keys()
    some = project.run("--", "sh", "-c", "exit 125", status=10)
    assert len(some["commits"]) > 1
    env = {**os.environ, "FIRSTBAD_HOME": str(project.root / "home")}
    words = [sys.executable, "-m", "firstbad", "status", "--all"]
    rows = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    answers = [row.split(" min ")[0].split() for row in rows]
    assert f"{len(some['commits'])} commits" in rows[0]  # all of them are what is so sure
    assert [answer[3] for answer in answers[1:]] == ["not_reproduced", "infra_failure"]
    assert not any("%" in row for row in rows[1:])


def test_a_test_that_fails_at_the_good_revision_too_names_it_as_the_oldest_that_fails(project):
    always = project.run("--", "false", status=11)
    assert (always["status"], always["boundary"]) == ("older_than_oldest", project.hashes[0])
    env = {**os.environ, "FIRSTBAD_HOME": str(project.root / "home")}
    words = [sys.executable, "-m", "firstbad", "show", str(always["job"])]
    shown = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    assert f"oldest revision that still fails: {project.hashes[0]}" in shown


def test_a_repository_whose_name_is_not_utf_8(tmp_path):
    root = tmp_path / os.fsdecode(b"na\xffme \xc3\xa9")
    root.mkdir()
    project = Project(root)
    (root / "check").write_text("#!/bin/sh\nsh prog\n")
    (root / "check").chmod(0o755)
    assert project.run("--", "../check")["commits"] == [project.culprit]
    assert [path.name for path in tmp_path.iterdir()] == [root.name]


def test_the_users_own_git_bisect_is_no_part_of_the_search(project):
    git(project.repo, "bisect", "start", project.hashes[-1], project.hashes[0])
    found = project.run("--runs-max", "30", "--", "sh", "./prog")
    assert found["commits"] == [project.culprit]
    assert found["runs"] < 20
    assert git(project.repo, "for-each-ref", "refs/bisect").count("\n") == 1
