"""Configuration files."""

from pathlib import Path

import pytest
from chaos_protocol import yamlfile
from chaos_protocol.problems import Refused


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "2020-99-99: x",
        "!!timestamp 99",
        "!!float x",
        "0x_",
        "[" * 3000,
        "a: b: c",
        "\x00",
        "!!python/object:os.system x",
    ],
    ids=["cut", "date", "timestamp", "float", "hex", "deep", "two colons", "nul", "a command"],
)
def test_what_is_no_yaml_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, the daemon says so and shows no stack."""
    path = tmp_path / "agent.yaml"
    path.write_text(text)

    with pytest.raises(Refused, match=r"agent\.yaml: .*must be YAML") as refused:
        yamlfile.read(path)

    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With why it can't be read."""
    with pytest.raises(Refused, match="No such file or directory: must be a file that can be read"):
        yamlfile.read(tmp_path / "policy.yaml")
