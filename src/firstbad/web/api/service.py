"""Who asks, the repositories that jobs may name, webhooks."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path

from firstbad.store.hooks import Webhook
from firstbad.web.api.models import DeliveryOut, RepositoryOut, WebhookIn, WebhookOut, Who, errors
from firstbad.web.auth import Admin, Reader, Viewer
from firstbad.web.delivery import check_url
from firstbad.web.site import Site, TheSite
from firstbad.web.submission import project_for

router = APIRouter(tags=["service"])
_Id = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/me")
def who_am_i(viewer: Reader) -> Who:
    """What your token may."""
    projects = sorted(viewer.projects) if viewer.projects is not None else None
    return Who(name=viewer.name, scope=viewer.scope, projects=projects)


@router.get("/repositories")
def list_repositories(site: TheSite, viewer: Reader) -> list[RepositoryOut]:
    """What a job's ``repo`` may be."""
    return [RepositoryOut(name=one.name, commands=one.commands) for one in site.access.repositories()]


@router.get("/webhooks")
def list_webhooks(site: TheSite, viewer: Admin) -> list[WebhookOut]:
    """Who is told of your projects' jobs."""
    return [_out(one) for one in site.hooks.of(viewer.projects)]


@router.post("/webhooks", status_code=201, responses=errors(400, 404))
def create_webhook(wanted: WebhookIn, site: TheSite, viewer: Admin) -> WebhookOut:
    """Have somebody told when jobs of a project begin, end, fail, or are overruled.

    The answer has the secret that signs what is sent; it is not told again. Of private jobs nobody is told.
    """
    project = project_for(site, viewer, wanted.project)
    check_url(wanted.url)
    made = site.hooks.create(project, wanted.url, viewer.name)
    return _out(made, secret=True)


@router.delete("/webhooks/{number}", status_code=204, responses=errors(404))
def delete_webhook(number: _Id, site: TheSite, viewer: Admin) -> None:
    """Tell them nothing any more."""
    site.hooks.remove(_own(site, viewer, number).id)


@router.get("/webhooks/{number}/deliveries", responses=errors(404))
def list_deliveries(number: _Id, site: TheSite, viewer: Admin) -> list[DeliveryOut]:
    """What was told to a webhook last, newest first."""
    found = site.hooks.deliveries(_own(site, viewer, number).id)
    return [DeliveryOut.model_validate(one) for one in found]


def _own(site: Site, viewer: Viewer, number: int) -> Webhook:
    found = next((one for one in site.hooks.of(viewer.projects) if one.id == number), None)
    if found is None:
        raise HTTPException(404, f"there is no webhook {number}")
    return found


def _out(one: Webhook, secret: bool = False) -> WebhookOut:
    facts = {name: getattr(one, name) for name in ("id", "project", "url", "created", "created_by")}
    return WebhookOut(**facts, secret=one.secret if secret else None)
