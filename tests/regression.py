"""The scores a run must give again.

python tests/regression.py                  the smoke profile's scores, as JSON
python tests/regression.py --renew REASON   the same into baselines/smoke.json
python tests/regression.py --verify         runs the classroom profile in a copy of the
                                            project (half an hour) and compares with
                                            the reference that was made with the same
                                            base and abstracts
python tests/regression.py --keep FOLDER    makes a finished run's submission/ (under
                                            AR_BASE=packaged AR_NEURIPS=packaged) the
                                            second reference
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
BASELINE = Path(__file__).parent / "baselines" / "smoke.json"
# Of a mean log-likelihood or of bits per byte, on another machine, with other threads,
# or trained in bfloat16.
TOLERANCE = 0.005
TABLES = ("mean_log_likelihood", "bits_per_byte")
# What a classroom run is compared with: what is committed, made with the abstracts of
# AR_NEURIPS=paperlists, and scores and metrics made with what the packages hold.
PACKAGED = Path(__file__).parent / "baselines" / "packaged"
REFERENCES = (ROOT / "submission", PACKAGED)
KEPT = ("likelihoods.csv", "metrics.json")  # of a run, in the second reference


def read_json(path: Path) -> dict:
    """ValueError if the file is damaged."""
    from helpers.engine import files

    return files.read_json(path, f"git checkout {path.parent.name}/{path.name}")


def read_lines(path: Path) -> list[dict]:
    """JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def smoke() -> dict:
    """Train both tiny models in a temporary folder; what they score and write.

    Keys: mean_log_likelihood by kind and model, bits_per_byte by domain and model, the
    scores of all strings, and samples.
    """
    os.environ |= {"AR_PROFILE": "smoke", "AR_BASE": "tiny", "AR_NEURIPS": "packaged"}
    from helpers import config, data, finetune, likelihood, sampling, strings

    with tempfile.TemporaryDirectory() as folder:
        config.runs = lambda: Path(folder)
        trio = finetune.load_or_train_all()
    scores = likelihood.score_table(trio, strings.evaluation_strings())
    means = scores.groupby(["domain", "model"]).log_likelihood.mean()
    results = {
        "mean_log_likelihood": {
            f"{kind} under {model}": round(float(mean), 4)
            for (kind, model), mean in means.items()
        },
        "bits_per_byte": {},
        "scores": scores.log_likelihood.tolist(),
        "samples": {},
    }
    prompts, how = ["HAMLET:\n", "In this paper"], {"max_new_tokens": 24, "top_p": 0.95}
    for name, lm in trio.items():
        drawn = sampling.sample(lm, prompts, n=2, **how)
        results["samples"][name] = [one.text for one in drawn]
    for domain in config.DOMAINS:
        texts = data.splits(domain)["test"]["text"]
        for name, lm in trio.items():
            n_bytes = config.profile().held_out_bytes
            held_out = likelihood.score_held_out(lm, texts, n_bytes)
            bits = round(float(likelihood.bits_per_byte(held_out)), 5)
            results["bits_per_byte"][f"{domain} under {name}"] = bits
    return results


def differences(new: dict, old: dict, tolerance: float = TOLERANCE) -> list[str]:
    """A line for each mean and each bits per byte that is missing or too far off."""
    lines = []
    for table in TABLES:
        now, then = flat(new.get(table, {})), flat(old.get(table, {}))
        if not then:
            lines.append(f"{table}: nothing to compare with")
        for name, before in then.items():
            value = now.get(name)
            if value is None or not abs(value / before - 1) <= tolerance:
                lines.append(f"{table}, {name}: {value}, was {before}")
    return lines


def flat(table: dict) -> dict:
    """{"a": {"b": 1}} → {"a b": 1}; what is flat stays so."""
    values = {}
    for name, value in table.items():
        if isinstance(value, dict):
            values |= {f"{name} {inner}": number for inner, number in value.items()}
        else:
            values[name] = value
    return values


def renew(reason: str) -> None:
    """Write the baseline, and add why to its history."""
    from helpers import config

    new = {name: table for name, table in smoke().items() if name in TABLES}
    old = read_json(BASELINE) if BASELINE.exists() else {"history": []}
    changed = differences(new, old) if "bits_per_byte" in old else ["new"]
    today = datetime.now(UTC).date().isoformat()
    renewed = {"when": today, "why": reason, "changed": len(changed)}
    new |= {"versions": config.versions(), "history": [*old["history"], renewed]}
    BASELINE.parent.mkdir(exist_ok=True)
    BASELINE.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
    print("\n".join(changed) or "nothing moved by more than the tolerance")


