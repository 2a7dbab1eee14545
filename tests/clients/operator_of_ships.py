"""An operator written with kopf, run by `kopf run`: test_kopf.py says what should come of it."""

import os

import kopf


def write(line):
    with open(os.environ["DIARY"], "a") as diary:
        diary.write(line + "\n")


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_):
    settings.admission.managed = "ships.sea.example.com"
    settings.admission.server = kopf.WebhookServer(
        addr="127.0.0.1", host="127.0.0.1", port=int(os.environ["WEBHOOK_PORT"]), certfile=os.environ["WEBHOOK_CERT"],
        pkeyfile=os.environ["WEBHOOK_KEY"], cafile=os.environ["WEBHOOK_CA"])
    settings.persistence.finalizer = "sea.example.com/ships"
    settings.posting.level = 20


@kopf.on.mutate("ships", operations=["CREATE"], id="crew")
def crew(spec, patch, warnings, **_):
    if "crew" not in spec:
        warnings.append("a ship needs a crew: it gets one")
        patch.spec["crew"] = 3


@kopf.on.validate("ships", field="spec.name", operations=["CREATE", "UPDATE"], id="name")
def name(spec, **_):
    if "cursed" in spec.get("name", ""):
        raise kopf.AdmissionError("no cursed ships", code=403)


@kopf.on.create("ships")
def launched(body, patch, **_):
    patch.status["phase"] = "afloat"
    kopf.event(body, type="Normal", reason="Launched", message="it swims")
    return {"by": "launched"}


@kopf.on.update("ships", field="spec.crew")
def crew_changed(old, new, patch, **_):
    patch.status["crew"] = f"{old} -> {new}"


@kopf.on.create("ships", id="moody", retries=3, backoff=0.1)
def moody(retry, patch, **_):
    if retry < 1:
        raise kopf.TemporaryError("not in the mood", delay=0.1)
    patch.status["tries"] = retry + 1


@kopf.on.delete("ships")
def sunk(name, namespace, memo, **_):
    write(f"sunk {namespace}/{name}, ticked: {memo.get('ticks', 0) > 2}")


@kopf.timer("ships", interval=0.2, idle=None)
def tick(memo, patch, **_):
    memo["ticks"] = memo.get("ticks", 0) + 1
    if memo["ticks"] == 3:
        patch.status["ticked"] = True


@kopf.daemon("ships", cancellation_timeout=5)
async def watchman(stopped, name, **_):
    write(f"watching {name}")
    await stopped.wait()
    write(f"not watching {name}")


@kopf.index("configmaps", labels={"sea": kopf.PRESENT})
def seas(name, **_):
    return {name: name}


@kopf.on.event("pods", labels={"ship": kopf.PRESENT})
def boarded(event, patch, labels, seas, **_):
    if event["type"] in (None, "ADDED") and "boarded" not in labels:
        patch.metadata["labels"] = {"boarded": "yes", "seas": str(len(seas))}
