#!/usr/bin/env python3
"""Workflows by actionlint, zizmor and their schema; what they run, in a clone with nothing beside
it; releases by git-cliff on made-up histories.

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
from support.workflow_steps import Runner

BIN = pathlib.Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github/actions").glob("*/action.yml"))

# Subjects (and bodies) since the tag, and the version that follows. "revert" is what
# `git revert HEAD` makes, "tag:" a tag.
VERSIONS = [
    (None, ["chore: start"], "", "nothing is worth a first release"),
    (None, ["feat: first"], "0.1.0", "the first release"),
    ("v1.2.3", ["docs: words", "test: more", "Merge me"], "", "nothing for users"),
    ("v1.2.3", ["fix: a"], "1.2.4", "a fix"),
    ("v1.2.3", ["perf: b"], "1.2.4", "a faster way"),
    ("v1.2.3", ["feat(chart): c", "fix: a"], "1.3.0", "a feature, with a scope"),
    ("v1.2.3", ["fix!: d"], "2.0.0", "a break, by its mark"),
    ("v1.2.3", ["refactor: e\n\nBREAKING CHANGE: the flag is gone"], "2.0.0",
     "a break, by its body"),
    ("v0.2.3", ["feat!: f"], "0.3.0", "a break before 1.0"),
    ("v1.9.9", ["feat: g"], "1.10.0", "numbers, not text"),
    ("v1.2.3", ["feature: h", "fix the thing", "feat:no space"], "", "what is no such subject"),
    ("v1.2.3", ["fix: a", "feat: i", "revert"], "1.2.4", "a feature that is reverted at once"),
    ("v1.2.3", ["feat: i", "revert"], "", "nothing but a feature and its revert"),
    ("v1.2.3", ["feat: i", "revert", "revert"], "1.3.0", "a revert that is reverted"),
    ("v1.2.3", ["feat: i", "tag:v1.3.0", "revert"], "1.3.1", "the revert of a released feature"),
    ("v1.2.3", ["feat: i", "tag:v1.3.0-rc.1"], "1.3.0", "what a pre-release tried"),
    ("v1.2.3", ["feat: i", "tag:v1.3.0-rc.1", "fix: a"], "1.3.0", "a fix after a pre-release"),
    ("v1.2.3", ["feat: i", "tag:v1.3.0-rc.1", "feat!: j"], "2.0.0", "a break after a pre-release"),
]


def run(*command, cwd=ROOT, **options):
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True,
                            text=True, timeout=120, **options)
    check(result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


def history(folder, tag, subjects):
    """A repository in `folder` with the release's files and these commits."""
    for name in ("cliff.toml", "CHANGELOG.md", "Sources/Platform/Program/Version.swift",
                 "chart/Chart.yaml", "chart/charts/metrics-sidecar/Chart.yaml",
                 "Clients/python/src/metrics_sidecar/__init__.py",
                 "Examples/Package.swift", "Examples/deployment.yaml", "docs/guide.md"):
        target = pathlib.Path(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    run("git", "init", "-q", ".", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", "commit", "-q", "-m", "chore: old", cwd=folder)
    if tag:
        run("git", "tag", tag, cwd=folder)
        run("git", "tag", "vnext", cwd=folder)
    for number, subject in enumerate(subjects):
        if subject == "revert":
            run("git", "revert", "--no-edit", "HEAD", cwd=folder)
        elif subject.startswith("tag:"):
            run("git", "tag", subject.removeprefix("tag:"), cwd=folder)
        else:
            pathlib.Path(folder, f"{number}.txt").write_text(subject)
            run("git", "add", "-A", cwd=folder)
            run("git", "commit", "-q", "-m", subject, cwd=folder)


def release(folder, *words, **options):
    return run(sys.executable, ROOT / "Scripts/release", *words, cwd=folder, **options).strip()


def release_steps(runner):
    """The commands of the release's jobs in their order: proposal, merge, images, chart, tag."""
    folder = ROOT / ".github/workflows"
    flow, push = folder / "release.yml", folder / "build_and_push.yml"
    runner.git("config", "--global", "user.email", "somebody@example.com")
    runner.git("config", "--global", "user.name", "somebody")
    runner.git("config", "--global", "--add", "safe.directory", "*")
    runner.git("switch", "-q", "-C", "main")
    runner.git("commit", "-q", "--allow-empty", "-am", "feat: what is not committed yet")
    runner.git("tag", "v0.0.9", "HEAD~1")

    runner.job(flow, "version")
    waiting = "steps.version.outputs.version"
    check(runner.known[waiting] == "", "a version waits before any was proposed")
    runner.job(flow, "propose", **{"inputs__pre-release": ""})
    version = release(runner.clone, "pending", env=runner.environment)
    check(version == "0.1.0", f"{version} is proposed")
    (created,) = [line for line in runner.called() if line.startswith("gh pr create")]
    check(f"--title chore: release {version} " in created, created)
    runner.job(flow, "version")
    check(runner.known[waiting] == version, "the merged version does not wait")

    known = {"inputs__version": version, "steps__app__outputs__digest": "sha256:a",
             "steps__sidecar__outputs__digest": "sha256:b"}
    runner.job(push, "images", **known)
    images = [f"{place}/{image}" for image in ("simple-server", "metrics-sidecar")
              for place in ("ghcr.io/owner", "docker.io/hub")]
    signed = [f"cosign sign --yes {image}@sha256:{'a' if 'server' in image else 'b'}"
              for image in images]
    latest = [f"docker buildx imagetools create --tag {image}:latest {image}:{version}"
              for image in images]
    called = runner.called()
    check(called == signed + latest, called)
    runner.job(push, "chart", **known)
    called = runner.called()
    pushed = [line for part, name in (("library", "metrics-sidecar"), ("chart", "simple-server"))
              for line in (f"helm push {runner.folder / part}/{name}-{version}.tgz "
                           "oci://ghcr.io/owner/charts",
                           f"cosign sign --yes ghcr.io/owner/charts/{name}@sha256:c0ffee")]
    check(called == ["helm registry login", *pushed], called)
    runner.git("checkout", "-q", ".")
    for platform in ("linux_amd64", "linux_arm64", "linux_arm_v7"):
        for name in ("metrics-sidecar", "simple-server", "convert-rules"):
            program = runner.clone / "programs" / platform / name
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_text(platform + name)
    runner.job(flow, "release", needs__version__outputs__version=version)
    (created,) = [line for line in runner.called() if line.startswith("gh release")]
    check(created.startswith(f"gh release create v{version} --verify-tag")
          and "--latest" not in created and "--prerelease" not in created, created)
    assets = runner.folder / "assets"
    names = [path.name for path in sorted(assets.iterdir())]
    wheel = f"metrics_sidecar-{version}-py3-none-any.whl"
    check(names == sorted(["SHA256SUMS", wheel, *(
        f"{name}-linux-{platform}" for name in ("convert-rules", "metrics-sidecar", "simple-server")
        for platform in ("amd64", "arm64", "armv7"))]), names)
    check(created.endswith(" ".join(str(assets / name) for name in names)), created)
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=assets)
    check((assets / "convert-rules-linux-armv7").read_text() == "linux_arm_v7convert-rules",
          "a program of another platform")
    kind = runner.git("cat-file", "-t", f"v{version}", at=runner.origin)
    check(kind == "tag", "the tag is not pushed")

    runner.job(push, "images", **known | {"inputs__version": "0.0.9"})
    check(not [line for line in runner.called() if "latest" in line], "latest moves back")
    print(f"  a release's own commands propose, push, sign and tag {version}; latest never goes "
          "back")


class Workflows(TestCase):
    def test_linted(self):
        """Workflows are clean by actionlint, zizmor and their schema."""
        run(BIN / "actionlint")
        run(BIN / "zizmor", "--offline", "--no-progress", ".github")
        run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
        run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-actions", *ACTIONS)
        run(BIN / "check-jsonschema", "--builtin-schema",
            "vendor.dependabot", ".github/dependabot.yml")
        print(f"  {len(WORKFLOWS)} workflows are clean by actionlint, zizmor and their schema")

    def test_pinned(self):
        """Every action is a commit with its version beside it, the same one wherever it is used;
        every image of others has its digest."""
        known = {}
        for path in [*WORKFLOWS, *ACTIONS]:
            for used in re.findall(r"uses: (.+)", path.read_text()):
                if used.startswith(("$/", "./")):
                    check((ROOT / used[2:]).exists(), f"{path.name}: {used} is not there")
                    continue
                match = re.fullmatch(r"([\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+", used)
                check(match, f"{path.name}: {used} is not pinned")
                check(known.setdefault(match[1], used) == used, f"{match[1]} is pinned twice")
        images = [(path.name, image) for path in sorted(ROOT.glob("Dockerfile.*"))
                  for image in re.findall(r"(?m)^FROM (?:--platform=\S+ )?(\S*/\S+)",
                                          path.read_text())]
        compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        images += [("compose.yaml", service["image"]) for service in compose.values()
                   if "build" not in service]
        for name, image in images:
            check(re.fullmatch(r"docker\.io/\S+:\S+@sha256:[0-9a-f]{64}", image),
                  f"{name}: {image} has no digest")
        print(f"  {len(known)} actions, each pinned by its commit; {len(images)} images, each by "
              "its digest")

    def test_permitted(self):
        """Workflows may nothing, jobs only what is listed here."""
        publishes = {"packages": "write", "id-token": "write", "attestations": "write"}
        allowed = {"release.yml": {"propose": {"contents": "write", "pull-requests": "write"},
                                   "release": {"contents": "write"}, "build_and_push": publishes},
                   "build_and_push.yml": {"images": publishes, "chart": publishes}}
        for path in WORKFLOWS:
            workflow = yaml.safe_load(path.read_text())
            check(workflow["permissions"] == {}, f"{path.name}: permissions of the workflow")
            for name, job in workflow["jobs"].items():
                extra = {key: value for key, value in job["permissions"].items()
                         if (key, value) != ("contents", "read")}
                wanted = allowed.get(path.name, {}).get(name, {})
                check(extra == wanted, f"{path.name}: {name} may {extra}")
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
        """In a clone with nothing beside it every target has its tools, and a release works."""
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder).resolve()
            clone = bare_clone.clone_alone(folder)
            environment = bare_clone.environment_of_job(folder)
            bare_clone.tools_there(clone, folder, environment)
            helm = run(clone / ".ci/helm", cwd=clone, env=environment).strip()
            release_steps(Runner(clone, folder, environment, helm))

    def test_released(self):
        """Versions and changelog that git-cliff makes of made-up histories; each place has them."""
        os.environ.update(
            GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@example.com", GIT_COMMITTER_NAME="a",
            GIT_COMMITTER_EMAIL="a@example.com", GIT_CONFIG_GLOBAL=os.devnull,
            PATH=f"{BIN}:{os.environ['PATH']}")
        for tag, subjects, version, what in VERSIONS:
            with tempfile.TemporaryDirectory() as folder:
                history(folder, tag, subjects)
                answer = release(folder, "next")
                check(answer == version, f"{what}: {answer or 'none'}, not {version or 'none'}")
        with tempfile.TemporaryDirectory() as folder:
            history(folder, "v1.2.3", ["feat: one\n\nwhy", "fix: two", "feat: gone", "revert",
                                       "fix!: three\n\nBREAKING CHANGE: the flag is gone"])
            check(release(folder, "next", "rc") == "2.0.0-rc.1", "the first pre-release")
            check(release(folder, "pending") == "", "a version is pending before any is written")
            release(folder, "write", "2.0.0-rc.1")
            check(release(folder, "pending") == "2.0.0-rc.1", "the written version is not pending")
            run("git", "commit", "-qam", "chore: release 2.0.0-rc.1", cwd=folder)
            run("git", "tag", "v2.0.0-rc.1", cwd=folder)
            check(release(folder, "pending") == "", "a tagged version is pending")
            check(release(folder, "next", "rc") == "", "a pre-release of what is released already")
            run("git", "commit", "-q", "--allow-empty", "-m", "perf: four", cwd=folder)
            check(release(folder, "next", "rc") == "2.0.0-rc.2", "the second pre-release")
            check(release(folder, "next") == "2.0.0", "the release after its pre-releases")
            release(folder, "write", "2.0.0")
            notes = release(folder, "notes", "2.0.0")
            check(notes == "### Breaking\n- the flag is gone\n\n### Added\n- one\n\n"
                  "### Fixed\n- two\n\n### Faster\n- four", f"notes: {notes!r}")
            changelog = pathlib.Path(folder, "CHANGELOG.md").read_text()
            heads = re.findall(r"(?m)^## (\S+) \(\d{4}-\d\d-\d\d\)$", changelog)
            check(heads == ["2.0.0", "1.2.3"], changelog)
            for name in ("chart", "chart/charts/metrics-sidecar"):
                found = yaml.safe_load(pathlib.Path(folder, name, "Chart.yaml").read_text())
                check(found["version"] == found["appVersion"] == "2.0.0", f"{name}: {found}")
            for name in run("git", "ls-files", cwd=folder).split():
                text = pathlib.Path(folder, name).read_text()
                for old in re.findall(r"(?:simple-server|metrics-sidecar):(\d\S*)", text):
                    check(old == "2.0.0", f"{name} names {old}")
            for name, words in (("Sources/Platform/Program/Version.swift", 'number = "2.0.0"'),
                                ("Examples/Package.swift", 'from: "2.0.0"'),
                                ("Examples/deployment.yaml", "/metrics-sidecar:2.0.0\n"),
                                ("docs/guide.md", "/simple-server:2.0.0")):
                check(words in pathlib.Path(folder, name).read_text(), f"{name} has no {words!r}")
            for version, is_newest in (("2.0.0", True), ("1.2.4", False), ("1.10.0", False),
                                       ("2.0.0-rc.3", False)):
                run("git", "tag", f"v{version}", cwd=folder)
                done = subprocess.run(
                    [sys.executable, ROOT / "Scripts/release", "newest", version], cwd=folder)
                check((done.returncode == 0) == is_newest,
                      f"latest would{' not' if is_newest else ''} be {version}")
        print(f"  {len(VERSIONS)} histories have the right version; it is written in every place")

    def test_owned(self):
        """One command makes every image and link a fork's, and makes them somebody else's again."""
        names = re.search(r"FILES = (\[.*?\])", (ROOT / "Scripts/owner").read_text(), re.DOTALL)[1]
        mine = re.search(r"is of (\S+)", run(ROOT / "Scripts/owner", "--check"))[1]
        naming = run("git", "grep", "-lE", f"github.com/{mine}|ghcr.io/{mine.split('/')[0]}/", "--",
                     ":!Tests/System").split()
        lost = [name for name in naming if f'"{name}"' not in names]
        check(not lost, f"Scripts/owner leaves {lost} as they are")
        with tempfile.TemporaryDirectory() as folder:
            page = [*(ROOT / "Sources/MetricsSidecar/Dashboard").glob("*"),
                    *(ROOT / "Sources/CDashboard").glob("p*")]
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
            page = pathlib.Path(folder) / "Sources/MetricsSidecar/Dashboard/page.html"
            check("https://github.com/bob/other.name/blob/main/docs/" in page.read_text(),
                  "the page")
        print("  Scripts/owner gives a fork its own images and links")


if __name__ == "__main__":
    main()