@mock.patch.dict(os.environ)  # what is set here is put back in the end
def verify() -> list[str]:
    """Run the classroom profile in a copy; how it differs from its reference.

    Says first what in submission/ does not belong together. ValueError if no reference
    was made with the same base and abstracts.
    """
    from helpers import config, data, submission

    os.environ["AR_PROFILE"] = "classroom"
    base, abstracts = config.base(), config.neurips()
    # What is used, since a path is relative to this folder, not to the copy.
    os.environ |= {"AR_BASE": base.used, "AR_NEURIPS": abstracts.used}
    texts = {domain: data.provenance(domain) for domain in config.DOMAINS}
    now = {"profile": "classroom", "base": base.record(), "data": texts}
    chosen = reference(made_with(now))
    print(f"To be compared with {chosen.relative_to(ROOT)}/metrics.json.", flush=True)
    if chosen == config.submission() and (odd := submission.mixed()):
        print(odd, flush=True)
    no_caches = shutil.ignore_patterns(".*", "__pycache__")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("helpers", "notebooks"):
            shutil.copytree(ROOT / part, folder / part, ignore=no_caches)
        (folder / "runs").mkdir()
        for fetched in ROOT.glob("runs/paperlists.parquet"):
            shutil.copy(fetched, folder / "runs")
        environment = os.environ | {"PYTHONPATH": name}
        command = [sys.executable, "-m", "helpers"]
        subprocess.run(command, cwd=folder, check=True, env=environment)
        metrics = read_json(folder / "submission" / "metrics.json")
    return differences(metrics, read_json(chosen / "metrics.json"))


def reference(wanted: list[str]) -> Path:
    """The folder of REFERENCES that was made with this; ValueError if none was."""
    for folder in REFERENCES:
        manifest = read_json(folder / "manifest.json")
        if manifest and made_with(manifest) == wanted:
            return folder
    raise ValueError(
        "No reference was made with this base and these abstracts: set "
        "AR_BASE=packaged and AR_NEURIPS=paperlists, or AR_NEURIPS=packaged."
    )


def made_with(manifest: dict) -> list[str]:
    """What a run's numbers depend on: its profile, its base, its data."""
    hashes = [facts["sha256"] for _, facts in sorted(manifest["data"].items())]
    return [manifest["profile"], manifest["base"]["label"], *hashes]


def keep(finished: Path) -> None:
    """Copy what the second reference needs from a finished run's submission/.

    ValueError if the run was another, or a file is not what its manifest lists.
    """
    from helpers.engine import files

    manifest = read_json(finished / "manifest.json") or {}
    abstracts = manifest.get("data", {}).get("neurips", {}).get("choice", {})
    used = [manifest.get("profile"), manifest.get("base", {}).get("used")]
    if [*used, abstracts.get("used")] != ["classroom", "packaged", "packaged"]:
        raise ValueError(
            f"{finished} is not of a finished run of the classroom profile under "
            "AR_BASE=packaged AR_NEURIPS=packaged."
        )
    for name in KEPT:
        if files.digest(finished / name) != manifest["files"][name]["sha256"]:
            raise ValueError(f"{finished / name} was changed since the run.")
        files.write_text(PACKAGED / name, (finished / name).read_text("utf-8"))
    names = ("profile", "base", "data", "versions", "seed", "device", "scored")
    facts = {name: manifest[name] for name in names if name in manifest}
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    files.write_text(PACKAGED / "manifest.json", text)
    print(f"{', '.join(KEPT)} and manifest.json: {PACKAGED.relative_to(ROOT)}/")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renew", metavar="REASON")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--keep", metavar="FOLDER", type=Path)
    chosen = parser.parse_args()
    if chosen.renew:
        return renew(chosen.renew)
    if not chosen.verify and not chosen.keep:
        return print(json.dumps(smoke()))
    try:
        if chosen.keep:
            return keep(chosen.keep)
        off = verify()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
    if off:
        sys.exit("\n".join(off))
    print(f"The same within {TOLERANCE:.1%}.")


if __name__ == "__main__":
    main()
