#!/usr/bin/env python3
"""Workflows by actionlint, zizmor and their schema; what they run, in a clone with nothing beside
it; the release script on made-up histories.

    Tests/System/run workflows
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from unittest import TestCase, main

import yaml

from support import bare_clone
from support import ROOT
from support.checks import check

BIN = pathlib.Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))

# Subjects (and bodies) since the tag, and the version that follows.
VERSIONS = [
    (None, ["chore: start"], None, "nothing is worth a first release"),
    (None, ["feat: first"], "0.1.0", "the first release"),
    ("v1.2.3", ["docs: words", "test: more", "Merge me"], None, "nothing for users"),
    ("v1.2.3", ["fix: a"], "1.2.4", "a fix"),
    ("v1.2.3", ["perf: b"], "1.2.4", "a faster way"),
    ("v1.2.3", ["feat(chart): c", "fix: a"], "1.3.0", "a feature, with a scope"),
    ("v1.2.3", ["fix!: d"], "2.0.0", "a break, by its mark"),
    ("v1.2.3", ["refactor: e\n\nBREAKING CHANGE: the flag is gone"], "2.0.0",
     "a break, by its body"),
    ("v0.2.3", ["feat!: f"], "0.3.0", "a break before 1.0"),
    ("v1.9.9", ["feat: g"], "1.10.0", "numbers, not text"),
    ("v1.2.3", ["feature: h", "fix the thing", "feat:no space"], None, "what is no such subject"),
]


def run(*command, cwd=ROOT):
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True,
                            text=True, timeout=120)
    check(result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


class Workflows(TestCase):
    def test_linted(self):
        """Workflows are clean by actionlint, zizmor and their schema."""
        run(BIN / "actionlint")
        run(BIN / "zizmor", "--offline", "--no-progress", ".github")
        run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
        run(BIN / "check-jsonschema", "--builtin-schema", "vendor.dependabot",
            ".github/dependabot.yml")
        print(f"  {len(WORKFLOWS)} workflows are clean by actionlint, zizmor and their schema")

    def test_pinned(self):
        """Every action is a commit with its version beside it, the same one wherever it is used."""
        known = {}
        for path in WORKFLOWS:
            for used in re.findall(r"uses: (.+)", path.read_text()):
                if used.startswith("$/"):
                    check((ROOT / used[2:]).exists(), f"{path.name}: {used} is not there")
                    continue
                match = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+", used)
                check(match, f"{path.name}: {used} is not pinned")
                check(known.setdefault(match[1], used) == used, f"{match[1]} is pinned twice")
        print(f"  {len(known)} actions, each pinned by its commit")

    def test_permitted(self):
        """Workflows may nothing, jobs only what is listed here."""
        allowed = {"release": {"contents": "write"}, "images": {"packages": "write"},
                   "chart": {"packages": "write"}, "build_and_push": {"packages": "write"}}
        for path in WORKFLOWS:
            workflow = yaml.safe_load(path.read_text())
            check(workflow["permissions"] == {}, f"{path.name}: permissions of the workflow")
            for name, job in workflow["jobs"].items():
                extra = {key: value for key, value in job["permissions"].items()
                         if (key, value) != ("contents", "read")}
                check(extra == allowed.get(name, {}), f"{path.name}: {name} may {extra}")
                check("timeout-minutes" in job or "uses" in job,
                      f"{path.name}: {name} has no timeout")

    def test_steps_exist(self):
        """What test.yml runs, or leaves to its other jobs, are targets of the Makefile; none is
        lost."""
        makefile = set(re.findall(r"(?m)^([a-z0-9-]+):", (ROOT / "Makefile").read_text()))
        workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
        matrix = workflow["jobs"]["test"]["strategy"]["matrix"]["include"]
        steps = [entry["steps"].split() for entry in matrix]
        (excepted,) = [set(words[1:]) for words in steps if words[0] == "--except"]
        named = {word for words in steps if words[0] != "--except" for word in words}
        check(excepted | named <= makefile, f"no targets: {(excepted | named) - makefile}")
        # `dist` is dist-all and sizes; `coverage` runs the tests.
        done = named | {"dist-all", "sizes", "test"}
        check(excepted <= done, f"test.yml leaves out {excepted - done}")
        print(f"  test.yml runs {len(named)} targets side by side, and the rest of .ci/run")

    def test_alone(self):
        """Every target has its tools where a workflow runs it."""
        with tempfile.TemporaryDirectory() as folder:
            bare_clone.tools_there(folder)

    def test_released(self):
        """Versions from commit messages; the version is written where it belongs."""
        os.environ.update(
            GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@example.com", GIT_COMMITTER_NAME="a",
            GIT_COMMITTER_EMAIL="a@example.com", GIT_CONFIG_GLOBAL=os.devnull)
        script = ROOT / "Scripts/release"
        for tag, subjects, version, what in VERSIONS:
            with tempfile.TemporaryDirectory() as folder:
                run("git", "init", "-q", ".", cwd=folder)
                run("git", "commit", "-q", "--allow-empty", "-m", "chore: old", cwd=folder)
                if tag:
                    run("git", "tag", tag, cwd=folder)
                    run("git", "tag", "vnext", cwd=folder)
                for subject in subjects:
                    run("git", "commit", "-q", "--allow-empty", "-m", subject, cwd=folder)
                answer = run(sys.executable, script, "next", cwd=folder).strip()
                check(answer == (version or ""), f"{what}: {answer or 'none'}, not {version}")
        with tempfile.TemporaryDirectory() as folder:
            names = ["CHANGELOG.md", "Sources/Platform/Program/Version.swift",
                     "Examples/deployment.yaml"]
            for name in names:
                target = pathlib.Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text((ROOT / name).read_text())
            chart = pathlib.Path(folder) / "chart/Chart.yaml"
            chart.parent.mkdir()
            real = ROOT / "chart/Chart.yaml"
            chart.write_text(real.read_text() if real.exists()
                             else "version: 0.0.1\nappVersion: '0.0.1'\n")
            run("git", "init", "-q", ".", cwd=folder)
            run("git", "add", "-A", cwd=folder)
            run("git", "commit", "-q", "-m", "feat: one\n\nwhy", cwd=folder)
            notes = run(sys.executable, script, "write", "3.2.1", cwd=folder)
            check(notes == "### Added\n- one\n", f"notes: {notes!r}")
            described = yaml.safe_load(chart.read_text())
            check(described["version"] == described["appVersion"] == "3.2.1", f"chart: {described}")
            swift = (pathlib.Path(folder) / names[1]).read_text()
            check('number = "3.2.1"' in swift, swift)
            check("/metrics-sidecar:3.2.1\n" in (pathlib.Path(folder) / names[2]).read_text(),
                  "the example")
            changelog = (pathlib.Path(folder) / names[0]).read_text()
            check(re.search(r"\n## 3\.2\.1 \(\d{4}-\d\d-\d\d\)\n\n### Added\n- one\n", changelog),
                  changelog)
        print(f"  {len(VERSIONS)} histories have the right version; it is written in every place")

    def test_owned(self):
        """One command makes every image and link a fork's, and makes them somebody else's again."""
        run(ROOT / "Scripts/owner", "--check")
        names = re.search(r"FILES = (\[.*?\])", (ROOT / "Scripts/owner").read_text(), re.DOTALL)[1]
        with tempfile.TemporaryDirectory() as folder:
            page = sorted((ROOT / "Sources/MetricsSidecar/Page").glob("*"))
            for name in ["Scripts/owner", "Scripts/page", *re.findall(r'"([^"]+)"', names),
                         *(path.relative_to(ROOT) for path in page)]:
                target = pathlib.Path(folder) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target)
            script = pathlib.Path(folder) / "Scripts/owner"
            for owner in ("Alice", "bob/other.name"):
                run(script, owner)
                run(script, "--check")
                text = (pathlib.Path(folder) / "chart/values.yaml").read_text()
                check(f"ghcr.io/{owner.lower().partition('/')[0]}/simple-server" in text, text)
            alerts = (pathlib.Path(folder) / "chart/files/alerts.yaml").read_text()
            check("https://github.com/bob/other.name/blob/main/docs/runbook.md#" in alerts,
                  "runbooks")
            run(pathlib.Path(folder) / "Scripts/page", "--check")
            page = pathlib.Path(folder) / "Sources/MetricsSidecar/Page/page.html"
            check("https://github.com/bob/other.name/blob/main/docs/" in page.read_text(),
                  "the page")
        print("  Scripts/owner gives a fork its own images and links")


if __name__ == "__main__":
    main()
