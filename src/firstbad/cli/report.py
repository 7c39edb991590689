"""``report``: a job's answer with everything that it rests on, for a terminal or as one HTML page."""

from pathlib import Path

import click

from firstbad.cli.options import JOB
from firstbad.cli.output import duration, say
from firstbad.cli.result import print_result
from firstbad.errors import UserError
from firstbad.home import home
from firstbad.report.page import html_page
from firstbad.report.story import Story
from firstbad.session.story import tell
from firstbad.store import open_store

_STYLES = {"bad": "red", "good": "green", "skip": "yellow"}


@click.command(epilog="Example: firstbad report 3 --html crash.html")
@JOB
@click.option("--html", type=click.Path(path_type=Path), help="write one page that needs nothing else; '-': stdout")
def report(number: int | None, html: Path | None) -> None:
    """Everything about a job's answer: the path of tests, the evidence, the crash, the proof."""
    place = home()
    store = open_store(place)
    stored = store.job(number)
    events = store.events(stored.id)
    if html is None:
        print_result(store, place, stored.id)
        print_story(tell(place, stored, events, picture=False))
        return
    page = html_page(tell(place, stored, events))
    if str(html) == "-":
        click.echo(page)
        return
    try:
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--html {html}: {error.strerror}") from None
    say(f"written: {html}")


def print_story(story: Story) -> None:
    """The path of tests, then the evidence by revision."""
    if story.steps:
        say("\nthe path:", style="bold")
    for step in story.steps:
        held = f"; {step.left90} hold 90%" if step.left90 else ""
        verdict = step.verdict or "..."
        line = f"{step.number:>7} {step.phase[:10]:10} {step.hash[:12]} {verdict:5}{step.outcomes}{held}, "
        say(f"{line}{duration(step.seconds)}  {step.title}", style=_STYLES.get(verdict))
    if story.revisions:
        say("\nthe evidence:", style="bold")
    crashed, other, failed = story.outcomes
    for one in story.revisions:
        role = f" ({one.role})" if one.role else ""
        counts = f"{one.crashes} {crashed}, {one.clean} clean, {one.other} {other}, {one.failed} {failed}"
        say(f"{one.hash[:12]} {one.verdict:5}{role} {counts}; build {one.build or 'none'}")
        if one.alone:
            say(f"             {one.alone} by its own runs, {one.verdict} by the answer", style="dim")
        if one.told:
            say(f"             run elsewhere: {one.told}", style="dim")
        if one.reach:
            say(f"             clean runs: {one.reach}", style="dim")
    if story.crash_report:
        say(f"\nthe {'failure' if story.project else 'crash'}:", style="bold")
        say(story.crash_report)
    for note in story.notes:
        say(note, style="yellow")


COMMANDS = (report,)
