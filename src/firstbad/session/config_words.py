"""What was tried of configurations and which one was chosen, in words."""

from collections.abc import Iterator
from typing import Any

from firstbad.session.state import State, Trial

_CHOSEN = {
    "original": "the job's own configuration is used",
    "baseline": "the crash reproduces with the baseline, which is used",
    "instrumentation": "the crash reproduces without the instrumentation it does not need",
    "minimized": "a minimized configuration is used",
}


def trial_words(trial: Trial) -> str:
    """One try and what came of it; empty while it is under way."""
    if trial.mark is None or trial.build is None:
        return ""
    what = trial.data["what"]
    if what == "minimized":
        what = f"try {trial.data['number']}, the baseline and {len(trial.data.get('options', []))} options"
    elif what == "instrumentation":
        what = f"without {' '.join(trial.data['dropped'])}"
    if trial.build.error:
        return f"configuration: {what}: does not build: {trial.build.error}"
    runs = f"{trial.mark['crashes']} of {trial.mark['useful']} runs crashed" if trial.mark["useful"] else "can't be run"
    kept = "the crash stays" if trial.mark["verdict"] == "bad" else "the crash does not stay"
    return f"configuration: {what}: {runs}, {kept}"


def choice_words(config: dict[str, Any]) -> str:
    """The choice, with how much of the job's configuration is left."""
    text = f"configuration: {_CHOSEN[config['what']]} (sha256 {config['digest'][:12]})"
    if config["what"] == "minimized":
        share = config["left"] / max(config["added"], 1)
        text += f": {config['left']} of {config['added']} options beyond the baseline are left ({share:.0%})"
    return text


def config_words(state: State) -> Iterator[str]:
    """All of it, in order."""
    yield from filter(None, map(trial_words, state.trials))
    if state.config is not None:
        yield choice_words(state.config)
