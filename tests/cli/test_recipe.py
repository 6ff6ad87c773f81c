"""``seg-edge train --config``: options from a YAML file."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import pytest
import torch

from seg_edge.cli import train as verb
from seg_edge.cli.main import main
from seg_edge.train import TrainReport, load_recipe
from seg_edge.train.recipe import recipes

pytestmark = pytest.mark.usefixtures("quick_curves")

QUICK = ("--model", "unet-n", "--batch", "4", "--workers", "0", "--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What reaches the training, (data, out, configuration); nothing is trained."""
    seen = []

    def fit(data, out, config, *, resume, progress):
        seen.append((data, out, config))
        return TrainReport({"best": {"miou": 0.5, "epoch": 1}, "seconds": 1.0})

    monkeypatch.setattr(import_module("seg_edge.cli.train"), "fit", fit)
    monkeypatch.chdir(tmp_path)
    return seen


def write(path, text):
    path.write_text(text)
    return str(path)


def test_values_of_the_file_are_the_defaults_and_given_options_win(asked, tmp_path):
    file = write(
        tmp_path / "mine.yaml",
        "epochs: 7\nimgsz: 64x96\nscale: [1, 1.5]\nlr: 1e-3\nweight_decay: 0\ndata: d\ndeterministic: true\n",
    )
    assert main(["train", "--config", file, "--epochs", "3", "--flip", "0"]) == 0
    ((data, _, config),) = asked
    assert (config.epochs, config.size_hw, config.lr, config.weight_decay) == (3, (64, 96), 0.001, 0)
    assert (config.augment.scale, config.augment.flip, config.augment.jitter) == ((1, 1.5), 0, 0.4)
    assert (str(data), config.deterministic, config.model) == ("d", True, "unet-s")


def test_order_does_not_matter(asked, tmp_path):
    file = write(tmp_path / "mine.yaml", "epochs: 7\nseed: 5\n")
    assert main(["train", "--data", "d", "--epochs", "3", "--config", file]) == 0
    assert (asked[0][2].epochs, asked[0][2].seed) == (3, 5)


def test_one_call_leaves_nothing_to_the_next(asked, tmp_path):
    file = write(tmp_path / "mine.yaml", "epochs: 7\n")
    assert main(["train", "--data", "d", "--config", file]) == 0
    assert main(["train", "--data", "d"]) == 0
    assert [config.epochs for _, _, config in asked] == [7, 100]


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_recipe_that_comes_along_is_valid(asked, name):
    """The command and Python make the same configuration of it."""
    assert main(["train", "--config", name, "--data", "d"]) == 0
    ((_, out, config),) = asked
    assert load_recipe(name) == config
    assert out == Path("runs") / f"d-{config.model}"


RECORDS = Path(__file__).parents[2] / "benchmarks" / "results"


@pytest.mark.parametrize("name", sorted(name for name in recipes() if (RECORDS / f"{name}.json").is_file()))
def test_a_recorded_training_is_that_of_its_recipe(load_module, name):
    """Another recipe, or another default, is another result."""
    recorded = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))["train"]["config"]
    script = load_module("../benchmarks/recipe.py")
    assert script.without(recorded) == script.asked(name)


