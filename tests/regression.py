"""The scores a run must give again.

python tests/regression.py                     the smoke profile's scores, as JSON
python tests/regression.py --renew REASON      the same into baselines/smoke.json, with the reason
python tests/regression.py --verify            runs the classroom profile in a copy of the project (half an hour)
                                            and compares with submission/metrics.json
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
TOLERANCE = 0.005  # a mean log-likelihood or bits per byte, on another machine, with other threads or in bfloat16


def smoke(dtype: str = "float32") -> dict:
    """Train both tiny models in a temporary folder; mean scores by kind and model, bits per byte, and samples."""
    os.environ |= {"AR_PROFILE": "smoke", "AR_BASE": "tiny", "AR_NEURIPS": "packaged"}
    import torch

    from helpers import config, data, finetune, likelihood, models, sampling, submission

    models.fast_dtype = lambda: getattr(torch, dtype)
    with tempfile.TemporaryDirectory() as folder:
        config.runs = lambda: Path(folder)
        trio = finetune.load_all()
        scores = submission.add_rates(
            likelihood.score_table(trio, data.evaluation_strings())
        )
        held = {
            f"{domain} under {name}": likelihood.bits_per_byte(
                likelihood.held_out(
                    lm,
                    data.splits(domain)["test"]["text"],
                    config.profile().held_out_bytes,
                )
            )
            for domain in config.DOMAINS
            for name, lm in trio.items()
        }
        samples = {
            name: sampling.sample(
                lm, ["HAMLET:\n", "In this paper"], n=2, max_new_tokens=24, top_p=0.95
            )
            for name, lm in trio.items()
        }
    means = scores.groupby(["domain", "model"]).log_likelihood.mean()
    return {
        "mean_log_likelihood": {
            f"{kind} under {model}": round(float(v), 4)
            for (kind, model), v in means.items()
        },
        "bits_per_byte": {name: round(float(v), 5) for name, v in held.items()},
        "scores": scores.log_likelihood.tolist(),
        "samples": {name: [s.text for s in drawn] for name, drawn in samples.items()},
    }


def differences(new: dict, old: dict, tolerance: float = TOLERANCE) -> list[str]:
    """The means and bits per byte of `new` that are missing, or off from `old` by more than `tolerance`, in lines."""
    lines = []
    for table in ("mean_log_likelihood", "bits_per_byte"):
        for name, before in flat(old[table]).items():
            now = flat(new[table]).get(name)
            if now is None or not abs(now / before - 1) <= tolerance:
                lines.append(f"{table}, {name}: {now}, was {before}")
    return lines


def flat(table: dict) -> dict:
    """{"a": {"b": 1}} → {"a b": 1}; what is flat stays so."""
    return {
        f"{a} {b}": v
        for a, row in table.items()
        if isinstance(row, dict)
        for b, v in row.items()
    } | {a: v for a, v in table.items() if not isinstance(v, dict)}


def renew(reason: str) -> None:
    """Write the baseline, and add why to its history."""
    from helpers import config

    old = (
        json.loads(BASELINE.read_text(encoding="utf-8"))
        if BASELINE.exists()
        else {"history": []}
    )
    new = {
        name: table
        for name, table in smoke().items()
        if name not in ("scores", "samples")
    }
    changed = differences(new, old) if "bits_per_byte" in old else ["new"]
    history = [
        *old["history"],
        {
            "when": datetime.now(UTC).date().isoformat(),
            "why": reason,
            "changed": len(changed),
        },
    ]
    BASELINE.parent.mkdir(exist_ok=True)
    BASELINE.write_text(
        json.dumps(new | {"versions": config.versions(), "history": history}, indent=1)
        + "\n",
        encoding="utf-8",
    )
    print("\n".join(changed) or "nothing moved by more than the tolerance")


def verify() -> list[str]:
    """Run the classroom profile in a copy of the project; what differs from submission/metrics.json."""
    committed = {
        name: json.loads(
            (ROOT / "submission" / f"{name}.json").read_text(encoding="utf-8")
        )
        for name in ("metrics", "manifest")
    }
    with tempfile.TemporaryDirectory() as folder:
        for part in ("helpers", "notebooks"):
            shutil.copytree(
                ROOT / part,
                Path(folder) / part,
                ignore=shutil.ignore_patterns(".*", "__pycache__"),
            )
        subprocess.run(
            [sys.executable, "-m", "helpers"],
            cwd=folder,
            check=True,
            env=os.environ | {"AR_PROFILE": "classroom", "PYTHONPATH": folder},
        )
        new = {
            name: json.loads(
                (Path(folder) / "submission" / f"{name}.json").read_text(
                    encoding="utf-8"
                )
            )
            for name in ("metrics", "manifest")
        }

    def made_with(manifest: dict) -> list[str]:
        hashes = [facts["sha256"] for _, facts in sorted(manifest["data"].items())]
        return [manifest["profile"], manifest["base"]["label"], *hashes]

    if made_with(new["manifest"]) != made_with(committed["manifest"]):
        sys.exit(
            "Another base model or corpus than that of submission/ was used; set AR_BASE and AR_NEURIPS to:\n"
            f"{committed['manifest']['base']['label']}; {committed['manifest']['data']['neurips']['source']}"
        )
    return differences(new["metrics"], committed["metrics"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renew", metavar="REASON")
    parser.add_argument("--verify", action="store_true")
    parser.add_argument(
        "--dtype",
        default="float32",
        help="of the matrix products, for the smoke scores",
    )
    asked = parser.parse_args()
    if asked.renew:
        renew(asked.renew)
    elif asked.verify:
        off = verify()
        sys.exit("\n".join(off) if off else print(f"The same within {TOLERANCE:.1%}."))
    else:
        print(json.dumps(smoke(asked.dtype)))
