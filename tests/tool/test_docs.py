"""Links of the documents resolve, and README stays short and shows the two commands."""
import os
import re

import pytest
import source

DOCUMENTS = [path for path in source.files("", ends=(".md",))]


def anchors(path):
    found = set()
    for line in re.sub(r"^```.*?^```", "", source.read(path), flags=re.S | re.M).splitlines():
        heading = re.match(r"#+ +(.*)", line)
        if heading:
            words = re.sub(r"[^\w\- ]", "", heading.group(1).strip().lower())
            found.add(words.replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_resolve(path):
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", source.read(path), flags=re.S | re.M)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(os.path.join(source.TOP, target)):
            broken.append(link)
        elif anchor and anchor not in anchors(target):
            broken.append(link)
    assert not broken


def test_readme_is_short_and_shows_the_commands():
    text = source.read("README.md")
    assert len(text.splitlines()) <= 120
    assert "make run" in text and "make test" in text


def test_operations_lists_every_flag():
    flags = re.findall(r'^X\(\w+, "([\w-]+)"', source.read("src/daemon/setting.def"), re.M)
    listed = re.findall(r"^\| `--([\w-]+)` \|", source.read("docs/operations.md"), re.M)
    assert flags and sorted(flags) == sorted(listed)


def test_each_file_that_documents_name_is_there():
    """`src/…`, `tools/…` and the like in backquotes are paths of this tree."""
    missing = []
    for path in DOCUMENTS:
        for name in re.findall(r"`((?:src|tests|tools|docs|deploy|bench)/[\w./-]*)`",
                               source.read(path)):
            if not os.path.exists(os.path.join(source.TOP, name)):
                missing.append(f"{path}: {name}")
    assert not missing
