#!/usr/bin/python3
"""Usage: embed_openapi.py openapi.yaml VERSION OUT.c
Writes the contract as JSON into a C source."""
import json
import sys

import yaml

source, version, target = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    contract = yaml.safe_load(file)
contract["info"]["version"] = version
text = json.dumps(contract, ensure_ascii=True, separators=(",", ":"))
with open(target, "w", encoding="ascii") as out:
    out.write('#include "http/openapi.h"\n\nconst char ql_openapi_json[] =\n')
    for at in range(0, len(text), 80):
        piece = text[at:at + 80].replace("\\", "\\\\").replace('"', '\\"')
        out.write(f'\t"{piece}"\n')
    out.write("\t;\nconst size_t ql_openapi_len = sizeof(ql_openapi_json) - 1;\n")
