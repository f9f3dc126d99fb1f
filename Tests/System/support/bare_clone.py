"""What the workflows' jobs find: a clone with nothing beside it, and on PATH what their image has
and their own steps install.

A job's PATH is a folder of links to the commands of Debian's base system, of the image
swift:6.3-bookworm and of the packages that `.ci/run` installs. `make -n` tells what a target runs;
for a Python script its syntax tree tells the commands that it and its modules start. Each has to be
on that PATH.
"""
import ast
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import yaml

from support import ROOT
from support.checks import check

# What the image brings beside Debian's base system (its Dockerfile: swiftlang/swift-docker).
IMAGE = ["binutils", "git", "gcc", "pkg-config", "perl-base"]
# Left out, or another one taken, where it is missing.
OPTIONAL = {"docker", "podman", "statsd_exporter", "hadolint"}
STARTERS = {"run", "must", "start", "call", "check_call", "check_output", "completed", "Popen",
            "which",
            "execvp"}
NO_COMMANDS = set("exec healthcheck image images inspect logs rm run save volume metrics-sidecar "
                  "simple-server trap".split())  # those of an engine, of the images, of a shell


def output(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          **options)
    check(done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def needed():
    """(command or file, package) of each thing that `.ci/run` installs if it is missing."""
    return re.findall(r"(?m)^ *need (\S+)(?: \\\n *| )(\S+)$", (ROOT / ".ci/run").read_text())


def closure(packages):
    """Those packages and all that they depend on, among what is installed."""
    fields = ("${Package}|${Architecture}|${Priority}|${Essential}|${Provides}|"
              "${Depends}, ${Pre-Depends}\n")
    depends, provider, base = {}, {}, []
    for line in output("dpkg-query", "-W", "-f", fields).splitlines():
        name, _, priority, essential, provides, needs = line.split("|", 5)
        named = re.findall(r"[a-z0-9][a-z0-9+.-]+(?=[ :,(|]|$)", needs)
        depends.setdefault(name, set()).update(named)
        for other in re.findall(r"[a-z0-9][a-z0-9+.-]+", provides):
            provider.setdefault(other, name)
        if priority == "required" or essential == "yes":
            base.append(name)
    found, waiting = set(), [*base, *packages]
    while waiting:
        name = waiting.pop().partition(":")[0]
        name = name if name in depends else provider.get(name)
        if name and name not in found:
            found.add(name)
            waiting += depends[name]
    return sorted(found)


def path_of_job(folder):
    """A folder of links: the PATH of a job after `.ci/run tools`."""
    farm = pathlib.Path(folder) / "bin"
    farm.mkdir()
    toolchain = pathlib.Path(os.path.realpath(shutil.which("swift"))).parent
    for command in ("swift", "swiftc", "swift-format", "clang", "lld", "ld.lld", "llvm-cov"):
        if (toolchain / command).exists():
            (farm / command).symlink_to(toolchain / command)
    packages = closure([*IMAGE, *(package for _, package in needed())])
    for name in packages:
        for listed in pathlib.Path("/var/lib/dpkg/info").glob(f"{name}*.list"):
            if listed.name.removesuffix(".list").partition(":")[0] != name:
                continue
            for line in listed.read_text().splitlines():
                if re.fullmatch(r"(/usr)?/s?bin/[^/]+", line) and os.path.exists(line):
                    link = farm / os.path.basename(line)
                    if not link.is_symlink():
                        link.symlink_to(line)
    # Alternatives (awk, nc) are no package's files.
    for line in output("update-alternatives", "--get-selections").splitlines():
        name, _, target = line.split()
        if (farm / os.path.basename(os.path.realpath(target))).is_symlink() or any(
                target == f"/usr/bin/{link.name}" for link in farm.iterdir()):
            if not (farm / name).is_symlink():
                (farm / name).symlink_to(target)
    # A machine may have a Python of its own in place of Debian's.
    if not (farm / "python3").is_symlink():
        (farm / "python3").symlink_to(os.path.realpath(shutil.which("python3")))
    return farm


def modules(path):
    """The script and every module of ours that it imports, read as they are written."""
    found, waiting = {}, [path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = ast.parse(path.read_text())
        for node in ast.walk(found[path]):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                near = (folder / (name.replace(".", "/") + ".py")
                        for folder in (path.parent, path.parent.parent))
                waiting += [module for module in near if module.exists() and ROOT in module.parents]
    return found


def started(path):
    """{command: the variable that may name another} of a script: literal commands of calls that
    start one."""
    found = {}
    for tree in modules(path).values():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            function = node.func
            name = getattr(function, "attr", getattr(function, "id", ""))
            first = node.args[0]
            if name == "get" and "environ" in ast.dump(function) and len(node.args) == 2:
                variable, default = node.args
                named = str(variable.value).lower()
                if isinstance(default, ast.Constant) and default.value == named:
                    found[default.value] = variable.value
            elif name in STARTERS:
                if isinstance(first, (ast.List, ast.Tuple)) and first.elts:
                    first = first.elts[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.setdefault(first.value.split()[0] if first.value else "", None)
    return {command: variable for command, variable in found.items()
            if re.fullmatch(r"[a-z][\w.+-]*", command) and command not in NO_COMMANDS | OPTIONAL}


def words(line):
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)


def is_python(path):
    return path.is_file() and (path.suffix == ".py" or path.read_bytes()[:64].startswith(
        b"#!/usr/bin/env python3"))


def scripts_of(clone, words):
    """The Python files that a command runs; those of Tests/System/run are tests, by their names."""
    found = [clone / word for word in words if is_python(clone / word)]
    if "Tests/System/run" in words:
        found += [path for word in words if "/" not in word
                  for path in (clone / "Tests/System").glob(f"test_{word.partition('.')[0]}.py")]
    return found


def check_target(clone, environment, target):
    """Everything that a target starts is there."""
    missing, scripts = set(), 0
    listing = output("make", "-n", target, cwd=clone, env=environment)
    for line in listing.replace("\\\n", " ").splitlines():
        assigned = re.match(r"([A-Z_]+=(\$\([^)]*\)|\S*) )*", line).group()
        given = dict(re.findall(r"([A-Z_]+)=(\$\([^)]*\)|\S*) ", assigned))
        command = line.removeprefix(assigned)
        try:
            first, *rest = words(command)
        except ValueError:
            continue  # a piece of a longer script
        if re.fullmatch(r"[a-z][\w.+-]*", first) and subprocess.run(
                ["bash", "-c", f"type {first}"], env=environment, capture_output=True).returncode:
            missing.add(first)
        for script in scripts_of(clone, [first, *rest]):
            scripts += 1
            for name, variable in started(ROOT / script.relative_to(clone)).items():
                if variable in given:
                    named = output("bash", "-ec", f'v="{given[variable]}"; command -v "$v"',
                                   cwd=clone,
                                   env=environment)
                    check(os.access(named.strip(), os.X_OK), f"{target}: {variable} is {named}")
                elif not shutil.which(name, path=environment["PATH"]):
                    missing.add(name)
    return missing, scripts


def targets():
    """Every target that `.ci/run` makes."""
    return re.findall(r"(?m)^(?:load_)?step make ([a-z0-9-]+)", (ROOT / ".ci/run").read_text())


def clone_alone(folder):
    """A clone in an empty folder, with what is not committed yet."""
    clone = folder / "alone/clone"
    output("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone)
    changed = output("git", "diff", "--name-only", "HEAD", cwd=ROOT)
    new = output("git", "ls-files", "--others", "--exclude-standard", cwd=ROOT)
    for name in (changed + new).splitlines():
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
        elif (clone / name).exists():
            (clone / name).unlink()
    if (ROOT / ".venv").is_dir():
        (clone / ".venv").symlink_to(ROOT / ".venv")
    return clone


def environment_of_job(folder):
    return {"PATH": str(path_of_job(folder)), "HOME": str(folder), "LANG": "C.UTF-8",
            **{name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")
               or name.startswith(("PIP_", "SSL_", "REQUESTS_"))}}


def tools_there(clone, folder, environment):
    """Every target of `.ci/run` has its tools in the clone."""
    if os.geteuid() == 0:
        # As on GitHub, where the checkout is the runner's user's and the container's is root.
        os.chown(clone, 1001, 1001)
    job = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]
    before = [step["run"] for step in job["steps"] if "run" in step]
    for text in before[:next(at for at, run in enumerate(before) if ".ci/run" in run)]:
        output("bash", "-ec", text, cwd=clone, env={**environment, "GITHUB_WORKSPACE": str(clone)})
    output("git", "ls-files", cwd=clone, env=environment)
    lost = [f"{command} ({package})" for command, package in needed()
            if not os.path.exists(command) and not shutil.which(command, path=environment["PATH"])]
    check(not lost, f"`.ci/run` installs packages without what they are for: {', '.join(lost)}")
    scripts = 0
    for target in targets():
        missing, count = check_target(clone, environment, target)
        check(not missing,
              f"in a clone with nothing beside it, `make {target}` has no {sorted(missing)}: "
              "let `.ci/run` install it")
        scripts += count
    print(f"  {len(targets())} targets and {scripts} scripts find their tools in a clone with "
          f"nothing "
          "beside it")
