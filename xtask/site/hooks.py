"""What MkDocs does not do by itself for this repository.

The pages that stand beside docs/ (README.md and others) become pages of the site. A link that leads to what is no page is
shown as the path that it has in the repository, and has to lead to something. Headings get the anchors that they have where
people read the repository. Nothing of the result is fetched from elsewhere: code is coloured here, and the index of the
search is a script, too, for pages that are opened from a file.
"""

import logging
import os.path
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File
from pygments.formatters import HtmlFormatter

log = logging.getLogger("mkdocs.hooks.repository")

# Pages outside of docs/, under the same paths in the site.
BESIDE = [
    "README.md",
    "SECURITY.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "examples/sessions/README.md",
]
STYLE, SCRIPT = "site.css", "search-in-files.js"
COLOURS = {"light": "default", "dark": "github-dark"}

FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.MULTILINE | re.DOTALL)
CODE_OR_LINK = re.compile(
    r"(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)"
    r"|(?P<image>!?)\[(?P<text>(?:[^\[\]]|`[^`]*`)*)\]\((?P<target>[^()\s]+)\)",
    re.DOTALL,
)
ELSEWHERE = re.compile(r"^([a-z][a-z0-9+.-]*:|//|#)", re.IGNORECASE)


def root(config):
    """The folder of the repository."""
    return Path(config.config_file_path).parent


def anchor(heading, separator):
    """What a heading is called in links to it, as repositories are shown: each space is one dash."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", separator)


def named(entries):
    """The pages that a navigation names."""
    for entry in entries:
        values = entry.values() if isinstance(entry, dict) else [entry]
        for value in values:
            yield from [value] if isinstance(value, str) else named(value)


def on_config(config):
    # A new page that has no place yet is not lost.
    docs = Path(config.docs_dir)
    pages = {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")}
    if without_place := sorted(pages - set(named(config.nav))):
        config.nav.append({"More": without_place})
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    config.markdown_extensions.append("codehilite")
    config.mdx_configs["codehilite"] = {"guess_lang": False, "css_class": "codehilite"}
    config.extra_css.append(STYLE)
    # Before the search's own script, which starts the worker.
    config.extra_javascript.insert(0, SCRIPT)
    return config


def on_files(files, config):
    here = root(config)
    for path in BESIDE:
        text = (here / path).read_text(encoding="utf-8")
        files.append(File.generated(config, path, content=text))
    style = (here / "xtask/site" / STYLE).read_text(encoding="utf-8")
    for mode, colours in COLOURS.items():
        formatter = HtmlFormatter(style=colours)
        # The page has its own colour behind code, and what is no language's fault is none.
        rules = formatter.get_style_defs(f"[data-bs-theme={mode}] .codehilite").splitlines()
        style += "".join(f"{rule}\n" for rule in rules if re.search(r"\.codehilite \.(?!err)", rule))
    files.append(File.generated(config, STYLE, content=style))
    files.append(File.generated(config, SCRIPT, abs_src_path=str(here / "xtask/site" / SCRIPT)))
    return files


def on_page_markdown(markdown, page, config, files):
    there = page.file.src_uri
    there = there if there in BESIDE else f"docs/{there}"
    done, at = [], 0
    for fence in FENCE.finditer(markdown):
        done += [in_prose(markdown[at : fence.start()], there, page, config), fence.group()]
        at = fence.end()
    return "".join([*done, in_prose(markdown[at:], there, page, config)])


def in_prose(text, there, page, config):
    """The text with its links as they are in the site; `there` is its file in the repository."""
    return CODE_OR_LINK.sub(lambda found: in_site(found, there, page, config), text)


def in_site(found, there, page, config):
    target = found["target"]
    if target is None or ELSEWHERE.match(target):
        return found.group()
    path, sharp, fragment = target.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(there), path))
    if path in BESIDE or path.startswith("docs/"):
        place = path if path in BESIDE else path.removeprefix("docs/")
        place = os.path.relpath(place, posixpath.dirname(page.file.src_uri) or ".")
        return f"{found['image']}[{found['text']}]({place}{sharp}{fragment})"
    if path.startswith("../") or not (root(config) / path).exists():
        log.warning("'%s' links to '%s', which is not in the repository", there, target)
        return found.group()
    if found["text"].strip("`") == path:
        return f"`{path}`"
    return f"{found['text']} (`{path}`)"


def on_post_build(config):
    search = Path(config.site_dir) / "search"
    index = (search / "search_index.json").read_text(encoding="utf-8")
    (search / "search_index.js").write_text(f"window.searchIndex = {index};\n", encoding="utf-8")
