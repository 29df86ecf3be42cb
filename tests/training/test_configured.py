"""A script's config is its defaults, replaced by a TOML file, replaced by the command line; unknown keys are errors."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from dnaml.core.errors import InputError
from training.collect import Config as CollectConfig
from training.configured import commit, configured, from_toml
from training.evaluate import Config as EvaluateConfig
from training.train import Config as TrainConfig

CONFIGS = Path(__file__).resolve().parents[2] / "training" / "configs"


@dataclass(frozen=True)
class Config:
    """Does nothing."""

    out: str = "here"
    """where to"""
    probes: tuple[int, ...] = (0, 1)
    """how many"""
    share: float = 0.5
    """of what"""


def test_defaults_then_file_then_command_line(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('out = "there"\nprobes = [3, 4, 5]\n')
    assert configured(Config, []) == Config()
    assert configured(Config, ["--config", str(file)]) == Config(out="there", probes=(3, 4, 5))
    assert configured(Config, ["--share", "0.1", "--config", str(file), "--out", "x"]) == Config(
        out="x", probes=(3, 4, 5), share=0.1
    )


def test_an_unknown_key_names_the_nearest_known(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("prob = [1]\n")
    with pytest.raises(InputError, match=r"no 'prob'; did you mean 'probes'\?"):
        from_toml(Config, file)


@pytest.mark.parametrize("text", [None, "out = "])
def test_a_file_that_cannot_be_read_is_named(tmp_path, text):
    file = tmp_path / "config.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=r"config\.toml: must be a readable TOML file"):
        configured(Config, ["--config", str(file)])


def test_the_file_must_be_named():
    with pytest.raises(InputError, match="--config needs a file"):
        configured(Config, ["--config"])


@pytest.mark.parametrize(
    ("kind", "name"), [(CollectConfig, "telemetry"), (TrainConfig, "dnaml-small"), (TrainConfig, "quick")]
)
def test_the_shipped_configs_fit_their_scripts(kind, name):
    assert configured(kind, ["--config", str(CONFIGS / f"{name}.toml")]) == from_toml(kind, CONFIGS / f"{name}.toml")


@pytest.mark.parametrize("kind", [CollectConfig, TrainConfig, EvaluateConfig])
def test_every_option_is_described_in_the_help(kind, capsys):
    with pytest.raises(SystemExit) as ended:
        configured(kind, ["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "--config FILE.toml" in shown
    assert "--seed" in shown


def test_the_commit_is_one_word():
    assert commit()
    assert " " not in commit()
