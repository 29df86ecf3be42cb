"""One self-contained HTML page from parts: text is escaped on its way in, and nothing is fetched from anywhere.

Colours are CSS variables with a light and a dark value; the plots use the same ones.
"""

import html
from collections.abc import Sequence
from enum import Enum


class Html(str):
    """Is text that is markup already; every other string is escaped before it enters a page."""

    __slots__ = ()


class Tone(Enum):
    """Is a colour by its purpose: its value on a light page and on a dark one."""

    INK = ("#1c2127", "#e6e9ec")  # text and axes
    PAPER = ("#fffffe", "#14181d")  # the page
    QUIET = ("#5d6771", "#a3adb7")  # captions, diagonals
    GRID = ("#d4dae1", "#333c46")  # rules and grid lines
    BAR = ("#98a3af", "#66727f")  # what stands beside
    OWN = ("#0b62cc", "#69b1ff")  # what the page is about
    OTHER = ("#b3520b", "#f2a562")  # the second series

    @property
    def light(self) -> str:
        """Return the colour for a light page."""
        return self.value[0]

    @property
    def variable(self) -> str:
        """Return the CSS that stands for the colour in either mode."""
        return f"var(--{self.name.lower()})"


def escaped(value: str) -> Html:
    """Return text as markup; markup stays as it is."""
    return value if isinstance(value, Html) else Html(html.escape(value))


def joined(*parts: str) -> Html:
    """Return parts one after the other, each escaped unless it is markup."""
    return Html("".join(escaped(part) for part in parts))


def element(tag: str, *content: str, **attributes: str) -> Html:
    """Return an element; attribute names lose a trailing underscore, and inner ones become hyphens."""
    told = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for name, value in attributes.items()
    )
    return Html(f"<{tag}{told}>{joined(*content)}</{tag}>\n")


def section(name: str, title: str, *content: str) -> Html:
    """Return a part of the page under its own heading, which is also its place to link to."""
    return element("section", element("h2", title, id=name), *content, aria_labelledby=name)


def listing(items: Sequence[str], *, ordered: bool = False) -> Html:
    """Return a list."""
    return element("ol" if ordered else "ul", *(element("li", item) for item in items))


def code(text: str) -> Html:
    """Return text as something to type, short enough to stand in a sentence."""
    return Html(f"<code>{html.escape(text)}</code>")


def figure(drawing: Html, caption: str) -> Html:
    """Return a drawing with the caption that says how to read it."""
    return element("figure", drawing, element("figcaption", caption))


def shaded(value: str, share: float) -> Html:
    """Return a table cell whose shade says a share in [0, 1]."""
    return element("td", value, class_="shade", style=f"--share:{min(max(share, 0.0), 1.0):.2f}")


def barred(value: str, share: float) -> Html:
    """Return a table cell with a bar from zero, as long as a share in [0, 1] of the cell says."""
    return element("td", value, class_="bar", style=f"--share:{min(max(share, 0.0), 1.0):.3f}")


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = ()) -> Html:
    """Return a table that scrolls sideways on its own; the first cell of a row is its heading, numbers stand right.

    `words` are the columns that hold sentences. A cell made by `shaded` or `barred` is taken as it is.
    """
    head = element("tr", *(element("th", name, scope="col") for name in header))
    body = joined(*(_row(row, words) for row in rows))
    whole = element("table", element("caption", caption), element("thead", head), element("tbody", body))
    return element("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)


def _row(row: Sequence[str], words: Sequence[int]) -> Html:
    cells = [element("th", row[0], scope="row")]
    for position, value in enumerate(row[1:], start=1):
        if isinstance(value, Html) and value.startswith("<td"):
            cells.append(value)
        elif position in words:
            cells.append(element("td", value, class_="words"))
        else:
            cells.append(element("td", value))
    return element("tr", *cells)


def page(title: str, *content: str) -> str:
    """Return the whole document."""
    head = joined(
        Html('<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'),
        Html('<meta name="color-scheme" content="light dark">\n'),
        element("title", title),
        Html(f"<style>{_variables()}{_STYLE}</style>\n"),
    )
    body = element("body", element("main", element("h1", title), *content))
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}</head>\n{body}</html>\n'


def _variables() -> str:
    light, dark = ("".join(f"--{tone.name.lower()}:{tone.value[mode]};" for tone in Tone) for mode in (0, 1))
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:1rem 0}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--grid)}
h3{font-size:1.05rem;margin:1.8rem 0 .4rem}
a{color:var(--own)}
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}
li{margin:.25rem 0}
figure{margin:1rem 0}
figcaption,caption{color:var(--quiet);font-size:.9rem;text-align:left;max-width:46rem}
caption{padding:.3rem 0}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem 2rem}
svg{display:block;width:100%;max-width:30rem;height:auto;stroke-linejoin:round;stroke-linecap:butt}
svg text{font-family:system-ui,sans-serif!important}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.28rem .6rem;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}
tbody th,thead th:first-child{text-align:left;font-weight:600}
thead th{color:var(--quiet);font-weight:600;vertical-align:bottom}
td.words{text-align:left;white-space:normal;min-width:16rem}
tr:has(>th>strong){background:color-mix(in srgb,var(--own) 10%,transparent)}
td.shade{background:color-mix(in srgb,var(--own) calc(var(--share)*48%),transparent)}
td.bar{min-width:9rem;background:linear-gradient(var(--bar),var(--bar)) 0 100%/calc(var(--share)*100%) 4px no-repeat}
"""
