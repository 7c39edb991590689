"""``run``: the commit that broke a test of any project, flaky or not."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from firstbad.cli.by_hand import ends_by_hand
from firstbad.cli.deadline import deadline_option
from firstbad.cli.export import output_options, outputs_of
from firstbad.cli.options import AS_JSON, PLAIN
from firstbad.cli.output import say_error
from firstbad.cli.remote import chosen
from firstbad.cli.run import finish_job
from firstbad.cli.status import epilog
from firstbad.cli.submit import send_and_await
from firstbad.errors import InfrastructureError, UserError
from firstbad.history.git import Repo
from firstbad.home import home
from firstbad.job import Job, make_job
from firstbad.session import fold, project_question
from firstbad.store import Store, open_store

_PATH = click.Path(path_type=Path)
_SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command(
    context_settings=_SETTINGS,
    epilog=epilog("run", "firstbad run --good v1.0 --bad HEAD --build 'make -j4' -- ./check.sh"),
)
@click.option("--good", multiple=True, help="revision without the bug; repeat for more  [default: as said by hand]")
@click.option("--bad", help="revision with the bug  [default: as said by hand]")
@click.option("--fix", is_flag=True, help="find the commit that fixed it: --bad is older than --good")
@click.option("--repo", type=_PATH, default=Path(), help="git repository  [default: this directory]")
@click.option("--build", default="", help="shell command, run once in each revision's own directory; failing: skip")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, help="builds and tests at a time  [default: 1]")
@click.option(
    "--runs-max",
    type=click.IntRange(1),
    help="end after so many runs of TEST, with the best answer so far; `firstbad resume` makes as many more",
)
@click.option("--target", type=float, help="stop when the answer is this probable  [default: 0.99]")
@click.option("--match", default="", help="regular expression: only failures whose output matches are the bug")
@click.option("--title", default="", help="what the failure is called, as 'AddressSanitizer' or a line of the output")
@click.option(
    "--metric", default="", help="shell command that prints a number after TEST: its change of level is the bug"
)
@click.option("--crash-is-bad", is_flag=True, help="death by a signal, and exit status 128 and above, are bad too")
@click.option("--timeout", type=click.FloatRange(0), help="seconds of one run of TEST; 0: no limit  [default: 3600]")
@click.option("--timeout-is-bad", is_flag=True, help="a run over the limit is a failure; else it says nothing")
@click.option("--build-timeout", type=click.FloatRange(0), help="seconds of one build  [default: no limit]")
@click.option("--no-confirm", is_flag=True, help="don't run culprit and parents again where all runs agree")
@deadline_option
@output_options
@AS_JSON
@PLAIN
@click.argument("test", nargs=-1, required=True, metavar="-- TEST...")
def run(test: tuple[str, ...], as_json: bool, plain: bool, deadline: float | None, **options: Any) -> None:
    """The commit that made TEST fail, in any git repository, for TESTs that fail now and then too.

    TEST ends with 0 where all is well, 1 to 127 where the bug is, 125 where it can't tell, and 128 and above to end
    the search, as for `git bisect run`. It runs in a checkout of each revision, never in your work tree. Run the same
    command again to go on where it was interrupted.
    """
    outputs = outputs_of(options)
    server = chosen()
    if server is not None:
        send_and_await(server, _elsewhere(list(test), options), as_json, plain, deadline, outputs)
        return
    repo = Repo(options["repo"].absolute())
    if not options["good"] or not options["bad"]:
        if options["good"] or options["bad"]:
            raise UserError("name both ends, --good and --bad")
        options |= ends_by_hand()
    job = _job(repo, list(test), options)
    outputs.check(job)
    project_question(repo, job)
    store = open_store(home())
    number = _unfinished(store, job)
    if number is not None:
        say_error(f"going on with job {number}")
        store.cancel(number, False)
    else:
        number = store.submit(job)
    printed = False
    try:
        finish_job(store, home(), number, as_json, plain, deadline, outputs)
        printed = True
    except SystemExit:
        printed = True
        raise
    finally:
        # An answer that was found and never printed (we were killed, a disk was full) the next such command prints.
        if printed:
            with suppress(InfrastructureError):  # no room for that is no failure: the answer is out
                if fold(store.events(number), job.title).finished is not None:
                    store.append(number, "told", {})


def _job(repo: Repo, test: list[str], options: dict[str, Any]) -> Job:
    repo.check()
    bad = repo.resolve(options["bad"])
    good = [repo.resolve(name) for name in options["good"]]
    names = ("jobs", "match", "metric", "crash_is_bad", "timeout_is_bad")
    project: dict[str, Any] = {name: options[name] for name in names}
    for name in ("timeout", "build_timeout", "runs_max"):
        if options[name] is not None:
            project[name] = options[name]
    project["command"] = [_anchored(repo, word, bad) for word in test]
    first, _, rest = options["build"].partition(" ")
    project["build"] = f"{_anchored(repo, first, bad)} {rest}".strip() if rest or first else ""
    project["confirm"] = not options["no_confirm"]
    data: dict[str, Any] = {"kind": "fix" if options["fix"] else "cause", "repo": str(repo.path), "commit": bad}
    data |= {"good": good, "title": options["title"], "project": project, "private": True}
    if options["target"] is not None:
        data["target"] = options["target"]
    if options["match"] and options["title"]:
        raise UserError("--match and --title both say which failure is meant; give one of them")
    return make_job(data)


def _elsewhere(test: list[str], options: dict[str, Any]) -> dict[str, Any]:
    """The job for a server: its revisions are the repository's there, and what is run is in them."""
    if not options["good"] or not options["bad"]:
        raise UserError("name both ends, --good and --bad")
    names = (
        "jobs",
        "match",
        "metric",
        "crash_is_bad",
        "timeout_is_bad",
        "timeout",
        "build_timeout",
        "runs_max",
        "build",
    )
    project: dict[str, Any] = {name: options[name] for name in names if options[name] is not None}
    project |= {"command": test, "confirm": not options["no_confirm"]}
    data: dict[str, Any] = {"kind": "fix" if options["fix"] else "cause", "commit": options["bad"]}
    data |= {"good": list(options["good"]), "title": options["title"], "project": project}
    if str(options["repo"]) != ".":
        data["repo"] = str(options["repo"])
    return data | ({"target": options["target"]} if options["target"] is not None else {})


def _anchored(repo: Repo, word: str, bad: str) -> str:
    """A word of the command line; where it names a file that no revision brings along, that file from anywhere.

    `git bisect run ./check.sh` finds an untracked script because it works in the user's own work tree; we don't.
    """
    file = Path(word)
    if not word or word.startswith("-") or file.is_absolute() or not file.is_file():
        return word
    top = repo.top() or Path()
    path = file.resolve()
    if path.is_relative_to(top.resolve()):
        inside = path.relative_to(top.resolve())
        above = [str(one) for one in (inside, *inside.parents) if one.name]
        rows = repo.git("ls-tree", "-z", "--full-tree", bad, "--", *above).split("\0")
        if any(row and row.split(" ", 2)[1] in ("blob", "commit") for row in rows):  # commit: of a submodule
            return word
    return str(path)


def _unfinished(store: Store, job: Job) -> int | None:
    """A job of the same question whose answer nobody has seen yet."""
    wanted = job.model_dump(mode="json")
    for stored in store.each():
        if stored.job.project is not None and stored.job.model_dump(mode="json") == wanted:
            events = store.events(stored.id)
            told = any(event.kind == "told" for event in events)
            return stored.id if fold(events, job.title).finished is None or not told else None
    return None


COMMANDS = (run,)
