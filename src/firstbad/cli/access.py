"""``token``, ``project``, ``repository``: who may use the service of this machine, and for what."""

import time
from pathlib import Path
from typing import cast

import click

from firstbad.cli.output import say, say_json
from firstbad.errors import NotFoundError, UserError
from firstbad.history.git import Repo
from firstbad.home import home
from firstbad.references import is_name
from firstbad.session.materials import check_place, provide_repository
from firstbad.store import Queue, Store, open_store
from firstbad.store.access import ALL, SCOPES, Access, Scope, Token

_JSON = click.option("--json", "as_json", is_flag=True, help="one JSON object a line")
_LINE = "{:>4}  {:20}  {:6}  {:16}  {:16}  {}"


def _store() -> Store:
    return open_store(home())


def _access() -> Access:
    return Access(_store().database)


@click.group(epilog="Example: firstbad token create ME --scope admin --project '*'")
def token() -> None:
    """Tokens by which people and programs use the service: in the API, and to log in to its pages.

    Until the first one is made, who sits at this machine may do everything, and nobody else anything.
    """


@token.command("create", epilog="Example: firstbad token create 'CI of net' --scope submit --project net --days 365")
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), default="read", show_default=True, help="each has those before it")
@click.option("--project", default="default", show_default=True, help="whose jobs it is for; '*': all projects")
@click.option("--days", type=click.FloatRange(min=0.01), help="how long it is valid  [default: for ever]")
def create_token(name: str, scope: str, project: str, days: float | None) -> None:
    """Make a token and print it: it is kept nowhere, and can't be shown again."""
    text, made = _access().create_token(name, cast(Scope, scope), project, days)
    say(f"token {made.id}: {made.name}, {made.scope}, {_project(made)}, {_validity(made)}", style="dim")
    click.echo(text)


@token.command("list", epilog="Example: firstbad token list")
@_JSON
def list_tokens(as_json: bool) -> None:
    """All tokens that were ever made, without what they are."""
    found = _access().tokens()
    if as_json:
        for one in found:
            say_json({name: getattr(one, name) for name in Token.__dataclass_fields__})
        return
    say(_LINE.format("id", "name", "scope", "project", "last used", "valid"), style="dim")
    for one in found:
        used = _day(one.used) if one.used else "never"
        say(_LINE.format(one.id, one.name, one.scope, _project(one), used, _validity(one)))


@token.command("revoke", epilog="Example: firstbad token revoke 3")
@click.argument("number", type=int)
def revoke_token(number: int) -> None:
    """End a token, and the browsers' sessions that began with it, at once."""
    one = _access().revoke(number)
    say(f"token {one.id} ({one.name}) is not valid any more")


def _project(one: Token) -> str:
    return "all projects" if one.project == ALL else one.project


def _validity(one: Token) -> str:
    if one.revoked:
        return f"revoked {_day(one.revoked)}"
    if not one.expires:
        return "for ever"
    return f"{'until' if one.is_valid(time.time()) else 'expired'} {_day(one.expires)}"


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


@click.group(epilog="Example: firstbad project create net")
def project() -> None:
    """Projects: their private jobs are seen by their own tokens alone, and each has a budget of its own."""


@project.command("create", epilog="Example: firstbad project create net")
@click.argument("name")
def create_project(name: str) -> None:
    """Make a project."""
    _access().create_project(name)
    say(f"project {name}; `firstbad token create WHO --project {name}` makes a token for it")


@project.command("list", epilog="Example: firstbad project list")
@_JSON
def list_projects(as_json: bool) -> None:
    """All projects, with their budgets."""
    store = _store()
    budgets = {one.project: one for one in Queue(store).budgets()}
    for name in Access(store.database).projects():
        limit = budgets.get(name)
        if as_json:
            facts = {"hours": limit.seconds / 3600, "running": limit.running} if limit else {"hours": 0, "running": 0}
            say_json({"project": name, **facts})
        elif limit is None:
            say(f"{name}: no limits")
        else:
            used = (
                f"{limit.used / 3600:.1f} of {limit.seconds / 3600:g} hours" if limit.seconds else "no limit of hours"
            )
            say(f"{name}: {used} in 30 days; {limit.now} of {limit.running or 'any number of'} jobs at once")


@project.command("budget", epilog="Example: firstbad project budget net --hours 100 --running 2")
@click.argument("name")
@click.option("--hours", type=click.FloatRange(min=0), default=0.0, help="of work on jobs of 30 days; 0: no limit")
@click.option("--running", type=click.IntRange(min=0), default=0, help="jobs at once; 0: no limit")
def set_budget(name: str, hours: float, running: int) -> None:
    """Limit what a project may use."""
    store = _store()
    Access(store.database).check_project(name)
    Queue(store).set_budget(name, hours * 3600, running)
    say(f"{name}: {f'{hours:g} hours in 30 days' if hours else 'no limit of hours'}; {running or 'any number of'} jobs")


@click.group(epilog="Example: firstbad repository add linux /srv/git/linux")
def repository() -> None:
    """Repositories that jobs of the API may name; paths of this machine they may not."""


@repository.command("add", epilog="Example: firstbad repository add linux /srv/git/linux")
@click.argument("name")
@click.argument("place", metavar="PATH|URL")
@click.option("--commands", is_flag=True, help="jobs may run commands, patches and user-mode kernels on the workers")
def add_repository(name: str, place: str, commands: bool) -> None:
    """Make a repository known: a path that all machines of the service have, or a URL, which each mirrors.

    Whoever may submit jobs with --commands runs what they like as the workers' user: `firstbad run` runs commands, and
    a patch changes makefiles.
    """
    if not is_name(name):
        raise UserError(f"{name!r} can't be a repository's name: letters, digits, '.', '_' and '-', at most 64")
    kept = check_place(place)
    if "://" not in kept:
        Repo(Path(kept)).check()
    access = _access()
    access.add_repository(name, kept, commands)
    say(f"repository {name}: {kept}{' (jobs may run commands)' if commands else ''}")


@repository.command("list", epilog="Example: firstbad repository list")
@_JSON
def list_repositories(as_json: bool) -> None:
    """All repositories that jobs may name."""
    for one in _access().repositories():
        if as_json:
            say_json({"name": one.name, "place": one.place, "commands": one.commands})
        else:
            say(f"{one.name}: {one.place}{' (jobs may run commands)' if one.commands else ''}")


@repository.command("remove", epilog="Example: firstbad repository remove linux")
@click.argument("name")
def remove_repository(name: str) -> None:
    """New jobs can't name it any more; those that did go on."""
    _access().remove_repository(name)
    say(f"repository {name} is not known any more")


@repository.command("fetch", epilog="Example: firstbad repository fetch")
@click.argument("name", required=False)
def fetch_repositories(name: str | None) -> None:
    """Bring the mirrors of this machine up to date (a timer may do so); a path's are somebody else's to update."""
    known = _access().repositories()
    if name is not None and name not in {one.name for one in known}:
        raise NotFoundError(f"there is no repository {name!r}; see `firstbad repository list`")
    for one in known:
        if name in (None, one.name) and ("://" in one.place or name):
            say(f"{one.name}: {provide_repository(home(), one, refresh=True)}")


COMMANDS = (token, project, repository)
