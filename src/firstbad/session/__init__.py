"""The bisection loop: propose, evaluate, record, resume."""

from firstbad.session.bisection import Bisection
from firstbad.session.lease import Hold
from firstbad.session.log import bisection_log
from firstbad.session.project import ProjectSession, project_question
from firstbad.session.question import find_question, history_of, pinned
from firstbad.session.replay import git_log_of
from firstbad.session.retest import learned
from firstbad.session.standing import job_state
from firstbad.session.state import State, Test, fold
from firstbad.session.telling import verdict_of
from firstbad.session.work import Cancelled, Observer, OutOfTime, Paused, Stopped

__all__ = [
    "Bisection",
    "Cancelled",
    "Hold",
    "Observer",
    "OutOfTime",
    "Paused",
    "ProjectSession",
    "State",
    "Stopped",
    "Test",
    "bisection_log",
    "find_question",
    "fold",
    "git_log_of",
    "history_of",
    "job_state",
    "learned",
    "pinned",
    "project_question",
    "verdict_of",
]
