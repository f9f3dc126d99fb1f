"""Rules that take each new name as long as any can: as many steps as a file may have."""
import json

DEAR = [
    [r"((a{0,30}){0,30})c"] * 50,
    [r"(?:a?){300}a{300}"] * 50,
    [r"(?:a?){950}(?:a?){950}(?:a?){950}(?:a?){950}(?:a?){950}b"] * 10,
    [r"((((a|aa)|(a|aa))*)*)*b"] * 2000]
MANY = json.dumps({"families": [{"name": "x", "type": "counter", "events": [
    {"event": f"**a*a*a*a*a*a*a*a*{n}x*"} for n in range(60_000)]}]})


def dear(expressions):
    return json.dumps({"families": [{"name": "x", "type": "counter", "events": [
        {"regex": each} for each in expressions]}]})


def name(number):
    return f"{'a' * 240}{number:08}:1|c"
