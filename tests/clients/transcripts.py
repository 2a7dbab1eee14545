"""Transcripts of kubectl: what was said, and what is answered, in files that read as a terminal does.

    === name           a file of that name in the working directory, up to the next ===
    ...
    ===
    $ get cm           a command; its standard output follows, then its standard error, each line behind `! `
    NAME DATA AGE
    ! Warning: …
    [1]                its exit code, where it is not 0
    $~ get deploy      asked again until it answers so (10 s)
    ...                (in an answer) any number of lines
    {1.35,1.36} text   a line that only those versions say

What differs from run to run is written as a word (`AGE`, `HASH`, `UID`, …), and runs of spaces as one: `plain` does it.
With $KUBECTL_REWRITE set, the answers are written anew from what the newest kubectl says: read the diff then.
Called by: test_kubectl_transcripts.py.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

NAME = "[bcdfghjklmnpqrstvwxz2456789]"  # the letters of generated names
WORDS = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"(?<=\S) {2,}", " "),
    (r"\s+$", ""),
    (r"https://127\.0\.0\.1:\d+", "URL"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000", "TIME"),
    (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", "TIME"),
    (r"(resourceVersion: |Resource Version: )\"?\d+\"?", r"\1RV"),
    (r"\b(\d+:)3\d{4}/", r"\1NODE-PORT/"),
    (r"<unset> 3\d{4}/", "<unset> NODE-PORT/"),
    (r"\b10\.128\.\d+\.\d+", "POD-IP"),
    (r"\b10\.96\.(?!0\.1\b)\d+\.\d+", "CLUSTER-IP"),
    (rf"-{NAME}{{8,10}}-{NAME}{{5}}\b", "-HASH-ID"),
    (rf"-{NAME}{{8,10}}\b", "-HASH"),
    (rf"([=:] ?){NAME}{{9,10}}\b", r"\1HASH"),
    (rf"-{NAME}{{5}}\b", "-ID"),
    (r"(/tmp|TMP)/(LIVE|MERGED|kubectl)\S*", r"TMP/\2"),
    (r"(?<![=\d.-])\b\d{1,2}s \(x\d+ over \d{1,2}s\)", "AGE"),
    (r"(?<![=\d.\"-])\b(\d{1,2}|\d\.\d+|1[01]\d)s\b", "AGE"),
    (r"(X509SHA256=)[0-9a-f]{64}", r"\1HASH"),
)


@dataclass
class Step:
    words: str
    again: bool = False
    files: dict[str, str] = field(default_factory=dict)  # to be written before
    before: list[str] = field(default_factory=list)  # comments and files, as they stand in the transcript
    answer: list[str] = field(default_factory=list)


def read(path: Path) -> list[Step]:
    steps: list[Step] = []
    files: dict[str, str] = {}
    before: list[str] = []
    lines = iter(path.read_text().splitlines())
    for line in lines:
        if line.startswith("=== "):
            before.append(line)
            content = []
            for inner in lines:
                before.append(inner)
                if inner == "===":
                    break
                content.append(inner)
            files[line[4:]] = "\n".join(content) + "\n"
        elif line.startswith(("$ ", "$~ ")):
            steps.append(Step(line.split(" ", 1)[1], line.startswith("$~"), files, before))
            files, before = {}, []
        elif not steps or (before and not line):
            before.append(line)
        else:
            steps[-1].answer.append(line)
    return steps


def plain(text: str, namespace: str) -> list[str]:
    lines = []
    for line in text.replace(namespace, "NAMESPACE").splitlines():
        for pattern, word in WORDS:
            line = re.sub(pattern, word, line)
        lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def answer(said, namespace: str) -> list[str]:
    out = plain(said.out, namespace) + ["! " + line if line else "!" for line in plain(said.err, namespace)]
    return [*out, *([f"[{said.code}]"] if said.code else [])]


def wanted(step: Step, version: str) -> list[str]:
    out = []
    for line in step.answer:
        if found := re.match(r"\{([\d.,]+)\} ?(.*)", line):
            if version not in found[1].split(","):
                continue
            line = found[2]
        out.append(line)
    while out and not out[-1]:
        out.pop()
    return out


def fits(lines: list[str], pattern: list[str]) -> bool:
    text = "".join(r"(?:.*\n)*" if p == "..." else re.escape(p) + r"\n" for p in pattern)
    return re.fullmatch(text, "".join(line + "\n" for line in lines)) is not None


def play(path: Path, kubectl, version: str, *, rewrite: bool) -> None:
    """Every step in order; AssertionError with what was said instead."""
    steps = read(path)
    for step in steps:
        for name, content in step.files.items():
            (kubectl.home / name).write_text(content.replace("NAMESPACE", kubectl.namespace))
        expected = wanted(step, version)
        deadline = time.monotonic() + 10
        while True:
            got = answer(kubectl(step.words.replace("NAMESPACE", kubectl.namespace), code=None), kubectl.namespace)
            if fits(got, expected) or not step.again or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if rewrite and not fits(got, expected):
            step.answer = got
            continue
        assert fits(got, expected), "\n".join([f"{path.name}: {step.words}", "--- wanted", *expected, "--- said", *got])
    if rewrite:
        path.write_text("".join(line + "\n" for step in steps for line in (
            *step.before, f"{'$~' if step.again else '$'} {step.words}", *step.answer)))
