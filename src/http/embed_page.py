#!/usr/bin/python3
"""Usage: embed_page.py TOP FOLDER OUT.c DEPFILE
Builds the page with Node into FOLDER and writes it into a C source. Where its packages are not
installed, a plain page that says how to get it is embedded instead.
"""
import gzip
import hashlib
import os
import shutil
import subprocess
import sys

PLAIN = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quell</title>
<h1>Quell is running, without its page</h1>
<p>This server was built on a machine where the page's packages could not be fetched from npm.
To get the page, build it again where Node.js 18 or newer and the npm registry can be reached:</p>
<pre>make run</pre>
<p>Everything else is here: <code>quell help</code> lists the commands, and
<a href="/openapi.json">/openapi.json</a> (with a key) describes the HTTP API.</p>
</html>
"""
PLAIN_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def build(top, folder):
    """The page's parts as Node makes them, and the files that went into it."""
    subprocess.run(["node", f"{top}/web/build.mjs", folder], check=True)
    parts = {name: read(f"{folder}/page.{end}") for name, end in
             (("plain", "html"), ("gzip", "html.gz"), ("brotli", "html.br"))}
    inputs = read(f"{folder}/page.inputs").decode().splitlines()
    return parts, read(f"{folder}/page.csp").decode(), inputs


def plain():
    text = PLAIN.encode()
    parts = {"plain": text, "gzip": gzip.compress(text, 9, mtime=0), "brotli": b""}
    return parts, PLAIN_POLICY, []


def write(path, parts, policy):
    etag = hashlib.sha256(parts["plain"] + policy.encode()).hexdigest()[:16]
    with open(path, "w", encoding="ascii") as out:
        out.write('#include "http/web.h"\n\n')
        for name, data in parts.items():
            rows = (data[at:at + 32] for at in range(0, len(data), 32))
            text = ",\n\t".join(",".join(map(str, row)) for row in rows) or "0"
            out.write(f"static const unsigned char {name}[] = {{\n\t{text}}};\n")
        out.write("const struct ql_web ql_web = {\n")
        for name, data in parts.items():
            out.write(f"\t.{name} = {{{name}, {len(data)}}},\n")
        out.write(f'\t.etag = "{etag}",\n\t.policy = "{policy}",\n}};\n')


def main():
    top, folder, target, depfile = sys.argv[1:]
    mark = f"{top}/node_modules/.quell-installed"
    if shutil.which("node") and os.path.exists(mark):
        parts, policy, inputs = build(top, folder)
    else:
        parts, policy, inputs = plain()
    write(target, parts, policy)
    with open(depfile, "w", encoding="utf-8") as out:
        # A mark that is missing makes ninja look again at each build.
        out.write(f"{target}: " + " ".join([mark, *inputs]) + "\n")


main()
