"""Runs the `run:` steps of a workflow's jobs as GitHub does, in a clone: with what expressions
stand for, a GITHUB_OUTPUT, and stand-ins for what writes to the world (gh, docker, cosign, Helm's
push)."""
import pathlib
import re
import subprocess

import yaml

from support.checks import check

STAND_IN = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >>"$CALLS"
"""
HELM = """#!/usr/bin/env bash
case $1 in
  registry) cat >/dev/null; echo "helm $1 $2" >>"$CALLS" ;;
  push) echo "helm $*" >>"$CALLS"; echo "Digest: sha256:c0ffee" ;;
  *) exec "$REAL_HELM" "$@" ;;
esac
"""


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)


class Runner:
    """A checkout at `clone`, whose pushes go to a bare repository in `folder`."""

    def __init__(self, clone, folder, environment, helm):
        self.clone, self.folder = clone, pathlib.Path(folder)
        self.origin = self.folder / "owner/repository"
        self.calls = self.folder / "calls"
        self.calls.touch()
        bin_folder = self.folder / "stand-ins"
        bin_folder.mkdir()
        for name in ("gh", "docker", "cosign"):
            program(bin_folder / name, STAND_IN)
        program(bin_folder / "helm", HELM)
        subprocess.run(["git", "clone", "-q", "--bare", clone, self.origin], check=True)
        self.environment = {
            **environment, "PATH": f"{bin_folder}:{environment['PATH']}", "HOME": str(self.folder),
            "CALLS": str(self.calls), "REAL_HELM": str(helm), "RUNNER_TEMP": str(self.folder),
            "GITHUB_SERVER_URL": f"file://{self.folder}", "GITHUB_REPOSITORY": "owner/repository",
            "GITHUB_WORKSPACE": str(clone), "GITHUB_OUTPUT": str(self.folder / "output")}
        self.known = {
            "github.repository_owner": "Owner", "github.repository": "owner/repository",
            "github.actor": "somebody", "github.token": "secret", "vars.DOCKERHUB_USERNAME": "hub"}

    def value(self, text, where):
        def stands_for(match):
            check(match[1] in self.known, f"{where}: nothing is known of {match[1]}")
            return self.known[match[1]]
        return re.sub(r"\$\{\{ (.+?) \}\}", stands_for, str(text))

    def job(self, path, name, **known):
        """Runs the job's own commands; `known` are more expressions, with `__` for a dot."""
        self.known.update({key.replace("__", "."): value for key, value in known.items()})
        for step in yaml.safe_load(path.read_text())["jobs"][name]["steps"]:
            if "run" not in step:
                continue
            where = f"{path.name}, {name}, {step.get('name', 'a step')}"
            output = pathlib.Path(self.environment["GITHUB_OUTPUT"])
            output.write_text("")
            given = {key: self.value(value, where) for key, value in step.get("env", {}).items()}
            check("${{" not in step["run"], f"{where}: an expression within a script")
            done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=self.clone, text=True,
                                  env={**self.environment, **given}, capture_output=True)
            check(done.returncode == 0, f"{where}:\n{done.stdout}{done.stderr}")
            self.outputs(f"steps.{step.get('id')}.outputs", output.read_text())

    def outputs(self, prefix, text):
        for name, value in re.findall(r"(?ms)^([\w-]+)<<END\n(.*?)^END$", text):
            self.known[f"{prefix}.{name}"] = value.strip()
        for name, value in re.findall(r"(?m)^([\w-]+)=(.*)$", text):
            self.known[f"{prefix}.{name}"] = value

    def called(self):
        """What the stand-ins were called with since the last time."""
        lines = self.calls.read_text().splitlines()
        self.calls.write_text("")
        return lines

    def git(self, *arguments, at=None):
        done = subprocess.run(["git", *arguments], cwd=at or self.clone,
                              text=True, env=self.environment, capture_output=True)
        check(done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()
