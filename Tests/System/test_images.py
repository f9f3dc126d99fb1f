#!/usr/bin/env python3
"""Both images for each platform, and the pair run from them.

    Tests/System/run images [KILLS=5]

CONTAINER_ENGINE is docker or podman (whichever is there), CONTAINER_BUILD the command that builds
(`$CONTAINER_ENGINE build`), BUILDAH what keeps images where the engine cannot, HADOLINT the linter.
Where the engine cannot build or start anything at all, which a trivial image shows first, a line
NOT RUN says so and the same checks are done with what is left: the programs of dist/ under
qemu-user, and the pair as processes of two users.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from unittest import TestCase, main

from support import ROOT, setting
from support.checks import check, settle, wait_for
from support.containers import (
    HARDENED, HOST, PATIENCE, PLATFORMS, PROGRAMS, REVISION, SOURCE, VERSION, Engine, must,
    not_run, run, say)
from support.pair import RULES, Load, Pair, listening

LIMIT = 1 << 20
KILLS = setting("KILLS", 5)
PATHS = [b"/", b"/bye"]
FOLDERS = {"simple-server": {"run/metrics": 65532},
           "metrics-sidecar": {"run/metrics": 65533, "var/lib/metrics-sidecar": 65533}}
def looked_at(engine, program, where, name, swagger):
    """What an image says of itself and what it holds; the folder of its files."""
    _, (architecture, variant), machine, _ = PLATFORMS[where]
    configuration, folder, members = engine.save(name)
    inside, (_, user, port) = configuration["config"], PROGRAMS[program]
    what = f"{program} for {where}"
    check(configuration["architecture"] == architecture, f"{what}: {configuration['architecture']}")
    check(configuration.get("variant", "") == variant or architecture == "arm64",
          f"{what}: variant {configuration.get('variant')}")
    check(inside["User"] == user, f"{what}: user {inside['User']}")
    check(inside["Entrypoint"] == [f"/{program}"], f"{what}: {inside['Entrypoint']}")
    check(list(inside["ExposedPorts"]) == [port], f"{what}: {inside['ExposedPorts']}")
    health = inside.get("Healthcheck") or {}
    check(health.get("Test") == ["CMD", f"/{program}", "healthcheck"], f"{what}: {health}")
    labels = {key.rpartition(".")[2]: value for key, value in inside["Labels"].items()}
    wanted = {"title": program, "licenses": "Apache-2.0", "version": VERSION,
              "revision": REVISION, "source": SOURCE}
    check(wanted.items() <= labels.items() and labels.get("description"), f"{what}: {labels}")
    for path, owner in FOLDERS[program].items():
        member = members[path]
        mode = member.mode & 0o7777
        check((mode, member.uid, member.gid) == (0o2770, owner, 65532),
              f"{what}: /{path} is {mode:o} of {member.uid}:{member.gid}")
    files = {path: member.size for path, member in members.items() if member.isfile()}
    expected = {program} | ({f"swagger-ui/swagger-ui{end}" for end in (".css", "-bundle.js")}
                            if swagger else set())
    check(set(files) == expected, f"{what} holds {sorted(files)}")
    # Whose families it has is for compose.yaml and the chart to say.
    rules = [text for text in inside.get("Env") or [] if text.startswith("METRICS_SIDECAR_RULES")]
    check(not rules, f"{what} brings rules: {rules}")
    size = sum(size for path, size in files.items() if not path.startswith("swagger-ui/"))
    check(size < LIMIT, f"{what} has {size} bytes, the limit is {LIMIT}")
    head = (folder / program).read_bytes()[:20]
    check(head[:4] == b"\x7fELF" and head[18] == machine, f"{what}: not a program for it")
    say(f"{what}: {size} bytes"
        + (f" and {sum(files.values()) - size} of Swagger UI" if swagger else ""))
    return folder


def listed(engine, program, names):
    """One manifest list that names each platform once."""
    tool = engine.run if engine.call("images").returncode == 0 else engine.buildah
    if engine.docker:
        not_run(f"a manifest list of {program}", "docker makes one only as it pushes")
        return
    target = f"localhost/{program}:verify"
    run(*tool, "manifest", "rm", target)
    must(*tool, "manifest", "create", target)
    for where, name in names.items():
        architecture, variant = PLATFORMS[where][1]
        must(*tool, "manifest", "add", "--arch", architecture,
             *(("--variant", variant) if variant else ()), target, f"containers-storage:{name}")
    text = must(*tool, "manifest", "inspect", target)
    found = sorted((entry["platform"]["architecture"], entry["platform"].get("variant", ""))
                   for entry in json.loads(text[text.index("{"):])["manifests"])
    check(found == sorted(entry[1] for entry in PLATFORMS.values()), f"{program}: {found}")
    must(*tool, "manifest", "rm", target)
    say(f"{program}: one manifest list of {len(found)} platforms")


class Processes(Pair):
    """The pair as processes: under an emulator, or as the two users of the images."""

    def __init__(self, programs, emulator=None, users=False):
        # A folder that other users may enter, whatever the checkout's is.
        folder = tempfile.mkdtemp(prefix="verify-programs-")
        os.chmod(folder, 0o755)
        for name, program in programs.items():
            copy = pathlib.Path(folder, f"{name}.program")
            wrapper = pathlib.Path(folder, name)
            shutil.copy(program, copy)
            wrapper.write_text(f'#!/bin/sh\nexec {emulator or ""} {copy} "$@"\n')
            copy.chmod(0o755)
            wrapper.chmod(0o755)
        super().__init__(folder)
        self.rules = shutil.copy(ROOT / RULES, folder)
        self.users = users and os.getuid() == 0
        os.chown(self.folder, 65533 if self.users else -1, 65532 if self.users else -1)
        os.chmod(self.folder, 0o2770)

    def __exit__(self, *rest):
        super().__exit__(*rest)
        shutil.rmtree(self.programs)

    def spawn(self, program, *arguments):
        user = PROGRAMS[program][1].split(":") if self.users else None
        return subprocess.Popen(
            [os.path.join(self.programs, program), *arguments], stdout=self.log, stderr=self.log,
            cwd=ROOT,
            **({"user": int(user[0]), "group": int(user[1]), "extra_groups": []} if user else {}))

    def start(self, name):
        if name == "metrics-sidecar":
            self.sidecar = self.spawn(
                name, "--listen", f"127.0.0.1:{self.metrics}", "--rules", self.rules,
                "--events-socket", self.path("events.sock"), "--state", self.path("state"),
                "--statsd-socket", self.path("statsd.sock"))
        else:
            self.app = self.spawn(name, "--listen", f"127.0.0.1:{self.api}", "--workers", "1",
                                  "--events-socket", self.path("events.sock"))

    def healthy(self, name):
        where = f"127.0.0.1:{self.api if name == 'simple-server' else self.metrics}"
        return self.spawn(name, "healthcheck", "--listen", where).wait(PATIENCE) == 0

    def kill(self, name):
        process = self.app if name == "simple-server" else self.sidecar
        process.kill()
        process.wait()


class Containers(Pair):
    """The pair as two containers of two users, which share nothing but a volume."""

    def __init__(self, engine, images, volume=()):
        super().__init__("")
        self.engine, self.images = engine, images
        self.names = {name: f"verify-{name}" for name in images}
        self.remove()
        for volume, options in (("verify-run", volume), ("verify-state", ("--label", "of=verify"))):
            done = engine.volume(volume, *options)
            check(done.returncode == 0, f"{volume}: {done.stdout}")

    def remove(self):
        for name in self.names.values():
            self.engine.call("rm", "-f", name)
        for volume in ("verify-run", "verify-state"):
            self.engine.call("volume", "rm", "-f", volume)

    def __exit__(self, kind, *rest):
        if kind:
            for name in self.names.values():
                print(self.engine.call("logs", name).stdout[-3000:])
        self.remove()
        super().__exit__(kind, *rest)

    def start(self, name):
        if self.engine.call("inspect", "--type", "container", self.names[name]).returncode == 0:
            must(*self.engine.run, "start", self.names[name])
            return
        app = name == "simple-server"
        more, rules = ([], []) if app else (
            ["-v", "verify-state:/var/lib/metrics-sidecar", "-v", f"{ROOT / RULES}:/rules.json:ro"],
            ["--rules", "/rules.json"])
        # A host's network: the port is the flag's.
        must(*self.engine.run, "run", "-d", "--name", self.names[name], *HARDENED,
             "--user", PROGRAMS[name][1], "-v", "verify-run:/run/metrics", *more, self.images[name],
             "serve", "--listen", f"127.0.0.1:{self.api if app else self.metrics}", *rules)

    def healthy(self, name):
        where = f"127.0.0.1:{self.api if name == 'simple-server' else self.metrics}"
        return self.engine.call("exec", self.names[name], f"/{name}", "healthcheck", "--listen",
                                where).returncode == 0

    def kill(self, name):
        must(*self.engine.run, "kill", "-s", "KILL", self.names[name])
        must(*self.engine.run, "wait", self.names[name])

    def status(self, name):
        """/proc/…/status of the container's first process."""
        pid = must(*self.engine.run, "inspect", "--format", "{{.State.Pid}}", self.names[name])
        text = pathlib.Path("/proc", pid.strip().splitlines()[-1], "status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def ready(pair):
    answer = pair.get(pair.metrics, "/-/ready")
    return answer is not None and answer.startswith(b"HTTP/1.1 200")


def counted(pair):
    values = pair.values()
    return values.get("main_requests_total", 0) + values.get("bye_request_total", 0)


def exercised(pair, kills, what):
    """Load, killed sidecars, a killed App: what was answered was counted, each request once."""
    pair.start("metrics-sidecar")
    wait_for(lambda: ready(pair), f"{what}: the sidecar", PATIENCE)
    pair.start("simple-server")
    wait_for(lambda: listening(pair.api), f"{what}: the App", PATIENCE)
    for name in PROGRAMS:
        check(pair.healthy(name), f"{what}: {name} is not healthy")
    loads = [Load(pair.api, seed, paths=PATHS) for seed in range(2)]
    for load in loads:
        load.start()
    for number in range(kills):
        seen = sum(load.answered for load in loads)
        wait_for(lambda: sum(load.answered for load in loads) > seen + 50, f"{what}: answers",
                 PATIENCE)
        pair.kill("metrics-sidecar")
        check(not ready(pair), f"{what}: the sidecar is not dead")
        seen = sum(load.answered for load in loads)
        wait_for(lambda: sum(load.answered for load in loads) > seen + 50,
                 f"{what}: answers without a sidecar", PATIENCE)
        pair.start("metrics-sidecar")
        wait_for(lambda: ready(pair), f"{what}: the sidecar after kill {number + 1}", PATIENCE)
    for load in loads:
        load.stopping.set()
        load.join(PATIENCE)
    answered = sum(load.answered for load in loads)
    check(answered == sum(load.sent for load in loads), f"{what}: a request was not answered")
    settle(lambda: counted(pair) == answered, PATIENCE)
    check(counted(pair) == answered, f"{what}: {answered} answered, {counted(pair)} counted")
    values = pair.values()
    parts = sum(values[name] for name in ("main_requests_total", "bye_request_total",
                                          "healthcheck_requests_total"))
    check(values["server_requests_total"] == parts, f"{what}: {values['server_requests_total']}")
    check(values["app_starts_total"] == 1, f"{what}: {values['app_starts_total']} starts")

    load = Load(pair.api, 3, reconnect=True, paths=PATHS, pause=0.005)
    load.start()
    wait_for(lambda: load.answered > 50, f"{what}: answers", PATIENCE)
    pair.kill("simple-server")
    pair.start("simple-server")
    seen = load.answered
    wait_for(lambda: load.answered > seen + 50, f"{what}: answers of the next App", PATIENCE)
    load.stopping.set()
    load.join(PATIENCE)
    low, high = answered + load.answered, answered + load.sent
    settle(lambda: low <= counted(pair) <= high and pair.values().get("app_starts_total") == 2,
                  PATIENCE)
    check(low <= counted(pair) <= high, f"{what}: {low} answered, {counted(pair)} counted")
    check(pair.values()["app_starts_total"] == 2, f"{what}: the App has started twice")
    check(f'version="{VERSION}"' in str(pair.values()) or isinstance(pair, Processes),
          f"{what}: another version")
    say(f"{what}: {kills} kills of the sidecar, {answered} answered = counted; one of the App, "
        f"{low} answered, {counted(pair):.0f} counted, {high} sent")


def contained(engine, images, kills):
    with Containers(engine, images) as pair:
        exercised(pair, kills, "containers")
        for name, (_, user, _) in PROGRAMS.items():
            status = pair.status(name)
            check(status["Uid"].split() == [user.split(":")[0]] * 4, f"{name}: {status['Uid']}")
            check(status["Gid"].split() == ["65532"] * 4, f"{name}: {status['Gid']}")
            check(int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0,
                  f"{name}: capabilities")
            check(status["NoNewPrivs"].strip() == "1", f"{name}: new privileges")
            form = "{{.HostConfig.ReadonlyRootfs}}"
            text = must(*engine.run, "inspect", "--format", form, pair.names[name])
            check("true" in text, f"{name}: the root can be written")
        if not engine.docker:  # Docker runs it by itself
            for name in pair.names.values():
                # The image's own check asks the default port, where this container does not listen.
                check(engine.call("healthcheck", "run", name).returncode in (0, 1),
                      f"{name}: no check")
        page = pair.get(pair.api, "/docs")
        check(page and b"swagger-ui-bundle.js" in page, "/docs has no Swagger UI")
        say("containers: users 65532 and 65533, no capabilities, read-only roots, healthy, /docs")
    with Containers(engine, images, ("--label", "of=verify")) as pair:
        exercised(pair, 1, "containers on a plain volume")


def without_engine(programs, kills):
    with Processes(programs, users=True) as pair:
        exercised(pair, kills, "processes of two users" if pair.users else "processes")


def under_qemu(folders):
    for where, folder in folders.items():
        emulator = PLATFORMS[where][3]
        if not emulator:
            continue
        check(shutil.which(emulator), f"no {emulator} (Debian: qemu-user-static)")
        programs = {name: folder[name] for name in PROGRAMS}
        with Processes(programs, emulator) as pair:
            exercised(pair, 1, f"{where} under {emulator}")


class Images(TestCase):
    def test_lint(self):
        """Both Dockerfiles are clean by hadolint, and have one build stage, so one cache."""
        stages = {re.search(r"(?s)\nFROM [^\n]+ AS build\n.*?\n\n",
                            (ROOT / entry[0]).read_text())[0]
                  for entry in PROGRAMS.values()}
        check(len(stages) == 1, "the build stages differ:", *stages)
        beside = pathlib.Path(sys.executable).parent / "hadolint"
        hadolint = os.environ.get("HADOLINT", str(beside) if beside.exists() else "hadolint")
        check(shutil.which(hadolint), f"no {hadolint}: install it or set HADOLINT")
        must(hadolint, *(entry[0] for entry in PROGRAMS.values()))
        say("hadolint is content with both Dockerfiles")

    def test_images(self):
        """Both images for each platform are as small and as closed as promised, and run as a
        pair."""
        with tempfile.TemporaryDirectory(prefix="verify-images-") as work:
            # Other users read the programs.
            os.chmod(work, 0o755)
            engine = Engine(work)
            unbuilt, unstarted = engine.probe()
            images, folders = {}, {}
            if unbuilt:
                not_run("building images", unbuilt)
                must("make", "dist-all")
                folders = {where: {name: ROOT / f"dist/linux-{PLATFORMS[where][0]}" / name
                                   for name in PROGRAMS} for where in PLATFORMS}
            else:
                for program in PROGRAMS:
                    images[program] = {where: engine.image(program, where) for where in PLATFORMS}
                    for where, name in images[program].items():
                        swagger = program == "simple-server"
                        folder = looked_at(engine, program, where, name, swagger)
                        folders.setdefault(where, {})[program] = folder / program
                    listed(engine, program, images[program])
                for where in PLATFORMS:
                    name = engine.image("simple-server", where, "--build-arg", "SWAGGER_UI=without",
                                        suffix="-without")
                    looked_at(engine, "simple-server", where, name, False)
                for where, (_, _, _, emulator) in PLATFORMS.items():
                    if emulator or where == HOST:
                        for name, program in folders[where].items():
                            text = must(*([emulator] if emulator else []), program, "--version")
                            check(VERSION in text, f"{name} for {where} is version {text}")
            under_qemu(folders)
            if unstarted:
                not_run("the pair as containers", unstarted)
                without_engine(folders[HOST], KILLS)
            else:
                contained(engine, {name: images[name][HOST] for name in PROGRAMS}, KILLS)


if __name__ == "__main__":
    main()
