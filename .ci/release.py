#!/usr/bin/env python3
"""Semantic versions from commit messages. Standard library and git only.

    release.py next            the next version, or nothing if no commit is worth a release
    release.py write VERSION   writes it into program, chart and CHANGELOG.md; prints the notes

A subject is `type(scope)!: what`. A `!` or a line `BREAKING CHANGE: …` in the body raises the major
number (the minor one before 1.0), `feat` the minor, `fix` and `perf` the patch. Other types do not
make a release of their own. The last version is the newest tag vX.Y.Z that HEAD descends from.
"""
import datetime
import pathlib
import re
import subprocess
import sys

SUBJECT = re.compile(r"(?P<type>[a-z]+)(\([^)]*\))?(?P<breaking>!)?: (?P<what>.+)")
BREAKING = re.compile(r"^BREAKING[ -]CHANGE: (.+)", re.MULTILINE)
SECTIONS = {"breaking": "Breaking", "feat": "Added", "fix": "Fixed", "perf": "Faster"}
# What has the version in it; each pattern has to match exactly once.
PLACES = {
    "Sources/Platform/Program/Version.swift": [(r'(number = ")[^"]*(")', r"\g<1>{}\g<2>")],
    "chart/Chart.yaml": [
        (r"(?m)^(version: ).*$", r"\g<1>{}"),
        (r"(?m)^(appVersion: ).*$", r"\g<1>'{}'"),
    ],
    "Examples/deployment.yaml": [(r"(?m)^( +image: \S+/metrics-sidecar:).*$", r"\g<1>{}")],
}


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def last_version():
    tags = [tag for tag in git("tag", "--merged", "HEAD", "--list", "v*").split()
            if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
    versions = [tuple(int(part) for part in tag[1:].split(".")) for tag in tags]
    return max(versions, default=None)


def commits(since):
    """(subject, body) of each commit since that version, oldest first; merges carry nothing."""
    span = "v{}.{}.{}..HEAD".format(*since) if since else "HEAD"
    text = git("log", "--reverse", "--no-merges", "--format=%s%x1f%b%x1e", span)
    return [tuple(part.strip() for part in record.split("\x1f"))
            for record in text.split("\x1e") if record.strip()]


def classified(found):
    """What is worth telling, by section."""
    told = {section: [] for section in SECTIONS}
    for subject, body in found:
        match = SUBJECT.fullmatch(subject)
        if not match:
            continue
        broken = BREAKING.search(body)
        if match["breaking"] or broken:
            told["breaking"].append(broken[1] if broken else match["what"])
        if match["type"] in told:
            told[match["type"]].append(match["what"])
    return told


def following(last, told):
    if not any(told.values()):
        return None
    if last is None:
        return (0, 1, 0)
    major, minor, patch = last
    if told["breaking"] and major > 0:
        return (major + 1, 0, 0)
    if told["breaking"] or told["feat"]:
        return (major, minor + 1, 0)
    return (major, minor, patch + 1)


def notes(told):
    parts = []
    for section, title in SECTIONS.items():
        if told[section]:
            lines = "".join(f"- {what}\n" for what in told[section])
            parts.append(f"### {title}\n{lines}")
    return "\n".join(parts)


def write(version, told):
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"release.py: a version is X.Y.Z, not '{version}'")
    for name, patterns in PLACES.items():
        path = pathlib.Path(name)
        text = path.read_text()
        for pattern, replacement in patterns:
            text, count = re.subn(pattern, replacement.format(version), text)
            if count != 1:
                sys.exit(f"release.py: {name}: {pattern} is there {count} times, not once")
        path.write_text(text)
    changelog = pathlib.Path("CHANGELOG.md")
    head, mark, rest = changelog.read_text().partition("<!-- releases -->\n")
    if not mark:
        sys.exit("release.py: CHANGELOG.md has no line <!-- releases -->")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    changelog.write_text(f"{head}{mark}\n## {version} ({today})\n\n{notes(told)}{rest}")


def main():
    last = last_version()
    told = classified(commits(last))
    match sys.argv[1:]:
        case ["next"]:
            if version := following(last, told):
                print(".".join(map(str, version)))
        case ["write", version]:
            write(version, told)
            print(notes(told), end="")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
