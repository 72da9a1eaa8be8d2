"""What docs and CONTRIBUTING promise about the code's shape."""
import re
import subprocess

import source

LONGEST_FILE = 1000
CONTRACT = "docs/openapi.yaml"  # one document by its nature, as tools expect it
LONGEST_FUNCTION = 80
DEEPEST = 3

# Unbounded, locale-bound, blocking, or with a hidden state: each has a better way in src/base.
BANNED = ("strcpy strcat sprintf vsprintf gets strtok alloca atoi atol atof system popen tmpnam "
          "sleep usleep nanosleep gmtime localtime rand srand random").split()


def test_no_file_is_too_long():
    everything = source.files("src", "tests", "bench", "tools", "docs", "deploy", "web", "clients",
                              ends=(".c", ".h", ".def", ".py", ".sh", ".sql", ".yaml", ".ts",
                                    ".tsx", ".md"))
    long = [f"{path}: {len(source.lines(path))}" for path in everything
            if len(source.lines(path)) > LONGEST_FILE and path != CONTRACT]
    assert not long


def test_no_function_is_too_long():
    long = [f"{path}:{first}: {name} has {count} lines" for path in source.c_files()
            for name, first, count in source.functions(path) if count > LONGEST_FUNCTION]
    assert not long


def test_functions_are_found():
    """The check above would be green too if it found no functions."""
    found = [name for path in source.files("src/base", ends=(".c",))
             for name, _, _ in source.functions(path)]
    assert "ql_heap_set" in found and "ql_buf_addf" in found and len(found) > 25


def test_nesting_is_shallow():
    deep = []
    for path in source.c_files():
        text = source.without_comments(source.read(path)).splitlines()
        deep += [f"{path}:{number}" for number, line in enumerate(text, 1)
                 if re.match(r"\t{%d,}(if|for|while|switch|do)\b" % (DEEPEST + 1), line)]
    assert not deep


def test_clang_format():
    ran = subprocess.run(["clang-format-14", "--dry-run", "-Werror", *source.c_files()],
                         cwd=source.TOP, text=True, capture_output=True, check=False)
    wrong = sorted({line.split(":")[0] for line in ran.stderr.splitlines() if "error:" in line})
    assert ran.returncode == 0, f"run `make fmt` for: {' '.join(wrong)}"


def test_banned_functions():
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
    used = []
    for path in source.files("src", ends=(".c", ".h")):
        text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', source.without_comments(source.read(path)))
        used += [f"{path}:{number}: {match.group(1)}"
                 for number, line in enumerate(text.splitlines(), 1)
                 for match in [pattern.search(line)] if match]
    assert not used


def test_no_typedefs_but_function_types():
    wrong = []
    for path in source.files("src", ends=(".c", ".h")):
        text = source.without_comments(source.read(path))
        wrong += [f"{path}: {match.group(0).split(chr(10))[0]}"
                  for match in re.finditer(r"^\s*typedef\b[^;]*;", text, re.M)
                  if not re.search(r"_fn\s*\)?\s*\(", match.group(0))]
    assert not wrong


def test_text_files_are_clean():
    wrong = []
    for path in source.files("", ends=(".c", ".h", ".def", ".py", ".md", ".build", ".yaml",
                                       ".sql", ".service", "Makefile")):
        text = source.read(path)
        if text and not text.endswith("\n") or "\r" in text or re.search(r"[ \t]+$", text, re.M):
            wrong.append(path)
    assert not wrong
