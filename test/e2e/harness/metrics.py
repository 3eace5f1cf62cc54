"""The Prometheus text format, read as strictly as promtool would."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"^({NAME})(?:\{{(.*)\}})? (\S+)(?: \d+)?$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


class Family:
    def __init__(self, name):
        self.name, self.help, self.type, self.samples = name, None, None, []

    def values(self, **labels):
        """{suffix: value} of samples with at least those labels."""
        return [v for _, ls, v in self.samples if labels.items() <= ls.items()]

    def total(self, **labels):
        return sum(self.values(**labels))


def parse_labels(text):
    labels, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m, f"labels {text!r}"
        assert m.group(1) not in labels, f"label {m.group(1)} twice"
        labels[m.group(1)] = m.group(2)
        at = m.end()
    return labels


def parse(text):
    """{name: Family}; AssertionError says what promtool would refuse."""
    assert text.endswith("\n"), "the last line must end"
    families, current, seen = {}, None, set()
    for line in text.splitlines():
        m = re.match(rf"^# (HELP|TYPE) ({NAME}) (.+)$", line)
        if m:
            kind, name, rest = m.groups()
            if current is None or current.name != name:
                assert name not in families, f"family {name} in two places"
                current = families[name] = Family(name)
            assert not current.samples, f"{kind} of {name} after its samples"
            assert getattr(current, kind.lower()) is None, f"{kind} of {name} twice"
            setattr(current, kind.lower(), rest)
        elif line and not line.startswith("#"):
            sample(current, line, seen)
    for family in families.values():
        check(family)
    return families


def sample(family, line, seen):
    m = SAMPLE.match(line)
    assert m, f"line {line!r}"
    name, labels, value = m.group(1), parse_labels(m.group(2) or ""), float(m.group(3))
    assert family, f"a sample without a family: {line!r}"
    allowed = [family.name + s for s in SUFFIXES.get(family.type, ("",))]
    assert name in allowed, f"{name} among the samples of {family.name}"
    key = (name, tuple(sorted(labels.items())))
    assert key not in seen, f"twice: {line!r}"
    seen.add(key)
    family.samples.append((name[len(family.name):], labels, value))


def check(family):
    assert family.help and family.type, f"{family.name} lacks HELP or TYPE"
    if family.type == "counter":
        assert family.name.endswith("_total"), f"counter {family.name} not ..._total"
        assert all(v >= 0 for _, _, v in family.samples)
    else:
        assert not family.name.endswith("_total"), f"{family.type} {family.name}"
    if family.type == "histogram":
        check_histogram(family)


def check_histogram(family):
    """Buckets rise, end with +Inf, and that equals the count."""
    series = {}
    for suffix, labels, value in family.samples:
        rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        one = series.setdefault(rest, {"buckets": []})
        if suffix == "_bucket":
            one["buckets"].append((float(labels["le"]), value))
        else:
            one[suffix] = value
    for labels, one in series.items():
        bounds = [b for b, _ in one["buckets"]]
        counts = [c for _, c in one["buckets"]]
        assert bounds == sorted(bounds) and bounds[-1] == float("inf"), (family.name, labels)
        assert counts == sorted(counts), (family.name, labels, "not cumulative")
        assert counts[-1] == one["_count"] and "_sum" in one, (family.name, labels)
