"""A story as one HTML page that needs nothing else: no script, no style or picture from anywhere."""

from jinja2 import Environment

from firstbad.report.drawing import PARTS, equip
from firstbad.report.story import Story


def html_page(story: Story) -> str:
    """The page. Whatever the story holds is text in it: everything is escaped."""
    pages = equip(Environment(loader=PARTS, autoescape=True, trim_blocks=True))
    return pages.get_template("page.html").render(story=story)
