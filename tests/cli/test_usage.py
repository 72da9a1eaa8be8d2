"""Wrong usage, help, the man page and the completions: all from the table of verbs."""
import re
import subprocess

import pytest
from conftest import QUELL

VERBS = re.findall(r"^  (\w+) ", subprocess.run([QUELL, "help"], text=True, capture_output=True,
                                                check=True).stdout, re.M)


def options(verb):
    said = subprocess.run([QUELL, "help", verb], text=True, capture_output=True, check=True).stdout
    return re.findall(r"^  (?:-\w, )?--([\w-]+)", said, re.M)


def test_verbs_are_found():
    assert {"run", "submit", "ls", "show", "logs", "timeline", "cancel", "kill", "restore",
            "resume", "rm", "doctor", "completion", "help", "version"} <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(quell, verb):
    status, said, complaint = quell(verb, "--help")
    assert (status, complaint) == (0, "")
    assert said == quell("help", verb)[1]
    assert said.startswith(f"Usage: quell {verb} ")
    assert "--help" in said and "\\" not in said
    assert max(map(len, said.splitlines())) <= 100


def test_no_verb_is_wrong_usage(quell):
    status, said, complaint = quell()
    assert (status, said) == (2, "")
    assert "Usage: quell VERB" in complaint


@pytest.mark.parametrize("args,says", [
    (["cancle"], "there is no verb 'cancle'; did you mean cancel?"),
    (["lx"], "there is no verb 'lx'; did you mean ls?"),
    (["time"], "did you mean timeline?"),
    (["stop"], "there is no verb 'stop': it is called cancel"),
    (["ps"], "it is called ls"),
    (["frobnicate"], "there is no verb 'frobnicate'; see: quell help"),
    (["help", "frobnicate"], "there is no verb 'frobnicate'"),
    (["ls", "--lable=a=b"], "ls has no option '--lable=a=b'; did you mean --label?"),
    (["ls", "--xyzzy"], "ls has no option '--xyzzy'; see: quell help ls"),
    (["ls", "-Z"], "ls has no option '-Z'"),
    (["ls", "extra"], "ls takes nothing more, so 'extra' is too much"),
    (["ls", "--limit"], "--limit needs a value: N"),
    (["ls", "--limit", "0"], "--limit takes a whole number from 1"),
    (["ls", "--all=yes"], "--all takes no value"),
    (["ls", "--owner", "a", "--owner", "b"], "--owner was given more than once"),
    (["logs", "--stream", "both", "e1"], "--stream takes one of: stdout stderr; not 'both'"),
    (["logs"], "logs needs ID; see: quell help logs"),
    (["logs", "a", "b"], "logs takes only ID, so 'b' is too much"),
    (["cancel"], "cancel needs ID..."),
    (["cancel", "--grace", "soon", "e1"], "--grace takes a duration such as 10s"),
    (["cancel", "--escalate", "nuke", "e1"], "takes one of: none terminate kill"),
    (["kill", "--wait", "-1", "e1"], "--wait takes a duration"),
    (["submit"], "submit needs FILE, - for stdin, or a command after --"),
    (["submit", "a.py", "--", "true"], "give either FILE or, after --, a command"),
    (["submit", "a.py", "b.py"], "takes one FILE, so 'b.py' is too much"),
    (["submit", "--", ], "submit needs FILE"),
    (["submit", "--memory", "512", "--", "true"], "size in whole megabytes such as 512M"),
    (["submit", "--env", "A", "--", "true"], "--env takes NAME=VALUE"),
    (["submit", "--cpus", "many", "--", "true"], "--cpus takes a number; not 'many'"),
    (["submit", "README"], "the ending of 'README' tells no language: name it with --lang"),
    (["run"], "run needs FILE"),
    (["completion", "tcsh"], "there are completions for bash zsh fish; not for 'tcsh'"),
    (["ls", "--url", "ftp://x"], "must be like http://127.0.0.1:8080, not 'ftp://x'"),
    (["ls", "--url", "http://"], "must be like http://"),
    (["ls", "--key", "a b"], "--key must be a key"),
])
def test_wrong_usage(quell, server, args, says):
    status, said, complaint = quell(*args)
    assert status == 2
    assert said == ""
    assert complaint.startswith("quell: ") and complaint.count("\n") == 1
    assert says in complaint
    assert not server.requests


def test_version(quell):
    status, said, _ = quell("version")
    assert status == 0
    assert re.fullmatch(r"quell \d+\.\d+\.\d+\n", said)
    assert quell("--version")[1] == said


def test_the_manual_has_every_verb_and_option(quell):
    status, page, _ = quell("help", "--man")
    assert status == 0
    text = page.replace("\\-", "-")
    for verb in VERBS:
        assert re.search(rf"^\.SS quell {verb} ", text, re.M), verb
        for option in options(verb):
            assert f"--{option}\\fR" in text, f"{verb} --{option}"
    assert not re.search(r"^[.'](?!\\\"|TH|SH|SS|PP|TP|B|nf|fi)", page, re.M), "a stray request"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_have_every_verb_and_option(quell, shell):
    status, script, _ = quell("completion", shell)
    assert status == 0
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", script)
        for option in options(verb):
            wanted = (rf"seen_subcommand_from {verb}' -l {option}\b" if shell == "fish"
                      else rf"--{option}\b")
            assert re.search(wanted, script), f"{verb} --{option}"


def test_zsh_gets_each_option_as_one_word(quell):
    """Outside of quotes a [ is a pattern, and the whole list of options is lost."""
    specs = [line for line in quell("completion", "zsh")[1].splitlines()
             if re.match(r"\t{3}\S*-", line)]
    assert len(specs) > 50
    for line in specs:
        assert re.fullmatch(r"\t{3}('\*')?(\{-\w,--[\w-]+\})?'([^']|'\\'')*'( \\)?", line), line


def complete(quell, environment, *words, path=""):
    """What bash offers for the last of the words."""
    script = quell("completion", "bash")[1]
    given = " ".join(f"'{word}'" for word in words)
    asked = f"COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _quell; " \
            "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", f"{script}\n{asked}"], text=True, capture_output=True,
                          env={**environment, "PATH": f"{path}:{environment['PATH']}"}, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes(quell, environment, tmp_path):
    assert complete(quell, environment, "quell", "ca") == ["cancel"]
    assert complete(quell, environment, "quell", "ls", "--li") == ["--limit"]
    assert complete(quell, environment, "quell", "cancel", "--escalate", "k") == ["kill"]
    assert complete(quell, environment, "quell", "logs", "--stream", "") == ["stdout", "stderr"]
    assert complete(quell, environment, "quell", "help", "dbc") == []
    assert complete(quell, environment, "quell", "help", "doc") == ["doctor"]
    assert complete(quell, environment, "quell", "completion", "f") == ["fish"]
    (tmp_path / "prog.py").write_text("")
    assert complete(quell, environment, "quell", "run", f"{tmp_path}/pr") == [f"{tmp_path}/prog.py"]
    (tmp_path / "quell").write_text("#!/bin/sh\necho abc-1 abd-2\n")
    (tmp_path / "quell").chmod(0o755)
    assert complete(quell, environment, "quell", "show", "ab", path=tmp_path) == ["abc-1", "abd-2"]
