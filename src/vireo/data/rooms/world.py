"""What a room is: a world and a camera, kept apart, so that one world can be seen from many poses.

Right-handed axes in metres: the room is [0, width] x [0, length] x [0, height], z points up and the
floor is z = 0. Angles are radians, anticlockwise seen from above. Everything that stands in the
room is convex, upright and disjoint from the rest.
"""

from dataclasses import dataclass

from vireo.errors import SettingError

Vector = tuple[float, float, float]
Pair = tuple[float, float]

SHAPES = ("box", "sphere", "cylinder")
SURFACES = ("wall", "floor", "ceiling", *SHAPES)
TEXTURES = ("plain", "checker", "stripes", "tiles", "bricks", "planks", "noise", "dots")
FACES = 6
"""Faces of a room, by code: x = 0, x = width, y = 0, y = length, floor, ceiling."""
FLOOR = 4
SEQUENCES = {"single": 1, "flow": 2, "egomotion": 2, "clip": 6}
"""Frames of an example."""
DEFAULT_IMAGES = {"train": 1500, "val": 250, "test": 500}
"""Examples of a split, where nobody says how many."""
CAMERAS = ("overview", "approach")
STYLES = ("home", "studio")


@dataclass(frozen=True, kw_only=True)
class RoomsSettings:
    """What is drawn and how it is rendered.

    Attributes:
        size: height and width of a frame in pixels.
        sequence: "single" frames; two of a small move of the camera, with the "flow" between them;
            two of a larger one, as "egomotion"; or a "clip" of six frames of one gesture.
        camera: "overview" stands back and looks across the room; "approach" walks up to an object
            or a wall, so that 0, 1, 2, 3 and 4 steps ahead are free equally often.
        style: "home" is textured and coloured all over; "studio" is a grey room with objects of one
            bright colour each, so that objects and not surfaces decide what a picture looks like.
        seed: of the worlds. Their draws do not depend on `size`, nor on the number of frames.
        min_objects, max_objects: of a world. A frame shows at least one of them.
        object_size: factor of the objects' sizes.
        reach: metres from the camera within which objects are put.
        clutter: at most so many pictures on the walls and rugs on the floor. They are no objects:
            a rug is floor.
        lights: at most so many, at least one.
        brightness: factor of all light: 0.3 is dusk, 2 overexposes.
        tint: how far lamps may be from white, as a factor: 0 makes all of them white.
        textures: names out of `TEXTURES`, for every surface of a home alike.
        shadows: whether objects cast them.
        samples: rays a pixel side for RGB (anti-aliasing). Labels come from the pixel's centre.
        clearance: metres that a walkable point keeps from objects and walls.
        visible: share of the picture's pixels from which on an object counts as visible.
    """

    size: int = 64
    sequence: str = "single"
    camera: str = "overview"
    style: str = "home"
    seed: int = 0
    min_objects: int = 1
    max_objects: int = 6
    object_size: float = 1.0
    reach: float = 5.5
    clutter: int = 4
    lights: int = 2
    brightness: float = 1.0
    tint: float = 1.0
    textures: tuple[str, ...] = TEXTURES
    shadows: bool = True
    samples: int = 2
    clearance: float = 0.2
    visible: float = 1 / 256

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        rules = {
            "size": (8 <= self.size <= 4096, "be 8 to 4096 pixels"),
            "sequence": (self.sequence in SEQUENCES, f"be one of {', '.join(SEQUENCES)}"),
            "camera": (self.camera in CAMERAS, f"be one of {', '.join(CAMERAS)}"),
            "style": (self.style in STYLES, f"be one of {', '.join(STYLES)}"),
            "min_objects": (self.min_objects >= 1, "be at least 1"),
            "max_objects": (self.min_objects <= self.max_objects <= 32, "be min_objects to 32"),
            "object_size": (0.5 <= self.object_size <= 1.6, "be 0.5 to 1.6"),
            "reach": (2 <= self.reach <= 12, "be 2 to 12 metres"),
            "clutter": (0 <= self.clutter <= 32, "be 0 to 32"),
            "lights": (1 <= self.lights <= 8, "be 1 to 8"),
            "brightness": (0.05 <= self.brightness <= 4, "be 0.05 to 4"),
            "tint": (0 <= self.tint <= 3, "be 0 to 3"),
            "textures": (
                bool(self.textures) and set(self.textures) <= set(TEXTURES),
                f"be out of {', '.join(TEXTURES)}",
            ),
            "samples": (1 <= self.samples <= 8, "be 1 to 8"),
            "clearance": (0 <= self.clearance <= 1, "be 0 to 1 metre"),
            "visible": (0 < self.visible <= 0.05, "be above 0 and at most 0.05"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise SettingError(f"Rooms: {name} must {rule}; got {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class Surface:
    """How a surface is painted: a periodic texture between two colours.

    Attributes:
        colours: reflectance (linear RGB in [0, 1]) where the texture is 0 and where it is 1.
        scale: periods of the texture a metre.
        offset: of the texture, in periods.
    """

    texture: str
    colours: tuple[Vector, Vector]
    scale: float
    offset: Pair


@dataclass(frozen=True, kw_only=True)
class Solid:
    """An object on the floor.

    Attributes:
        half: half extents along its own axes; (r, r, r) for a sphere, (r, r, height / 2) for a
            cylinder.
        yaw: rotation about the vertical.
    """

    shape: str
    centre: Vector
    half: Vector
    yaw: float
    surface: Surface


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A painted rectangle of no thickness on a face of the room: a picture or a rug.

    Attributes:
        face: code of the face.
        centre, half: in metres along the face's two axes, in the order x, y, z.
    """

    face: int
    centre: Pair
    half: Pair
    surface: Surface


@dataclass(frozen=True, kw_only=True)
class Light:
    """A point light."""

    position: Vector
    colour: Vector


@dataclass(frozen=True, kw_only=True)
class World:
    """A room and all that is in it; instance id i + 1 is `solids[i]`, 0 is the room."""

    extent: Vector
    faces: tuple[Surface, ...]
    solids: tuple[Solid, ...]
    panels: tuple[Panel, ...]
    lights: tuple[Light, ...]
    ambient: float


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pin-hole camera without roll and with square pixels.

    Attributes:
        yaw: direction of view, from the x axis.
        pitch: upwards from the horizontal.
        field_of_view: of the whole height and width.
    """

    position: Vector
    yaw: float
    pitch: float
    field_of_view: float
