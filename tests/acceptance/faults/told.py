"""What a trial came to."""

from dataclasses import dataclass, field


@dataclass
class Told:
    """What one trial came to. ``how``: the sessions' ends in order."""

    seed: int
    scenario: str
    kinds: list[str]
    what: list[str] = field(default_factory=list)
    how: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    hit: bool = False
    seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """In one word."""
        if not self.hit:
            return "not reached"
        if len(self.how) == 1:
            return "went on"
        return "said, resumed" if "could not" in self.how else "killed, resumed"
