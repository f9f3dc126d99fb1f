"""What tests of running programs share. Paths in them begin at the root of the repository."""
import os
import pathlib
import random

ROOT = pathlib.Path(__file__).resolve().parents[3]
os.chdir(ROOT)


def setting(name, default):
    """What the environment says, or `NAME=value` behind Tests/System/run, as the default's type."""
    return type(default)(os.environ.get(name) or default)



def dice():
    """Chance by SEED, or by one that is printed, so that a failure can be had again."""
    seed = setting("SEED", random.randrange(1 << 30))
    print(f"  SEED={seed}", flush=True)
    return random.Random(seed)


PROGRAMS = str(ROOT / setting("PROGRAMS", "dist/linux-amd64"))
DEBUG_PROGRAMS = str(ROOT / setting("DEBUG_PROGRAMS", ".build/debug"))
