"""The tree's files, as the checks look at them."""
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("QUELL_BUILD", os.path.join(TOP, "build"))
C_FOLDERS = ["src", "tests", "bench"]


def files(*folders, ends=("",)):
    """Paths relative to the top, sorted; what is made and dot folders are left out."""
    found = []
    for folder in folders:
        for where, below, names in os.walk(os.path.join(TOP, folder)):
            below[:] = [name for name in below
                        if not re.match(r"build|dist|generated|\.(?!ci)|__pycache__|node_modules", name)]
            found += [os.path.relpath(os.path.join(where, name), TOP)
                      for name in names if name.endswith(tuple(ends))]
    return sorted(found)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as text:
        return text.read()


def lines(path):
    return read(path).splitlines()


def c_files():
    return files(*C_FOLDERS, ends=(".c", ".h"))


def without_comments(text):
    """C text with its comments blanked out; lines and strings stay where they are."""
    def blank(match):
        token = match.group(0)
        return token if token[0] in "\"'" else re.sub(r"[^\n]", " ", token)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', blank, text,
                  flags=re.S)


def functions(path):
    """(name, first line, number of lines) of each function defined in a C file."""
    found = []
    name = first = None
    for number, line in enumerate(lines(path), 1):
        start = re.match(r"([A-Za-z_]\w*)\(", line)
        if start:
            name, first = start.group(1), number
        elif line == "}" and name:
            found.append((name, first, number - first + 1))
            name = None
        elif line.startswith("};"):
            name = None
    return found
