"""What `ParquetSource` asks of parquet files: which match, their columns, numbers and images."""

import glob
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vireo import files
from vireo.catalog import needs, unknown
from vireo.errors import DataError, MissingExtraError, StoreError


def match_files(root: str | Path, path: str) -> list[Path]:
    """Return the files that the glob `path` below the folder `root` matches, sorted.

    Raises:
        DataError: none does, or a variable is not set.
    """
    try:
        base, pattern = files.expand(str(root)), str(files.expand(path))
    except StoreError as error:
        raise DataError(str(error)) from error
    found = sorted(glob.glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207
    if not found:
        raise DataError(
            f"No file matches {base / pattern}; check the path (for example train-*.parquet)."
        )
    return [base / name for name in found]


def read_metadata(path: Path) -> tuple[Any, list[tuple[int, int]]]:
    """Return a file's schema, and rows and bytes of each of its row groups."""
    with _readable(path) as file:
        groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
        return file.schema_arrow, [(group.num_rows, group.total_byte_size) for group in groups]


def common_schema(schemas: list[Any], paths: list[Path]) -> Any:
    """Return the schema of the first file, for all.

    Raises:
        DataError: another has other columns (their types may differ: an empty column has none).
    """
    for schema, path in zip(schemas, paths, strict=True):
        if schema.names != schemas[0].names:
            raise DataError(
                f"{path} has other columns ({', '.join(schema.names)}) than {paths[0].name}; "
                "match the files of one split."
            )
    return schemas[0]


def hub_features(schema: Any) -> dict[str, dict[str, Any]]:
    """Return what the Hugging Face Hub states about the columns; nothing if it is no such file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return {name: kind for name, kind in features.items() if isinstance(kind, dict)}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def hub_class_names(hub: dict[str, dict[str, Any]], column: str) -> tuple[str, ...]:
    """Return the names that the Hub states for a column of labels; none if it states none."""
    names = hub.get(column, {}).get("names")
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def find_image_column(schema: Any, hub: dict[str, dict[str, Any]], wanted: str) -> str:
    """Return `wanted`, or "image", or the only column that holds images.

    Raises:
        DataError: there is none, or the choice is open.
    """
    candidates = [name for name in schema.names if _holds_images(schema.field(name).type)]
    stated = [name for name in candidates if hub.get(name, {}).get("_type") == "Image"]
    choice = _choose(wanted, candidates, "image", (stated, candidates))
    if not choice:
        raise DataError(
            f"Set 'image_column': the columns are {', '.join(schema.names)}, of which "
            f"{', '.join(candidates) or 'none'} can hold images."
        )
    return choice


def find_label_column(schema: Any, hub: dict[str, dict[str, Any]], wanted: str) -> str:
    """Return `wanted`, or "label", or the only column with class names; "" if there is none."""
    stated = [name for name in schema.names if hub.get(name, {}).get("_type") == "ClassLabel"]
    return _choose(wanted, schema.names, "label", (stated,))


def read_labels(paths: list[Path], column: str) -> list[Any]:
    """Return one column of all files.

    Raises:
        DataError: a value is neither a whole number nor a text.
    """
    values: list[Any] = []
    for path, row, value in _values(paths, column):
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise DataError(
                f"{path}, row {row}, column '{column}' is {value!r}: a label must be a whole "
                "number or a name; drop the row or choose another 'label_column'."
            )
        values.append(value)
    return values


def read_measures(paths: list[Path], column: str) -> Float32[np.ndarray, " rows"]:
    """Return one column of all files as floating point numbers, NaN where it is null or NaN.

    Raises:
        DataError: a value is no number, or infinite.
    """
    numbers: list[float] = []
    for path, row, value in _values(paths, column):
        number = math.nan if value is None else value
        if not isinstance(number, int | float) or isinstance(number, bool) or math.isinf(number):
            raise DataError(
                f"{path}, row {row}, column '{column}' is {value!r}: a measure must be a finite "
                "number, or null where it is missing; correct it or choose another column."
            )
        numbers.append(number)
    return np.array(numbers, dtype=np.float32)


def read_images(path: Path, group: int, column: str) -> Any:
    """Return the compressed images of one row group, an Arrow array of binary values."""
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    with _readable(path) as file:
        images = file.read_row_group(group, columns=[column], use_threads=False).column(column)
    return pc.struct_field(images, "bytes") if kinds.is_struct(images.type) else images


def _values(paths: list[Path], column: str) -> Iterator[tuple[Path, int, Any]]:
    for path in paths:
        with _readable(path) as file:
            part = file.read(columns=[column], use_threads=False).column(column).to_pylist()
        for row, value in enumerate(part):
            yield path, row, value


@contextmanager
def _readable(path: Path) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(needs("pyarrow", "The source 'parquet'")) from error
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is not a whole parquet file ({error}); copy or download it again."
        ) from error


def _holds_images(kind: Any) -> bool:
    import pyarrow.types as kinds

    if kinds.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))


def _choose(
    wanted: str, candidates: list[str], usual: str, preferred: tuple[list[str], ...]
) -> str:
    if wanted and wanted not in candidates:
        raise DataError(unknown(wanted, candidates, f"column for '{usual}_column'"))
    if wanted or usual in candidates:
        return wanted or usual
    return next((names[0] for names in preferred if len(names) == 1), "")
