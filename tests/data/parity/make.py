# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the published model's numbers that the tests need: `python make.py FOLDER`.

FOLDER holds the parity data. The two segmenters' files share weights and input, which are kept once; the
other files are copied as they are.
"""

import shutil
import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent


def main(source: Path) -> None:
    for name in ("encoder", "classifier", "mae"):
        shutil.copyfile(source / f"{name}.safetensors", HERE / f"{name}.safetensors")
    per_series = load_file(source / "segmenter_per_series.safetensors")
    per_date = load_file(source / "segmenter_per_date.safetensors")
    if not per_series["input"].equal(per_date["input"]):
        raise SystemExit("the two segmenters' inputs differ")
    tensors = {name: tensor for name, tensor in per_series.items() if name != "logits"}
    tensors["logits_per_series"], tensors["logits_per_date"] = per_series["logits"], per_date["logits"]
    with safe_open(source / "segmenter_per_series.safetensors", "pt") as file:
        config = file.metadata()["config"]
    save_file(tensors, HERE / "segmenter.safetensors", metadata={"config": config})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
