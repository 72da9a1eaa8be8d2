"""The table of metrics, its document, the dashboard and the alert rules speak of the same names."""
import json
import re
import subprocess

import source
import yaml

SUFFIXES = {"COUNTER": ["_total"], "GAUGE": [""], "HISTOGRAM": ["_bucket", "_count", "_sum"]}


def table():
    """name -> (kind, labels)"""
    rows = re.findall(r'X\(\w+, (\w+), "(\w+)", "(\w*)", "([\w,]*)",\s*"([^"]+)"\)',
                      source.read("src/rules/meter.def"))
    assert len(rows) == len(re.findall(r"^X\(", source.read("src/rules/meter.def"), re.M))
    return {name: (kind, unit, [label for label in labels.split(",") if label])
            for kind, name, unit, labels, _ in rows}


def samples():
    """Every name that a query may use -> its labels"""
    return {name + suffix: labels + (["le"] if suffix == "_bucket" else [])
            for name, (kind, _, labels) in table().items() for suffix in SUFFIXES[kind]}


def test_names_are_as_openmetrics_wants_them():
    for name, (kind, unit, labels) in table().items():
        assert re.fullmatch(r"quell_[a-z_]+", name)
        assert not unit or name.endswith("_" + unit)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert len(labels) <= 4 and "le" not in labels


def test_no_label_says_whose_or_which():
    for _, _, labels in table().values():
        assert not {"eval_id", "task_id", "owner", "key", "session", "queue"} & set(labels)


def test_the_document_has_them_all():
    text = source.read("docs/metrics.md")
    told = {name: (kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels in re.findall(
        r"^\| `(quell_\w+)` \| (\w+) \|([^|]*)\|", text, re.M)}
    wanted = {name + ("_total" if kind == "COUNTER" else ""): (kind.lower(), labels)
              for name, (kind, _, labels) in table().items()}
    assert told == wanted


def test_the_document_has_the_buckets():
    text = source.read("src/rules/meter.c")
    bounds = re.search(r"ql_meter_bounds\[QL_METER_BUCKETS\] = \{([^}]*)\}", text).group(1)
    told = re.search(r"^Buckets of the histograms: (.*)$", source.read("docs/metrics.md"), re.M)
    units = {"ms": 0.001, "s": 1, "min": 60}
    found = []
    for numbers, unit in re.findall(r"([\d., and]+?) (ms|s|min)\b", told.group(1)):
        found += [float(number) * units[unit] for number in re.findall(r"\d+(?:\.\d+)?", numbers)]
    assert [round(one, 6) for one in found] == [float(one) for one in bounds.split(",")]


def queries():
    for group in yaml.safe_load(source.read("deploy/alerts.yaml"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    dashboard = json.loads(source.read("deploy/grafana.json"))
    for variable in dashboard["templating"]["list"]:
        yield variable["name"], str(variable["query"])
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_queries_use_what_there_is():
    known, scraped, seen = samples(), {"instance", "job"}, set()
    for where, query in queries():
        for name, matchers in re.findall(r"\b(quell_\w+)(?:\{([^}]*)\})?", query):
            assert name in known, f"{where}: {name}"
            used = set(re.findall(r"(\w+)\s*(?:=|!)", matchers))
            assert used <= set(known[name]) | scraped, f"{where}: {name}{used}"
            seen.add(name)
        names = re.findall(r"\bquell_\w+", query)
        for labels in re.findall(r"\bby \(([^)]*)\)", query):
            grouped = set(re.findall(r"\w+", labels))
            assert all(grouped <= set(known[name]) | scraped for name in names), where
    families = {name for name in table() if any(
        name + suffix in seen for suffix in ("", "_total", "_bucket", "_count", "_sum"))}
    assert families == set(table()), "a metric that neither dashboard nor rules look at"


def test_panels_have_names_of_their_own():
    panels = json.loads(source.read("deploy/grafana.json"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")


def promtool(*args):
    ran = subprocess.run(["promtool", *args], cwd=source.TOP, text=True, capture_output=True,
                         timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_rules_are_well_formed():
    wanted = len(yaml.safe_load(source.read("deploy/alerts.yaml"))["groups"][0]["rules"])
    assert f"SUCCESS: {wanted} rules found" in promtool("check", "rules", "deploy/alerts.yaml")


def test_the_rules_fire_on_what_they_are_for():
    promtool("test", "rules", "tests/tool/alerts.yaml")


def test_each_rule_is_tried():
    names = {rule["alert"] for rule in
             yaml.safe_load(source.read("deploy/alerts.yaml"))["groups"][0]["rules"]}
    well, ill = yaml.safe_load(source.read("tests/tool/alerts.yaml"))["tests"][:2]
    assert {one["alertname"] for one in well["alert_rule_test"]} == names
    fired = {re.search(r'"(\w+)"', one["labels"]).group(1)
             for one in ill["promql_expr_test"][0]["exp_samples"]}
    assert fired == names
