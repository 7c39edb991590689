"""The report's page in a real browser: wide and narrow, light and dark, without scripts and without a network."""

import pytest
from tests.support.stories import finished_job

from firstbad.report.page import html_page

WIDTHS, SCHEMES = (1200, 400), ("light", "dark")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    made = tmp_path_factory.mktemp("page")
    long = "net: " + "a_function_with_a_long_name" * 20
    done = finished_job(made / "job", culprit_title=long, lab={"crash_rate": 0.4})
    (made / "page.html").write_text(html_page(done.story()))
    return made / "page.html"


def luminance(picture: str) -> float:
    """Of a ``rgb(r, g, b)``, 0 to 1."""
    r, g, b = (int(part) for part in picture.removeprefix("rgb(").removesuffix(")").split(","))
    return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page(browser, page_file, tmp_path, width, scheme):
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=False)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(page_file.as_uri())
    shot = tmp_path / f"page-{width}-{scheme}.png"
    page.screenshot(path=shot, full_page=True)
    seen = page.evaluate(
        """() => ({
            scroll: document.documentElement.scrollWidth,
            paper: getComputedStyle(document.body).backgroundColor,
            ink: getComputedStyle(document.body).color,
            small: Math.min(...[...document.querySelectorAll('p, td, dd, li, code, h1, h2')]
                .map(one => parseFloat(getComputedStyle(one).fontSize))),
            wide: [...document.querySelectorAll('body *')].filter(one => !one.closest('pre') && !one.closest('.tags')
                && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.tagName),
            map: document.querySelector('.map').getBoundingClientRect().height,
        })"""
    )
    context.close()
    assert asked == [page_file.as_uri()]
    assert complaints == []
    assert seen["scroll"] <= width, "nothing is scrolled sideways"
    assert seen["wide"] == []
    assert seen["small"] >= 11, "letters are large enough to read"
    assert seen["map"] >= 60
    paper, ink = luminance(seen["paper"]), luminance(seen["ink"])
    assert (paper < 0.2) == (scheme == "dark")
    assert abs(paper - ink) > 0.6, "letters stand out from the paper"
    assert shot.stat().st_size > 10_000
