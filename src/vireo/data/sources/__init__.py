"""Readers of layouts, by name; `source.py` states what each of them offers."""

SOURCES = {
    "image-folder": "vireo.data.sources.image_folder:ImageFolderSource",
    "parquet": "vireo.data.sources.parquet:ParquetSource",
    "webdataset": "vireo.data.sources.webdataset:WebDatasetSource",
    "csv": "vireo.data.sources.csv_manifest:CsvSource",
    "image-mask": "vireo.data.sources.image_mask:ImageMaskSource",
    "image-depth": "vireo.data.sources.image_depth:ImageDepthSource",
    "subset": "vireo.data.subsets.source:SubsetSource",
    "digits": "vireo.data.sources.digits:DigitsSource",
    "rooms": "vireo.data.rooms.source:RoomsSource",
}
