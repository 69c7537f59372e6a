"""pyarrow writing the rows of a dataset alone: prints a line of JSON.

The columns are in memory; the pictures are read from the blob store a row group at a time, as in the pipeline, and
the files get the same options. Neither digests nor temporary names are made.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.blobs import BlobStore
from pipelines.storage.shards import CHUNKING
from schemas.tables import MEDIA_COLUMNS

GROUP = 100


def write(table: pa.Table, blobs: BlobStore, path: Path) -> None:
    """Write one shard: the columns of `table`, and each row's picture."""
    plain = [name for name in table.schema.names if name not in MEDIA_COLUMNS]
    options = {"use_content_defined_chunking": CHUNKING, "write_page_index": True, "use_dictionary": plain}
    with pq.ParquetWriter(path, table.schema, compression="none", **options) as writer:
        for start in range(0, table.num_rows, GROUP):
            group = table.slice(start, GROUP)
            ids = group["image_id"].to_pylist()
            pictures = [{"bytes": blobs.get(id), "path": f"{id}.jpg"} for id in ids]
            field = table.schema.field("image")
            column = pa.array(pictures, field.type)
            writer.write_table(group.set_column(table.schema.names.index("image"), field, column), GROUP)


def without_pictures(path: Path) -> pa.Table:
    """The columns of a shard, with nothing in the place of its pictures."""
    schema = pq.read_schema(path)
    table = pq.read_table(path, columns=[name for name in schema.names if name != "image"])
    empty = pa.nulls(table.num_rows, schema.field("image").type)
    return table.add_column(schema.names.index("image"), schema.field("image"), empty)


def main(argv: Sequence[str] | None = None) -> int:
    """Time the writing of all shards of a dataset's `data/`."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dataset", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args(argv)
    tables = {path.name: without_pictures(path) for path in sorted((arguments.dataset / "data").glob("*"))}
    blobs = BlobStore(arguments.work / "blobs")
    arguments.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    for name, table in tables.items():
        write(table, blobs, arguments.out / name)
    rows = sum(table.num_rows for table in tables.values())
    sys.stdout.write(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