def test_the_table_of_trainings_is_the_recorded_one(load_module):
    page = (RECORDS.parent / "README.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if re.match(r"\| `camvid[^`]*` \| unet-", line)}
    recorded = {name for name in recipes() if (RECORDS / f"{name}.json").is_file()}
    assert set(rows) == recorded
    for name, row in rows.items():
        train = json.loads((RECORDS / f"{name}.json").read_text(encoding="utf-8"))["train"]
        size = f"{train['model']} | {train['params'] / 1e6:.2f} | {train['macs'] / 1e9:.2f}"
        assert row.startswith(f"| `{name}` | {size} | "), name
        assert row.endswith(f" | {train['epochs']} | {100 * train['best']['miou']:.2f} |"), name
    alone = json.loads((RECORDS / "camvid-self.json").read_text(encoding="utf-8"))["train"]
    assert alone["best"]["epoch"] == 1
    assert f"is its first (its last: {100 * alone['history'][-1]['val_miou']:.2f} %)" in page


def test_the_table_of_ablations_is_the_recorded_one(load_module):
    script = load_module("../benchmarks/ablations.py")
    record = json.loads((RECORDS / "ablations.json").read_text(encoding="utf-8"))
    assert {row["change"] for row in record["rows"]} == set(script.CHANGES)
    assert record["base"]["recipe"] == script.RECIPE.read_text(encoding="utf-8")
    assert "\n".join(script.table(record["rows"])) in (RECORDS.parent / "README.md").read_text(encoding="utf-8")


def test_a_training_of_another_recipe_is_not_recorded(load_module, tmp_path):
    script = load_module("../benchmarks/recipe.py")
    assert script.finished("camvid", tmp_path) is None
    write(tmp_path / "report.json", json.dumps({"config": script.asked("camvid") | {"data": "d"}}))
    assert script.finished("camvid", tmp_path) == {"config": script.asked("camvid") | {"data": "d"}}
    write(tmp_path / "report.json", json.dumps({"config": script.asked("camvid") | {"lr": 9}}))
    with pytest.raises(SystemExit, match=r"another training \(lr 9, not 0\.002\)"):
        script.finished("camvid", tmp_path)


def test_a_whole_recipe_begins_with_what_it_needs(load_module, tmp_path, monkeypatch):
    script = load_module("../benchmarks/recipe.py")
    monkeypatch.chdir(tmp_path)
    ran = []
    monkeypatch.setattr(script, "run", lambda *words: ran.append(" ".join(words)))
    monkeypatch.setattr(script, "finished", lambda name, run: {"epochs": 1} if name == "camvid" else None)
    script.train_whole("camvid-pruned", Path("d"))
    trained = [f"train --config {name} --data d --out runs/{name}" for name in ("camvid-lite0", "camvid-lite0-tuned")]
    pruned = "prune runs/camvid-distilled/best.pt --data d --target-macs 0.55 --steps 1 --finetune 0"
    assert ran[-1] == "train --config camvid-pruned --data d --out runs/camvid-pruned"
    assert pruned in ran
    assert pruned.replace("--data d", "--data data/camvid") in recipes()["camvid-pruned"].read_text(encoding="utf-8")
    for before, after in (
        (trained[0], trained[1]),
        (trained[1], "camvid-distilled --data"),
        ("camvid-distilled --data", pruned),
    ):
        first, second = (next(i for i, line in enumerate(ran) if text in line) for text in (before, after))
        assert first < second, (before, after)
    assert not any("--config camvid --" in line for line in ran)  # was finished


def test_a_recipe_trains(load_module, tmp_path):
    data = load_module("train/rectangles.py").write_dataset(tmp_path / "data", train=4, val=1)
    file = write(tmp_path / "mine.yaml", f"data: {data}\nepochs: 1\nloss: focal\noptimizer: sgd\n")
    assert main(["train", "--config", file, "--out", str(tmp_path / "o"), *QUICK]) == 0
    config = json.loads((tmp_path / "o" / "report.json").read_text())["config"]
    assert (config["epochs"], config["loss"], config["optimizer"], config["lr"]) == (1, "focal", "sgd", 0.05)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch: 3", "unknown key in FILE 'epoch': did you mean 'epochs'? valid names: accumulate, "),
        ("config: x", "unknown key in FILE 'config'"),
        ("epochs: {a: 1}", "recipe FILE: epochs: expected a number, a text or a list of numbers, got dict"),
        ("- epochs", "recipe FILE: expected lines such as 'epochs: 100', got list"),
        ("epochs: [", "recipe FILE: not readable as YAML"),
        ("model: unet_s", "unknown model 'unet_s': did you mean 'unet-s'?"),
    ],
)
def test_wrong_files_are_one_line(tmp_path, capsys, text, message):
    file = write(tmp_path / "mine.yaml", text)
    assert main(["train", "--config", file, "--data", "d"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message.replace("FILE", file) in error


def test_wrong_kinds_of_values_name_the_option(tmp_path, capsys):
    assert main(["train", "--config", write(tmp_path / "mine.yaml", "epochs: many"), "--data", "d"]) == 2
    assert "Invalid value for '--epochs'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("camvit", "unknown recipe 'camvit': did you mean 'camvid'? valid names: {sorted}"),
        ("absent.yaml", "recipe absent.yaml: no such file; expected a YAML file, or one of {listed}"),
    ],
)
def test_files_that_do_not_exist(capsys, name, message):
    assert main(["train", "--config", name, "--data", "d"]) == 1
    names = {"sorted": ", ".join(sorted(recipes())), "listed": ", ".join(recipes())}
    assert message.format(**names) in capsys.readouterr().err


def test_help_needs_no_file(capsys):
    assert main(["train", "--help"]) == 0
    assert "--config" in capsys.readouterr().out
    assert verb.train.__doc__


def test_recipes_of_the_reference_systems(asked):
    for name in ("camvid-focal", "single-class", "siamese"):
        assert main(["train", "--config", name, "--data", "d"]) == 0
    focal, single, siamese = (config for _, _, config in asked)
    assert (focal.loss, focal.optimizer, focal.batch, focal.lr, focal.siamese) == ("focal", "sgd", 4, 0.02, None)
    assert (single.unlabelled, single.size_hw, single.epochs, single.batch) == ("marginal", (256, 256), 30, 16)
    assert str(siamese.siamese) == "features 0.5, predictions 0.5, appearance 1"
