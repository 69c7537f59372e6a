"""`croissant.json`: the dataset in the Croissant vocabulary, with its fields for responsible AI.

Made and checked by `mlcroissant`. Addresses of files are relative, so the description holds for the folder wherever
it is: `mlcroissant.Dataset("FOLDER/croissant.json").records("pairs")`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from pipelines.release import statements
from pipelines.release.configs import columns_of
from pipelines.release.facts import Facts
from schemas.tables import MEDIA_COLUMNS, excluded_schema

FORMATS = {
    ".parquet": "application/x-parquet",
    ".json": "application/json",
    ".html": "text/html",
    ".md": "text/markdown",
    ".png": "image/png",
}
SPLIT_OF_PATH = r"data/([a-z_]+)-\d{5}-of-\d{5}\.parquet$"


class Listed(NamedTuple):
    """A file of the dataset."""

    path: str
    bytes: int
    sha256: str


class Publication(NamedTuple):
    """What is known of a dataset only once it is given away."""

    url: str
    owner: str
    date: str
    """ISO 8601."""


def shards(facts: Facts) -> list[Listed]:
    """The files that the build wrote and listed with their digests."""
    files = facts.figures.manifest.get("files", ())
    return [Listed(file["path"], file["bytes"], file["sha256"]) for file in files]


def croissant_text(facts: Facts, files: Iterable[Listed], published: Publication | None = None) -> str:
    """The description as JSON; same arguments, same text.

    Raises:
        mlcroissant.ValidationError: The vocabulary forbids what was made.
    """
    import datetime

    import mlcroissant as mlc

    of_release: dict[str, Any] = {}
    if published:
        of_release = {
            "url": published.url,
            "creators": [mlc.Organization(name=published.owner)] if published.owner else [],
            "date_published": datetime.datetime.fromisoformat(published.date),
        }
    sets = {name: columns for name, columns in _record_sets(facts)}
    metadata = mlc.Metadata(
        name=facts.name,
        description="Image-text pairs whose harm is emergent: benign image, benign text, harmful together. "
        + facts.canary,
        cite_as=statements.citation(facts),
        version=f"1.0.0+{facts.digest[:16]}" if facts.digest else "1.0.0",
        license=sorted(facts.licences) or ["unknown"],
        in_language=[facts.language],
        keywords=["trust and safety", "content moderation", "emergent harm", "multimodal"],
        distribution=[*map(_file_object, sorted(files)), *_file_sets(sets)],
        record_sets=[_record_set(name, fields) for name, fields in sets.items()],
        **of_release,
        **_responsible(facts),
    )
    return json.dumps(metadata.to_json(), indent=2, ensure_ascii=False, default=str) + "\n"


def _responsible(facts: Facts) -> dict[str, Any]:
    """The fields of Croissant's RAI vocabulary."""
    people = facts.annotated
    return {
        "data_collection": statements.collection(facts),
        "data_collection_type": sorted({place.origin for place in facts.places if place.origin}) or None,
        "data_preprocessing_protocol": [
            "Images upright, RGB, without metadata, in one encoding; texts in Unicode NFC; near copies merged."
        ],
        "data_annotation_protocol": [statements.annotation_protocol(facts)],
        "data_annotation_platform": ["Label Studio"] if people else None,
        "data_annotation_analysis": statements.agreement(facts) or None,
        "annotations_per_item": f"{people.annotations / people.pairs:.2f} on average" if people else None,
        "machine_annotation_tools": sorted(facts.manifest.get("models", {})) or None,
        "data_biases": statements.biases(facts),
        "personal_sensitive_information": statements.personal(facts),
        "data_use_cases": [*statements.INTENDED, *(f"Forbidden: {use}" for use in statements.FORBIDDEN)],
        "data_limitations": statements.limits(facts),
        "data_social_impact": "Better moderation of harm that is in neither part alone; the same pairs could teach "
        "how to pass moderation, so access is granted one by one.",
        "data_release_maintenance_plan": "Rows are removed on request; a new version has a new dataset digest.",
    }


def _record_sets(facts: Facts) -> Iterator[tuple[str, list[pa.Field]]]:
    """Names and fields; lists of structures (screening scores) are left out, as `mlcroissant` cannot read them."""
    if facts.schema is None:
        return
    for name, columns in columns_of(facts.schema).items():
        fields = [facts.schema.field(column) for column in columns]
        yield name, [field for field in fields if field.name in MEDIA_COLUMNS or not _nested(field.type)]
    if facts.figures.excluded.num_rows:
        yield "excluded", list(excluded_schema())


def _nested(type_: pa.DataType) -> bool:
    return bool(pa.types.is_nested(type_)) and not (
        pa.types.is_list(type_) and not pa.types.is_nested(type_.value_type)
    )


def _file_object(file: Listed) -> Any:
    import mlcroissant as mlc

    suffix = file.path[file.path.rindex(".") :]
    return mlc.FileObject(
        id=file.path,
        name=file.path,
        content_url=file.path,
        content_size=f"{file.bytes} B",
        encoding_formats=[FORMATS[suffix]],
        sha256=file.sha256,
    )


def _file_sets(record_sets: Iterable[str]) -> Iterator[Any]:
    import mlcroissant as mlc

    folders = sorted({_folder(name) for name in record_sets})
    for folder in folders:
        formats, id = [FORMATS[".parquet"]], _shards_of(folder)
        yield mlc.FileSet(id=id, name=id, includes=[f"{folder}/*.parquet"], encoding_formats=formats)


def _folder(record_set: str) -> str:
    return "excluded" if record_set == "excluded" else "data"


def _shards_of(record_set: str) -> str:
    """Identifier of the file set that a record set is read from."""
    return f"{_folder(record_set)}-shards"


def _record_set(name: str, fields: Iterable[pa.Field]) -> Any:
    import mlcroissant as mlc

    described = [_field(name, field) for field in fields]
    if _folder(name) == "data":
        described.insert(0, _split(name))
    return mlc.RecordSet(id=name, name=name, fields=described)


def _split(record_set: str) -> Any:
    """A field that is in the name of the file."""
    import mlcroissant as mlc

    extract = mlc.Extract(file_property=mlc.FileProperty.fullpath)
    source = mlc.Source(
        file_set=_shards_of(record_set), extract=extract, transforms=[mlc.Transform(regex=SPLIT_OF_PATH)]
    )
    return mlc.Field(id=f"{record_set}/split", name="split", data_types=[mlc.DataType.TEXT], source=source)


def _field(record_set: str, field: pa.Field) -> Any:
    import mlcroissant as mlc

    picture, listed = field.name in MEDIA_COLUMNS, pa.types.is_list(field.type)
    source = mlc.Source(
        file_set=_shards_of(record_set),
        extract=mlc.Extract(column=field.name),
        transforms=[mlc.Transform(json_path="bytes")] if picture else [],
    )
    return mlc.Field(
        id=f"{record_set}/{field.name}",
        name=field.name,
        data_types=[mlc.DataType.IMAGE_OBJECT if picture else _data_type(field.type)],
        source=source,
        repeated=listed,
    )


def _data_type(type_: pa.DataType) -> Any:
    import mlcroissant as mlc

    if pa.types.is_list(type_):
        return _data_type(type_.value_type)
    if pa.types.is_boolean(type_):
        return mlc.DataType.BOOL
    if pa.types.is_integer(type_):
        return mlc.DataType.INTEGER
    return mlc.DataType.FLOAT if pa.types.is_floating(type_) else mlc.DataType.TEXT
