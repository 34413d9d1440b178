"""The scores a run must give again.

python tests/regression.py                  the smoke profile's scores, as JSON
python tests/regression.py --renew REASON   the same into baselines/smoke.json
python tests/regression.py --verify         runs the classroom profile in a copy of the
                                            project (half an hour) and compares with
                                            submission/metrics.json
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

ROOT = Path(__file__).resolve().parents[1]
BASELINE = Path(__file__).parent / "baselines" / "smoke.json"
# Of a mean log-likelihood or of bits per byte, on another machine, with other threads,
# or trained in bfloat16.
TOLERANCE = 0.005
TABLES = ("mean_log_likelihood", "bits_per_byte")


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


def verify() -> list[str]:
    """Run the classroom profile in a copy; how it differs from what is committed.

    Says first what in submission/ does not belong together.
    """
    from helpers import submission

    os.environ["AR_PROFILE"] = "classroom"
    if odd := submission.mixed():
        print(odd, flush=True)
    no_caches = shutil.ignore_patterns(".*", "__pycache__")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("helpers", "notebooks"):
            shutil.copytree(ROOT / part, folder / part, ignore=no_caches)
        environment = os.environ | {"PYTHONPATH": name}
        command = [sys.executable, "-m", "helpers"]
        subprocess.run(command, cwd=folder, check=True, env=environment)
        manifest = read_json(folder / "submission" / "manifest.json")
        metrics = read_json(folder / "submission" / "metrics.json")
    committed = read_json(ROOT / "submission" / "manifest.json")
    if made_with(manifest) != made_with(committed):
        base, corpus = committed["base"]["label"], committed["data"]["neurips"]
        sys.exit(
            "Another base model or corpus than that of submission/ was used; "
            f"set AR_BASE and AR_NEURIPS to:\n{base}; {corpus['source']}"
        )
    return differences(metrics, read_json(ROOT / "submission" / "metrics.json"))


def made_with(manifest: dict) -> list[str]:
    """What a run's numbers depend on: its profile, its base, its data."""
    hashes = [facts["sha256"] for _, facts in sorted(manifest["data"].items())]
    return [manifest["profile"], manifest["base"]["label"], *hashes]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renew", metavar="REASON")
    parser.add_argument("--verify", action="store_true")
    chosen = parser.parse_args()
    if chosen.renew:
        return renew(chosen.renew)
    if not chosen.verify:
        return print(json.dumps(smoke()))
    try:
        off = verify()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(str(error))
    if off:
        sys.exit("\n".join(off))
    print(f"The same within {TOLERANCE:.1%}.")


if __name__ == "__main__":
    main()
