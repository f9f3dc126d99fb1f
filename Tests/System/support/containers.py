"""The two images, what builds and keeps them, and what runs containers, by the names it has
here."""
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import tarfile
import time

from support import ROOT
from support.checks import check

PATIENCE = 180
VERSION, REVISION, SOURCE = "7.8.9", "0123456789abcdef", "https://example.com/me/mine"
# platform: (tag, architecture and variant of the manifest, ELF machine, emulator)
PLATFORMS = {
    "linux/amd64": ("amd64", ("amd64", ""), 62, None),
    "linux/arm64": ("arm64", ("arm64", ""), 183, "qemu-aarch64-static"),
    "linux/arm/v7": ("armv7", ("arm", "v7"), 40, "qemu-arm-static"),
}
HOST = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[platform.machine()]
PROGRAMS = {"simple-server": ("Dockerfile.app", "65532:65532", "8081/tcp"),
            "metrics-sidecar": ("Dockerfile.sidecar", "65533:65532", "8000/tcp")}
HARDENED = ["--network", "host", "--read-only", "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges"]


def say(text):
    print(f"  {text}", flush=True)


def not_run(what, why):
    lines = [line for line in why.strip().splitlines() if line.strip()] or ["no word of it"]
    print(f"NOT RUN: {what}: the engine says: {lines[-1].strip()}", flush=True)


def run(*command, **options):
    return subprocess.run([str(part) for part in command], cwd=options.pop("cwd", ROOT), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def must(*command, **options):
    done = run(*command, **options)
    check(done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout[-4000:]}")
    return done.stdout


class Engine:
    """What builds images, keeps them and runs them, by the names it has on this machine."""

    def __init__(self, work):
        self.work = pathlib.Path(work)
        found = next((name for name in ("docker", "podman") if shutil.which(name)), "docker")
        self.run = shlex.split(os.environ.get("CONTAINER_ENGINE", found))
        build = os.environ.get("CONTAINER_BUILD")
        self.build = shlex.split(build) if build else [*self.run, "build"]
        self.buildah = shlex.split(os.environ.get("BUILDAH", "buildah"))
        self.docker = pathlib.Path(self.run[0]).name == "docker"
        # Podman's and buildah's own format knows no HEALTHCHECK.
        os.environ.update(BUILDAH_FORMAT="docker", BUILDAH_LAYERS="true")

    def call(self, *arguments):
        try:
            return run(*self.run, *arguments, timeout=2 * PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            return subprocess.CompletedProcess(arguments, 127, str(error))

    def probe(self):
        """(why nothing can be built, why nothing can be started), both empty if all is well."""
        folder = self.work / "probe"
        folder.mkdir()
        (folder / "hello.c").write_text("#include <unistd.h>\nint main(void) "
                                        '{ return write(1, "hello\\n", 6) != 6; }\n')
        must("gcc", "-static", "-o", folder / "hello", folder / "hello.c")
        (folder / "Dockerfile").write_text(
            "FROM docker.io/library/swift:6.3-bookworm AS build\nRUN true >/nothing\n"
            "FROM scratch\nCOPY --from=build /nothing /nothing\nCOPY hello /hello\n"
            'ENTRYPOINT ["/hello"]\n')
        try:
            built = run(*self.build, "-f", folder / "Dockerfile", "-t", "localhost/verify-probe",
                        folder, timeout=5 * PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error), str(error)
        if built.returncode != 0:
            return built.stdout, built.stdout
        volume = self.volume("verify-probe")
        started = volume.returncode == 0 and self.call(
            "run", "--rm", *HARDENED, "--user", "65532:65532", "-v", "verify-probe:/run/metrics",
            "localhost/verify-probe")
        if not started:
            return "", volume.stdout
        self.call("volume", "rm", "-f", "verify-probe")
        ran = started.returncode == 0 and "hello" in started.stdout
        return "", "" if ran else started.stdout or f"exit code {started.returncode}"

    def volume(self, name, *options):
        self.call("volume", "rm", "-f", name)
        return self.call("volume", "create", *(options or (
            "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=mode=2770,gid=65532")),
                         name)

    def image(self, program, where, *arguments, suffix=""):
        name = f"localhost/{program}:verify-{PLATFORMS[where][0]}{suffix}"
        dockerfile = ROOT / PROGRAMS[program][0]
        if not self.docker:
            arguments += ("--build-arg", f"BUILDPLATFORM={HOST}")
            # Base images may be stand-ins here, which have the name and cannot have the digest.
            text = dockerfile.read_text()
            dockerfile = self.work / dockerfile.name
            dockerfile.write_text(re.sub(r"(?m)^(FROM .*)@sha256:[0-9a-f]{64}", r"\1", text))
        started = time.monotonic()
        must(*self.build, "-f", dockerfile, "-t", name, "--platform", where,
             "--build-arg", f"VERSION={VERSION}", "--build-arg", f"REVISION={REVISION}",
             "--build-arg", f"SOURCE={SOURCE}", *arguments, ".")
        say(f"built {name.removeprefix('localhost/')} in {time.monotonic() - started:.0f} s")
        return name

    def save(self, name):
        """The image as (configuration, folder with its files, members by name)."""
        archive = self.work / f"{name.replace('/', '-').replace(':', '-')}.tar"
        if self.call("save", "-o", archive, name).returncode != 0:
            must(*self.buildah, "push", "-q", name, f"docker-archive:{archive}:{name}")
        folder, members = archive.with_suffix(""), {}
        with tarfile.open(archive) as tar:
            (entry,) = json.load(tar.extractfile("manifest.json"))
            configuration = json.load(tar.extractfile(entry["Config"]))
            for path in entry["Layers"]:
                layer = tar.getmember(path)
                if layer.issym():
                    path = os.path.normpath(os.path.join(os.path.dirname(path), layer.linkname))
                with tarfile.open(fileobj=tar.extractfile(path)) as files:
                    members.update({member.name.strip("/"): member for member in files})
                    files.extractall(folder, filter="tar")
        archive.unlink()
        return configuration, folder, members
