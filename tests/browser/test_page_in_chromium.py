"""The page in a real browser: axe's rules of WCAG 2.2 AA, and nothing that sticks out, at three widths, light and dark.

Needs Chromium, and the path of axe-core's ``axe.min.js`` in SMARTATTEND_AXE; ``.ci/page-lane.sh`` has both. Screenshots
go to SMARTATTEND_SCREENSHOTS where that is set: look at them.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.readiness.page import render
from tests.unit.readiness import documents

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(os.environ.get("SMARTATTEND_AXE", "no axe"))
pytestmark = pytest.mark.skipif(
    not CHROMIUM or not AXE.is_file(), reason="needs Chromium and SMARTATTEND_AXE: .ci/page-lane.sh has both"
)

WIDTHS = {"telephone": 375, "tablet": 768, "desk": 1280}
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ASK = """
<script>%s</script><script>
document.querySelectorAll("details").forEach(one => one.open = true);
axe.run(document, {runOnly: %s}).then(found => {
  const out = document.createElement("pre"); out.id = "asked";
  const sticking = [...document.querySelectorAll("body *")].filter(one =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, .field, .skip")).map(one => one.outerHTML.slice(0, 120));
  out.textContent = JSON.stringify({violations: found.violations, passes: found.passes.length, sticking: sticking.slice(0, 3),
    width: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches});
  document.body.append(out); });
</script>"""


@cache
def page(name: str) -> str:
    made: dict[str, Any] = getattr(documents, name)()
    return render.render(made)


def chromium(path: Path, width: int, scheme: str, *words: str) -> str:
    """What Chromium prints of the page; it ends by itself."""
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
        *(f"--window-size={width},2400", f"--user-data-dir={path.parent / 'profile'}", "--virtual-time-budget=60000"),
        *([] if scheme == "light" else ["--blink-settings=preferredColorScheme=0"]),
    ]
    done = subprocess.run([*command, *words, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
@pytest.mark.parametrize("name", ["ready", "broken"])
def test_axe_finds_nothing_and_nothing_sticks_out(tmp_path: Path, name: str, width: int, scheme: str) -> None:
    opened = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page(name))  # or axe could not run in it
    path = tmp_path / f"{name}.html"
    path.write_text(opened.replace("</body>", _ASK % (AXE.read_text("utf-8"), json.dumps(_RULES)) + "</body>"), "utf-8")
    found = re.search(r'<pre id="asked">(.*?)</pre>', chromium(path, width, scheme, "--dump-dom"), re.DOTALL)
    assert found, "axe did not answer"
    told = json.loads(html.unescape(found[1]))
    assert told["dark"] is (scheme == "dark")
    assert told["passes"] > 20
    assert [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in told["violations"]] == []
    assert told["sticking"] == []
    screenshots = os.environ.get("SMARTATTEND_SCREENSHOTS")
    if screenshots:
        path.write_text(page(name), "utf-8")
        picture = Path(screenshots).absolute() / f"{name}-{width}-{scheme}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        chromium(path, width, scheme, f"--screenshot={picture}")
