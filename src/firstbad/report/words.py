"""What reports say in the same words wherever they are read."""

from firstbad.report.story import Story


def percent(probability: float) -> str:
    """``99.98%``, ``12.5%``, ``0.0287%``; never 100% for what is less."""
    if 0.9999 < probability < 1:
        return ">99.99%"
    if probability < 0.01:
        return f"{probability:.3%}" if probability else "0%"
    return f"{probability:.4g}" if probability > 1 else f"{100 * probability:.4g}%"


def chance(probability: float) -> str:
    """The same for what was rounded to four digits: neither certain nor impossible."""
    if probability > 0.99994:
        return ">99.99%"
    return "<0.01%" if probability < 0.00006 else percent(probability)


def duration(seconds: float) -> str:
    """``7 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def headline(story: Story) -> str:
    """The answer in one line."""
    if story.found and story.culprit is not None:
        return f"First {story.word} commit: {story.culprit.hash[:12]} {story.culprit.title}"
    count = len(story.candidates)
    lines = {
        "unfinished": f"No answer: {story.why}" if story.why else "There is no answer yet",
        "budget": f"The deadline passed; so far it is one of {count}" if count else "",
        "candidates": f"Not sure enough for one commit: it is one of {count}",
        "older_than_oldest": "The bug is older than the oldest release that was tested",
        "not_fixed": "The crash is not fixed on the head",
    }
    return lines.get(story.status) or story.why or story.status


def summary(story: Story) -> list[str]:
    """What is to be known beside the headline, a line each."""
    lines = []
    if story.candidates:
        lines.append(f"Probability: {percent(story.confidence)}")
    if story.proof_why:
        lines.append(f"Confirmation: {story.proof_why}")
    if story.boundary:
        lines.append(f"Last revision that still crashes: {story.boundary}")
    if story.culprit and story.culprit.noop:
        lines.append("The kernel is the same without this commit: the answer contradicts itself.")
    if story.culprit and story.culprit.is_merge:
        lines.append("This commit is a merge: what it brings together may be at fault, not what it is itself.")
    if story.crash_rate is not None and story.crash_rate < 0.9:
        lines.append(f"The bug shows in {percent(story.crash_rate)} of the runs where it is present.")
    lines += [story.why] if story.why and story.why not in headline(story) else []
    return lines
