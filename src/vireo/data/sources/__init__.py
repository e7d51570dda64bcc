"""Readers of layouts, by name; `source.py` states what each of them offers."""

SOURCES = {
    "image-folder": "vireo.data.sources.image_folder:ImageFolderSource",
    "parquet": "vireo.data.sources.parquet:ParquetSource",
    "webdataset": "vireo.data.sources.webdataset:WebDatasetSource",
    "csv": "vireo.data.sources.csv_manifest:CsvSource",
    "image-mask": "vireo.data.sources.image_mask:ImageMaskSource",
    "image-depth": "vireo.data.sources.image_depth:ImageDepthSource",
    "image-pair-flow": "vireo.data.sources.image_pair_flow:ImagePairFlowSource",
    "frame-sequence": "vireo.data.sources.frame_sequence:FrameSequenceSource",
    "camera-motion": "vireo.data.sources.camera_motion:CameraMotionSource",
    "per-class": "vireo.data.sources.per_class:PerClassSource",
    "kinetics": "vireo.data.sources.kinetics:KineticsSource",
    "frame-list": "vireo.data.sources.frame_lists:FrameListSource",
    "torchvision": "vireo.data.sources.torchvision_reader:TorchvisionSource",
    "subset": "vireo.data.subsets.source:SubsetSource",
    "digits": "vireo.data.sources.digits:DigitsSource",
    "rooms": "vireo.data.rooms.source:RoomsSource",
}
