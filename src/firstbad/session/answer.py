"""What the ``finished`` event says of an answer: the culprit, whom to tell, what contradicts it, what proves it."""

from typing import TYPE_CHECKING, Any

from firstbad.history.claims import who_fixes
from firstbad.history.git import Commit
from firstbad.report.maintainers import recipients_of_commit
from firstbad.report.maintainers_file import Maintainers
from firstbad.session.decide import Decider
from firstbad.session.details import details_of, titles_of
from firstbad.session.steps import Finish

if TYPE_CHECKING:
    from firstbad.session.bisection import Bisection


class Answer:
    """Describes a session's answer."""

    def __init__(self, session: "Bisection") -> None:
        self.session = session

    def data(self, finish: Finish) -> dict[str, Any]:
        """The answer as event data."""
        data = finish.to_event(len(self.session.state.opinions.said))
        data |= {"titles": titles_of(self.session.repo, finish.commits)} if finish.commits else {}
        return data | (self._culprit(finish.commits[0]) if finish.status == "found" else {})

    def _culprit(self, commit: str) -> dict[str, Any]:
        session = self.session
        culprit = session.repo.commit(commit)
        to, cc = self._recipients(culprit)
        data: dict[str, Any] = {
            "title": culprit.title,
            "show": session.repo.show(culprit.hash),
            "details": details_of(session.repo, session.job, culprit.hash),
            "to": to,
            "cc": cc,
            "parents": list(culprit.parents),
            "is_merge": len(culprit.parents) > 1,
            "noop": self._is_noop(culprit.hash, culprit.parents),
            "claims": self._claims(culprit.hash) if session.question.kind == "cause" else [],
        }
        if isinstance(session.decider, Decider):
            data["contrary"] = session.decider.contrary(session.state)
        proof = session.state.proofs[-1] if session.state.proofs else None
        if proof and proof.mark and proof.data["of"] == culprit.hash:
            data["proof"] = proof.mark
        return data

    def _claims(self, culprit: str) -> list[dict[str, str]]:
        """The commits after the culprit that say they fix or revert it: maybe the bug is known."""
        tips = dict.fromkeys([self.session.question.start, self.session.repo.resolve("HEAD")])
        found = who_fixes(self.session.repo, tips, [culprit], [culprit])[culprit]
        return [{"commit": one, "kind": kind, "title": self.session.repo.commit(one).title} for one, kind in found]

    def _recipients(self, culprit: Commit) -> tuple[list[str], list[str]]:
        """Those whom the culprit names, and who maintains its files as the start commit's MAINTAINERS has it."""
        text = self.session.repo.blob(self.session.question.start, "MAINTAINERS")
        known = (
            Maintainers.parse(text, self.session.repo.blob(self.session.question.start, ".mailmap") or "")
            if text
            else None
        )
        return recipients_of_commit(culprit.message, culprit.author_email, known, self.session.repo.patch(culprit.hash))

    def _is_noop(self, culprit: str, parents: tuple[str, ...]) -> bool:
        builds = self.session.state.builds
        own = builds[culprit].signature if culprit in builds else ""
        return bool(own) and any(parent in builds and builds[parent].signature == own for parent in parents)
