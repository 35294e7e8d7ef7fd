"""Settings: presets, variables, and errors that say where."""

from pathlib import Path

import pytest

from tuwen.errors import ConfigurationError
from tuwen.settings import Settings, load_settings


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_the_bundled_preset_is_the_default() -> None:
    assert load_settings(environ={}) == Settings()


def test_file_then_environment_wins(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml", "preset: mine\ningest: {workers: 3, ocr: {dpi: 150}}")
    settings = load_settings(file, {"TUWEN_INGEST__WORKERS": "5"})
    assert (settings.preset, settings.ingest.workers, settings.ingest.ocr.dpi) == ("mine", 5, 150)


def test_config_variable_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml", "preset: mine")
    assert load_settings(environ={"TUWEN_CONFIG": str(file)}).preset == "mine"


def test_variables_with_a_meaning_of_their_own_are_not_keys() -> None:
    assert load_settings(environ={"TUWEN_HOME": "/data", "TUWEN_API_KEY": "k"}) == Settings()


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("ingest: {wrokers: 2}", ("ingest.wrokers", "unknown key", "workers")),
        ("ingest: {workers: many}", ("ingest.workers", "integer")),
        ("ingest: {workers: -1}", ("ingest.workers", "greater than or equal to 0")),
        ("encoders: {dense: {adapter: bert}}", ("encoders.dense.adapter", "'e5'")),
        ("ingest: 3", ("ingest",)),
        ("models: {answer: {min_tiles: 9, max_tiles: 6}}", ("models.answer", "min_tiles is 9")),
        ("- a list", ("mapping of sections",)),
        ("a: b: c", ("YAML",)),
    ],
)
def test_errors_name_the_key_and_the_file(tmp_path: Path, content: str, names: tuple[str, ...]) -> None:
    file = write(tmp_path / "wrong.yaml", content)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    for name in (str(file), *names):
        assert name in caught.value.message


def test_a_section_of_comments_is_no_section(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.yaml", "ingest:\n  # workers: 2\n  ocr:\n    # dpi: 200\nsearch:\n")
    assert load_settings(file, {}) == Settings()


def test_a_variable_that_is_no_yaml_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^TUWEN_PRESET: '\[x' cannot be read"):
        load_settings(environ={"TUWEN_PRESET": "[x"})


def test_a_server_is_not_ignored_silently() -> None:
    with pytest.raises(ConfigurationError, match="TUWEN_URL"):
        load_settings(environ={"TUWEN_URL": "http://127.0.0.1:1"})


def test_errors_name_the_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"^Setting ingest\.wrokers in TUWEN_INGEST__WROKERS: unknown key"):
        load_settings(environ={"TUWEN_INGEST__WROKERS": "3"})
    with pytest.raises(ConfigurationError, match="TUWEN_PRESET__NAME: preset is a value"):
        load_settings(environ={"TUWEN_PRESET__NAME": "x"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml: no such settings file"):
        load_settings(tmp_path / "none.yaml", {})


def test_every_key_has_a_description() -> None:
    schema = Settings.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for name, field in section["properties"].items():
            assert "description" in field or "$ref" in field, f"{section['title']}.{name}"
