"""What a rendered chart gives to the program: its flags, its rules, its memory."""
import json
import pathlib
import re

from support.chart_manifests import only


def runnable(arguments, folder):
    """The flags with which a sidecar starts here as it does in a pod."""
    kept = []
    for text in arguments:
        flag = text.partition("=")[0]
        if flag in ("--rules", "--push-auth"):
            path = pathlib.Path(folder, flag)
            path.write_text("{}" if flag == "--rules" else "")
            kept.append(f"{flag}={path}")
        elif flag not in ("serve", "--listen", "--state", "--events-socket", "--statsd-socket"):
            kept.append(text)
    return kept


def mebibytes(quantity):
    match = re.fullmatch(r"(\d+)(Mi|Gi)", quantity)
    return int(match[1]) << (10 if match[2] == "Gi" else 0)


def written(schema):
    return json.dumps(schema, indent=2) + "\n"


def rules_of(manifests, folder):
    path = pathlib.Path(folder, "rules.json")
    path.write_text(only(manifests, "ConfigMap", "-rules")["data"]["rules.json"])
    return str(path)
